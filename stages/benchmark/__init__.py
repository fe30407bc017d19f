"""The benchmark: closed-ended, open-ended and adjustment instructions, spoken, from our own generator or the real data set.

Writes data/benchmark/: prompts.jsonl (every prompt, without audio: what training text is kept away from), items.parquet
(schema ITEMS), shard-NNNNN.tar (16 kHz mono FLAC) and quarantine.jsonl (what could not be used, with its reason).
"""
