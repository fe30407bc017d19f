"""What two texts share, told by their runs of words: `corpus` refuses by it what its gate then looks for."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from inserter.params import NearDuplicates

HAN = r"\u3400-\u9fff"
WORD = re.compile(rf"[{HAN}]|[^\W_{HAN}]+(?:'[^\W_{HAN}]+)?")
PASSAGE = 40  # words: what of a held-out text may not be learnt; the words that are predicted after a context are as many
LEAST = 13  # words that tell of a common origin: the n-gram of GPT-3's decontamination (Brown et al. 2020)
COMMON = 3  # held-out texts that share a run: from this number on the run is boilerplate and identifies none of them


def words(text: str) -> list[str]:
    """Lower-case words without punctuation, and each Chinese character: what overlap is measured on."""
    return WORD.findall(text.lower().replace("’", "'"))


def ngrams(found: list[str], size: int) -> Iterator[str]:
    return map(" ".join, zip(*(found[start:] for start in range(size)), strict=False))


def shingles(text: str, size: int) -> set[str]:
    """Runs of `size` words; of a shorter text the whole."""
    found = words(text)
    return set(ngrams(found, size)) or {" ".join(found)}


class Passages:
    """The passages of texts that are held out: every PASSAGE words in a row, or the whole of a shorter text.

    A text repeats one when it has `threshold` of the passage's runs of `shingle_words` words. So do a near duplicate, a longer text
    with the passage in it and, down to LEAST words, a part of the passage alone. Case, punctuation and blanks do not count.
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
        met: dict[int, list[int]] = defaultdict(list)
        runs = set(ngrams(words(text), self.size))
        for run in runs & self.places.keys():
            for number, place in self.places[run]:
                met[number].append(place)
        return any(self._dense(sorted(places), min(self.width, self.lengths[number], len(runs))) for number, places in met.items())

    def _dense(self, places: list[int], width: int) -> bool:
        """Are `threshold` of some `width` places in a row among `places`?"""
        if width < self.least:
            return False
        needed = math.ceil(self.threshold * width)
        return any(last - first < width for first, last in zip(places, places[needed - 1 :], strict=False))
