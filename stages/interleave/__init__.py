"""Documents and verified clips to training sequences of text and speech."""
