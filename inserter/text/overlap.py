"""Find what two texts share, by their runs of words.

The stage `corpus` drops texts by this measure, and its gate then looks for the same overlap.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from inserter.params import NearDuplicates

HAN = r"\u3400-\u9fff"
WORD = re.compile(rf"[{HAN}]|[^\W_{HAN}]+(?:'[^\W_{HAN}]+)?")
# Words of a held-out text that training must not contain. As many words are predicted after a
# context.
PASSAGE = 40
# Words that show a common origin: the n-gram of GPT-3's decontamination (Brown et al. 2020).
LEAST = 13
# A run that at least this many held-out texts share is boilerplate and identifies none of them.
COMMON = 3


def words(text: str) -> list[str]:
    """Return lower-case words without punctuation, and each Chinese character.

    Overlap is measured on these words and characters.
    """
    return WORD.findall(text.lower().replace("’", "'"))


def ngrams(found: list[str], size: int) -> Iterator[str]:
    """Yield the runs of `size` words in `found`, each joined by blanks."""
    return map(" ".join, zip(*(found[start:] for start in range(size)), strict=False))


def shingles(text: str, size: int) -> set[str]:
    """Return the runs of `size` words; for a shorter text, the whole text."""
    found = words(text)
    return set(ngrams(found, size)) or {" ".join(found)}


class Passages:
    """The passages of held-out texts: every PASSAGE words in a row, or the whole of a shorter text.

    A text repeats a passage when it has the share `threshold` of the passage's runs of
    `shingle_words` words. A near duplicate repeats a passage, and so does a longer text that
    contains the passage. A part of a passage alone repeats it too, down to LEAST words. Case,
    punctuation and blanks do not count.
    """

    def __init__(self, texts: Iterable[str], near: NearDuplicates) -> None:
        self.size, self.threshold = near.shingle_words, near.threshold
        self.width = max(1, PASSAGE - self.size + 1)
        self.least = max(1, LEAST - self.size + 1)
        runs = [list(dict.fromkeys(ngrams(words(text), self.size))) for text in texts]
        seen = Counter(run for found in runs for run in found)
        common = min(COMMON, max(2, len(runs)))
        self.lengths: list[int] = []
        self.places: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for number, found in enumerate(runs):
            own = [run for run in found if seen[run] < common]
            self.lengths.append(len(own))
            for place, run in enumerate(own):
                self.places[run].append((number, place))

    def repeated_in(self, text: str) -> bool:
        """Return whether `text` repeats one of the passages."""
        met: dict[int, list[int]] = defaultdict(list)
        runs = set(ngrams(words(text), self.size))
        for run in runs & self.places.keys():
            for number, place in self.places[run]:
                met[number].append(place)
        return any(self._dense(sorted(places), min(self.width, self.lengths[number], len(runs))) for number, places in met.items())

    def _dense(self, places: list[int], width: int) -> bool:
        """Return whether `places` has the share `threshold` of some `width` consecutive places."""
        if width < self.least:
            return False
        needed = math.ceil(self.threshold * width)
        return any(last - first < width for first, last in zip(places, places[needed - 1 :], strict=False))
