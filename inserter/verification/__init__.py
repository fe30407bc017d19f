"""Whether a clip says what it was to say, and sounds as it should: measured with an ASR, then judged by limits.

`blocks` measures clips over processes, `norms` learns what is usual in each voice, `verdict` judges.
"""
