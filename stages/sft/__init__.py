"""The stage `sft`: fine-tuning on instructions that are half heard, half read.

The answers are the LM's own, and pass the checks.
"""
