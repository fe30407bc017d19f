"""Words, sentences, and how a voice reads them."""
