"""Randomness from (seed, names), never from order: the number of workers cannot change a result."""

import hashlib
import random

import numpy as np


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit seed for (seed, names)."""
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def rng(seed: int, *names: str | int) -> random.Random:
    return random.Random(derive(seed, *names))


def np_rng(seed: int, *names: str | int) -> np.random.Generator:
    return np.random.default_rng(derive(seed, *names))
