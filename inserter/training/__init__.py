"""What pre-training, fine-tuning and evaluation share: encoder states, batches, the loop, the held-out losses."""
