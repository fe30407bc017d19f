"""`inserter serve`: a model behind OpenAI's API of chats and transcriptions, and a page to talk."""
