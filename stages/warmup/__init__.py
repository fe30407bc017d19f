"""The adapter that pre-training starts from: soft tokens are warmed up with CTC."""
