"""Decide which clips are fit for training, and why the others are not.

Every clip goes through an ASR and a few measurements.
"""
