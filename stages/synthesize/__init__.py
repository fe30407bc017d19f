"""Every span is spoken by a voice of the pool, some of them with noise, into tar shards."""
