"""The stage `warmup`: the adapter that pre-training starts from.

Soft tokens are warmed up with a CTC loss.
"""
