"""Fine-tuning on instructions that are half heard, half read, with answers of the LM's own that pass the checks."""
