"""Parameters of the gates."""

from inserter.params.section import Positive, Section, Share


class MinRows(Section):
    """Fewest rows that training and evaluation need; fewer stop the pipeline."""

    benchmark: Positive
    """Benchmark items."""
    spoken: Positive
    """Benchmark items with audio."""
    sequences: Positive
    """Training sequences."""
    heldout: Positive
    """Held-out contexts."""
    pairs: Positive
    """Instruction pairs and conversations."""


class Check(Section):
    """What the gates allow beyond the limits that the stages have themselves."""

    min_rows: MinRows
    clip_seconds: tuple[float, float]
    """Shortest and longest duration of a spoken benchmark item, in seconds."""
    max_quarantined_prompts: Share
    """Largest share of the clips spoken by `sft` that may be quarantined."""
    max_quarantined_dialogues: Share
    """Largest share of the rows of any of `sft.sources` that may be quarantined."""
    mixture_tolerance: Share
    """Largest difference between a share of the sequences' words and `interleave.mixture`."""
    share_tolerance: Share
    """Largest difference between the share of a level's words in spans and the configured share.

    The configured shares are `segment.word.share` and `segment.sentence.share`.
    """
    max_missing_items: Share
    """Largest share of its items that a benchmark variant may lack; 0 allows no gap."""
    max_missing_types: Share
    """Largest share of the 25 instruction types that a language may lack."""
    overlap_ngram: Positive
    """Words in a row that no instruction pair may share with a benchmark prompt."""
    first_ids: Positive
    """Number of offending rows that a report names per expectation."""
