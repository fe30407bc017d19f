"""Count what happened to all text that was read; each finished part keeps its counts beside it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

BUCKET_BITS = 12  # draws are counted in 4,096 equal ranges
NO_BOUND = 2**63 - 1


def bucket(draw: int) -> str:
    """Return the range of a 63-bit draw, as a string because the keys of JSON are strings."""
    return str(draw >> (63 - BUCKET_BITS))


@dataclass
class Counts:
    """Counts of every step: in = kept + the sum over the reasons for dropping."""

    raw: Counter[str] = field(default_factory=Counter)
    raw_dropped: Counter[str] = field(default_factory=Counter)
    paragraphs: Counter[str] = field(default_factory=Counter)
    paragraphs_dropped: Counter[str] = field(default_factory=Counter)

    words: Counter[str] = field(default_factory=Counter)
    """Words of the clean paragraphs."""

    edited: Counter[str] = field(default_factory=Counter)

    documents: Counter[str] = field(default_factory=Counter)
    """Documents after cutting."""

    dropped: Counter[str] = field(default_factory=Counter)

    usable: Counter[str] = field(default_factory=Counter)
    """Words of the documents that no rule refuses, by the range of their draw."""

    def to_json(self) -> dict[str, object]:
        return {name: dict(counter) for name, counter in vars(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Mapping[str, int]]) -> "Counts":
        return cls(**{name: Counter(values[name]) for name in vars(cls())})

    def add(self, other: "Counts") -> None:
        for name, counter in vars(self).items():
            counter.update(getattr(other, name))

    def bound(self, words: float) -> int:
        """Return a draw below which there are at least `words` usable words, duplicates included.

        Return NO_BOUND if there are fewer.
        """
        total = 0
        for number in range(2**BUCKET_BITS):
            total += self.usable[str(number)]
            if total >= words:
                return min((number + 1) << (63 - BUCKET_BITS), NO_BOUND)
        return NO_BOUND
