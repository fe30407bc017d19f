"""Fixed vectors of the letters of tokens, with which an adapter can spell tokens never taught."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

LONGEST = 16  # letters of a token, from its start, that count


def spelling_vectors(tokens: Sequence[str], size: int) -> Tensor:
    """Return a row of length 1 per token, made from its letters: (tokens, size) float32.

    A row is a random projection of a token's features. The features are which letter is where from
    the start and from the end, pairs of letters, and the number of letters. Tokens with similar
    letters have similar rows. The same list of tokens gives the same rows.
    """
    numbers: dict[tuple[str, str, int], int] = {}
    features: list[int] = []
    weights: list[float] = []
    starts: list[int] = []
    for token in tokens:
        starts.append(len(features))
        for feature, weight in _features(token):
            features.append(numbers.setdefault(feature, len(numbers)))
            weights.append(weight)
    directions = torch.randn(len(numbers), size, generator=torch.Generator().manual_seed(0))
    sums = F.embedding_bag(
        torch.tensor(features), directions, torch.tensor(starts), mode="sum", per_sample_weights=torch.tensor(weights)
    )
    return F.normalize(sums - sums.mean(dim=0), dim=-1)


def _features(token: str) -> Iterator[tuple[tuple[str, str, int], float]]:
    letters = token[:LONGEST]
    yield ("length", "", len(letters)), 1.0
    for place, letter in enumerate(letters):
        yield ("from the start", letter, place), 1.0
        yield ("from the end", letter, len(token) - place), 0.7
    for a, b in pairwise(letters):
        yield ("pair", a + b, 0), 0.7
