"""Compare arms prompt by prompt.

Two models of one LM answer many prompts alike. So the difference of the models is more certain than
their two intervals suggest.
"""

from collections.abc import Sequence

import numpy as np

from inserter.scoring.intervals import share_interval

Counts = dict[str, list[float]]  # by prompt: [instructions followed, asked], over all variants


def difference(one: Sequence[Counts], other: Sequence[Counts], *names: str) -> tuple[float, list[float] | None] | None:
    """Return the share that `one` followed less that of `other`, and its 95 % interval.

    Each side is the mean of its seeds. The interval is over the prompts, and its randomness comes
    from `names`. Return None if no prompt was asked of all.
    """
    sides = (*one, *other)
    keys = sorted(key for key in set.intersection(*map(set, sides)) if len({counts[key][1] for counts in sides}) == 1)
    if not keys:
        return None
    means = [np.mean([[counts[key][0] for key in keys] for counts in side], axis=0) for side in (one, other)]
    followed, asked = means[0] - means[1], np.array([one[0][key][1] for key in keys])
    return float(followed.sum() / asked.sum()), share_interval(followed, asked, "arms", *names)
