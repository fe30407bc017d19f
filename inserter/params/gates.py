"""What the gates allow beyond the limits of the stages."""

from inserter.params.section import Positive, Section, Share


class MinRows(Section):
    """The least rows of what training and evaluation use: benchmark items (and of them spoken ones), sequences, held-out
    contexts, instruction pairs."""

    benchmark: Positive
    spoken: Positive
    sequences: Positive
    heldout: Positive
    pairs: Positive


class Check(Section):
    """What the gates allow beyond the limits that a stage has itself.

    min_rows: fewer of these stop the pipeline. clip_seconds: how short and how long a spoken benchmark item may be.
    max_quarantined_prompts: share of the clips that sft has spoken and refuses.

    mixture_tolerance: how far a share of the sequences may be from interleave.mixture. share_tolerance: how far the words in spans
    of a level may be from segment.word.share and segment.sentence.share. max_missing_items: share of a benchmark
    variant's items that may be absent (0: every variant has them all). max_missing_types: share of the 25 instruction types that a
    language may lack. overlap_ngram: no instruction pair has so many words in a row of a benchmark prompt. first_ids: how many
    offending rows are named.
    """

    min_rows: MinRows
    clip_seconds: tuple[float, float]
    max_quarantined_prompts: Share
    mixture_tolerance: Share
    share_tolerance: Share
    max_missing_items: Share
    max_missing_types: Share
    overlap_ngram: Positive
    first_ids: Positive
