"""Every clip goes through an ASR and a few measurements: what is fit for training, and what is not and why."""
