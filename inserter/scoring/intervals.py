"""Estimate how sure a score is: bootstrap intervals of shares, and a paired test.

The item is resampled, never its instructions.
"""

from typing import Literal

import numpy as np

from inserter import seeds

# Resamples of the bootstrap: the ends of a 95 % interval then move by less than a tenth of its
# width.
RESAMPLES = 2_000
FLIPS = 9_999  # sign flips; fewer than 14 items are enumerated in full
CONFIDENCE = 0.95


def share_interval(followed: np.ndarray, asked: np.ndarray, *names: str) -> list[float] | None:
    """Return [low, high], the 95 % percentile bootstrap interval of sum(followed) / sum(asked).

    Both arrays are (items,). For a paired difference, `followed` is the difference. The randomness
    comes from `names`. Return None for fewer than two items: there is nothing to resample.
    """
    if len(followed) < 2:
        return None
    # As scipy.stats.bootstrap(paired=True, method="percentile") draws and computes, without scipy.
    drawn = seeds.np_rng(0, "bootstrap", *names).integers(0, len(followed), (RESAMPLES, len(followed)))
    shares = np.asarray(followed, float)[drawn].sum(axis=-1) / np.asarray(asked, float)[drawn].sum(axis=-1)
    low, high = np.percentile(shares, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    return [float(low), float(high)]


def sign_flip_p(differences: np.ndarray, alternative: Literal["greater", "two-sided"], *names: str) -> float:
    """Return the p-value of paired differences (items,), by flipping their signs.

    alternative: "greater" or "two-sided". The randomness comes from `names`.
    """
    from scipy.stats import permutation_test

    if not differences.any():
        return 1.0
    test = permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        alternative=alternative,
        n_resamples=FLIPS,
        rng=seeds.np_rng(0, *names),
    )
    return float(test.pvalue)
