"""Clips, and what is done to them."""
