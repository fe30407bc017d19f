"""Build the benchmark of spoken closed-ended, open-ended and adjustment instructions.

The instructions come from our own generator or from a local copy of SpeechInstructBench.
The stage writes these files to data/benchmark/:

- prompts.jsonl: every prompt, without audio. Training text is kept apart from these prompts.
- items.parquet: one row per item and variant (schema ITEMS).
- shard-NNNNN.tar: the clips, FLAC at 16 kHz, mono.
- quarantine.jsonl: what could not be used, with its reason.
"""
