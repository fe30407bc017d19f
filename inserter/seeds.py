"""Seed random generators from (seed, names) and never from order.

The number of workers therefore cannot change a result.
"""

import hashlib
import random

import numpy as np


def derive(seed: int, *names: str | int) -> int:
    """Return a 63-bit seed for (seed, names)."""
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def rng(seed: int, *names: str | int) -> random.Random:
    """Return a generator of the standard library, seeded by (seed, names)."""
    return random.Random(derive(seed, *names))


def np_rng(seed: int, *names: str | int) -> np.random.Generator:
    """Return a NumPy generator, seeded by (seed, names)."""
    return np.random.default_rng(derive(seed, *names))
