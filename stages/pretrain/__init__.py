"""The stage `pretrain`: next-token loss on the text of interleaved sequences.

Training starts from the warmed-up adapter.
"""
