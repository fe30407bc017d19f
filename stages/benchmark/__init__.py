"""The benchmark: closed-ended spoken instructions, five variants of each, from our own generator or the real data set.

Writes data/benchmark/: prompts.jsonl (every prompt, without audio: what training text is kept away from), items.parquet
(schema ITEMS), shard-NNNNN.tar (16 kHz mono FLAC) and quarantine.jsonl (what could not be used, with its reason).
"""
