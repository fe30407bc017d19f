"""Split a text into sentences.

nltk's Punkt (English) decides where a sentence ends. Punkt's files come from the assets, and
nothing is downloaded. The stops of other scripts end a sentence too.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import regex

from inserter.assets import punkt_folder
from inserter.text.words import HAN, word_starts

if TYPE_CHECKING:
    from nltk.tokenize.punkt import PunktTokenizer

# Signs that end a sentence by Unicode, a Chinese ellipsis before a closing quote, and the Greek
# question mark. The signs . ! ? are not here, because Punkt decides about them.
_STOP = regex.compile(
    rf"[\p{{Sentence_Terminal}}--[.!?．‼⁇⁈⁉]]|(?<=[{HAN}])…+(?=[”’」』])|(?<=\p{{Greek}})[;\u037e](?=\s)", regex.V1
)

# Abbreviations that Punkt has not learnt for English and that rarely end a sentence: "they sent
# Hon. James Bond" is one sentence.
_ABBREVIATIONS = {
    "hon",
    "messrs",
    "pres",
    "capt",
    "gov",
    "rev",
    "sgt",
    "supt",
    "atty",
    "mt",
    "dept",
    "approx",
    "viz",
    "cf",
    "e.g",
    "i.e",
    "fig",
    "vol",
    "pp",
}


@lru_cache(maxsize=1)
def _punkt() -> "PunktTokenizer":
    import nltk
    from nltk.tokenize.punkt import PunktTokenizer

    folder = str(punkt_folder())
    if folder not in nltk.data.path:
        nltk.data.path.insert(0, folder)
    punkt = PunktTokenizer("english")
    punkt._params.abbrev_types.update(_ABBREVIATIONS)
    return punkt


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return [start, end) of each sentence in order, without the whitespace around the sentence.

    A sentence never crosses an empty line. A sentence ends where Punkt says so and a blank follows.
    A sentence also ends after a stop of another script (。！？ । ؟ ።) and the quotes behind the
    stop.
    """
    spans: list[tuple[int, int]] = []
    start = 0
    for paragraph in text.split("\n\n"):
        for piece in _pieces(paragraph):
            spans += _sentences(piece, start)
            start += len(piece)
        start += 2
    return spans


def _pieces(paragraph: str) -> Iterator[str]:
    """Yield the pieces of the paragraph, cut at the first word behind every stop of `_STOP`."""
    start = 0
    stops = list(_STOP.finditer(paragraph))
    for match, end in zip(stops, word_starts(paragraph, [stop.end() for stop in stops]), strict=True):
        if paragraph[start : match.start()].strip():
            yield paragraph[start:end]
            start = end
    yield paragraph[start:]


def _sentences(piece: str, offset: int) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for first, last in _punkt().span_tokenize(piece):
        # Punkt also cuts between the signs of "!:". A sentence ends only before a blank.
        if spans and spans[-1][1] == offset + first:
            spans[-1] = (spans[-1][0], offset + last)
        elif first < last:
            spans.append((offset + first, offset + last))
    return spans


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]
