"""Audio clips, their storage in shards, and the effects applied to them."""
