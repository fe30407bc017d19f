"""The stage `evaluate`: the model's answers, heard and read, and their scores."""
