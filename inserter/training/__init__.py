"""Code that pre-training, fine-tuning and evaluation share.

The package has the encoder states, the batches, the training loop and the held-out losses.
"""
