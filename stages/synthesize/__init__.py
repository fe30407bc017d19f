"""Speak every span with a voice of the pool, some with noise, into tar shards."""
