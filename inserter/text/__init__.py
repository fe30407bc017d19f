"""Find the words and sentences of a text, and its spoken form."""
