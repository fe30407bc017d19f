"""Build the corpus: clean documents of whole paragraphs from the sources in params.

The documents have no duplicates and no benchmark prompts. They are split into train and held-out.
"""
