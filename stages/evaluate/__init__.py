"""evaluate: what the model answers, heard and read, and how it is scored."""
