"""Find texts to compare by MinHash bands of their shingles, and benchmark prompts by n-grams."""

from collections.abc import Iterable

import numpy as np

from inserter.params import NearDuplicates
from inserter.text.overlap import ngrams, words

MISSED = 0.001  # largest share of the pairs at the threshold that may meet in no band
MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio (Fibonacci hashing)


def jaccard(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other)


def bands(params: NearDuplicates) -> int:
    """Return the number of bands of a MinHash.

    The number is the smallest that misses at most 1 in 1,000 pairs at the threshold.

    A pair of similarity s meets in one of b bands of r values with probability 1 - (1 - s^r)^b.
    """
    for rows in range(params.permutations, 0, -1):
        count = params.permutations // rows
        if (1 - params.threshold**rows) ** count <= MISSED:
            return count
    return params.permutations


def band_hashes(texts: list[set[str]], params: NearDuplicates) -> np.ndarray:
    """Return int64 hashes (texts, bands) of the shingle sets; similar texts agree in a column."""
    import rensa

    count = bands(params)
    rows = params.permutations // count
    if not texts:
        return np.empty((0, count), np.int64)
    digests = rensa.RMinHash.digests_from_token_sets([sorted(text) for text in texts], params.permutations, 1)
    values = np.asarray(digests, np.uint64)[:, : count * rows].reshape(len(texts), count, rows)
    mixed = np.zeros((len(texts), count), np.uint64)
    for column in range(rows):
        mixed = (mixed ^ values[:, :, column]) * MIX
        mixed ^= mixed >> np.uint64(29)
    return mixed.view(np.int64)


class Contamination:
    """The word n-grams of the benchmark's prompts.

    A prompt shorter than n words has no n-gram and cannot be looked for.
    """

    def __init__(self, prompts: Iterable[str], size: int) -> None:
        self.size = size
        self.grams: set[str] = set()
        self.prompts = self.too_short = 0
        for prompt in prompts:
            found = set(ngrams(words(prompt), size))
            self.grams |= found
            self.prompts += 1
            self.too_short += not found

    def found_in(self, text: str) -> bool:
        return not self.grams.isdisjoint(ngrams(words(text), self.size))
