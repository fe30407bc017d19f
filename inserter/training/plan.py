"""Assign examples to steps: a shuffle per epoch, computed by index and never held in memory."""

from collections.abc import Sequence
from typing import overload

import numpy as np

from inserter.seeds import np_rng

ROUNDS = 4  # of the Feistel network
HALF = 4  # least bits of half a number: narrower networks shuffle unevenly
LEAST, MOST = 16, 65_536  # examples whose positions are added up at a time
OVER = 1.1  # a step has at most this many times its positions, unless one example is longer


def permuted(index: np.ndarray, count: int, keys: np.ndarray) -> np.ndarray:
    """Return the places (n,) of `index` (n,) in a pseudorandom permutation of 0 .. count - 1.

    A Feistel network permutes the next power of 4, and what falls beyond `count` goes through it
    again. keys: uint64 (ROUNDS,), which decide the permutation.
    """
    half = np.uint64(max(HALF, -(-(count - 1).bit_length() // 2)))
    mask = (np.uint64(1) << half) - np.uint64(1)
    places = index.astype(np.uint64)
    outside = np.ones(len(places), dtype=bool)
    while outside.any():
        left, right = places[outside] >> half, places[outside] & mask
        for key in keys:
            left, right = right, left ^ (_mixed(right + key) & mask)
        places[outside] = (left << half) | right
        outside = places >= count
    return places.astype(np.int64)


def _mixed(values: np.ndarray) -> np.ndarray:
    """Return uint64 hashes of `values` (the finalizer of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


class Shuffled:
    """An endless order of `count` examples: every epoch is a shuffle of all, from (seed, epoch)."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed

    def between(self, start: int, end: int) -> np.ndarray:
        """Return the examples (end - start,) at these places of the order."""
        pieces = []
        while start < end:
            epoch, first = divmod(start, self.count)
            last = min(self.count, first + end - start)
            keys = np_rng(self.seed, "epoch", epoch).integers(0, 2**63, ROUNDS, dtype=np.uint64)
            pieces.append(permuted(np.arange(first, last), self.count, keys))
            start += last - first
        return np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int64)


class Plan(Sequence[list[int]]):
    """The indices of each step's examples: about `batch_positions` estimated positions a step.

    A new epoch begins where the last one ends, also within a step. Nothing depends on the number of
    ranks. Memory holds where each step begins, as far as steps were asked for.
    """

    def __init__(self, positions: np.ndarray, steps: int, batch_positions: int, *, seed: int) -> None:
        """positions: (examples,), the estimated positions of each example."""
        self.positions, self.steps, self.batch_positions = positions, steps, batch_positions
        self.order = Shuffled(len(positions), seed)
        self._starts = [0]
        usual = float(np.mean(positions[:1024])) if len(positions) else 1.0
        self._some = int(min(MOST, max(LEAST, 1.5 * batch_positions / usual)))

    def __len__(self) -> int:
        return self.steps

    @overload
    def __getitem__(self, step: int) -> list[int]: ...

    @overload
    def __getitem__(self, step: slice) -> list[list[int]]: ...

    def __getitem__(self, step: int | slice) -> list[int] | list[list[int]]:
        if isinstance(step, slice):
            return [self[i] for i in range(*step.indices(self.steps))]
        if not 0 <= step < self.steps:
            raise IndexError(step)
        while len(self._starts) <= step + 1:
            self._starts.append(self._starts[-1] + self._size(self._starts[-1]))
        return self.order.between(self._starts[step], self._starts[step + 1]).tolist()

    def _size(self, start: int) -> int:
        """Return the number of examples of the step that begins at `start` of the order."""
        size, total = 0, 0
        while True:
            chosen = self.order.between(start + size, start + size + self._some)
            sums = total + self.positions[chosen].astype(np.int64).cumsum()
            full = int(np.searchsorted(sums, self.batch_positions))
            if full < len(sums):
                size += full + 1
                return size - 1 if size > 1 and sums[full] > OVER * self.batch_positions else size
            size, total = size + len(sums), int(sums[-1])
