"""What happened to everything that was read, in a form that is kept beside each finished part of the work."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

BUCKET_BITS = 12  # draws are counted in 4,096 equal ranges
NO_BOUND = 2**63 - 1


def bucket(draw: int) -> str:
    """The range of a 63-bit draw; a string, since JSON knows no other key."""
    return str(draw >> (63 - BUCKET_BITS))


@dataclass
class Counts:
    """Every step: in = kept + dropped by reason. `documents` counts documents after cutting.

    words: of the clean paragraphs. usable: words of the documents that no rule refuses, by the range of their draw.
    """

    raw: Counter[str] = field(default_factory=Counter)
    raw_dropped: Counter[str] = field(default_factory=Counter)
    paragraphs: Counter[str] = field(default_factory=Counter)
    paragraphs_dropped: Counter[str] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    edited: Counter[str] = field(default_factory=Counter)
    documents: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    usable: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> dict[str, Any]:
        return {name: dict(counter) for name, counter in vars(self).items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Counts":
        return cls(**{name: Counter(values[name]) for name in vars(cls())})

    def add(self, other: "Counts") -> None:
        for name, counter in vars(self).items():
            counter.update(getattr(other, name))

    def bound(self, words: float) -> int:
        """A draw below which there are at least `words` usable words, duplicates among them; NO_BOUND where there are fewer."""
        total = 0
        for number in range(2**BUCKET_BITS):
            total += self.usable[str(number)]
            if total >= words:
                return min((number + 1) << (63 - BUCKET_BITS), NO_BOUND)
        return NO_BOUND
