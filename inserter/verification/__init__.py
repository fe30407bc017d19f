"""Check that a clip says its text and has no acoustic fault: measure with an ASR, judge by limits.

`blocks` measures clips over worker processes, `norms` learns the usual durations of each voice,
and `verdict` judges.
"""
