"""Sentences of a text: nltk's Punkt (English) from the files of the assets, nothing is fetched; and the stops of other scripts."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import regex

from inserter.assets import punkt_folder
from inserter.text.words import HAN, word_starts

# Whatever Unicode says ends a sentence, but for . ! ? which Punkt decides about, and the question mark of Greek.
_STOP = regex.compile(
    rf"[\p{{Sentence_Terminal}}--[.!?．‼⁇⁈⁉]]|(?<=[{HAN}])…+(?=[”’」』])|(?<=\p{{Greek}})[;\u037e](?=\s)", regex.V1
)

# What Punkt has not learnt for English, and what rarely ends a sentence: "they sent Hon. James Bond" is one.
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
def _punkt() -> Any:
    import nltk
    from nltk.tokenize.punkt import PunktTokenizer

    folder = str(punkt_folder())
    if folder not in nltk.data.path:
        nltk.data.path.insert(0, folder)
    punkt = PunktTokenizer("english")
    punkt._params.abbrev_types.update(_ABBREVIATIONS)
    return punkt


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """[start, end) of each sentence in order, without the whitespace around it. A sentence never crosses an empty line.

    It ends where Punkt says so and a blank follows, or after a stop of another script (。！？ । ؟ ።) and the quotes behind it.
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
    """The paragraph parted at the first word behind every such stop."""
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
        if spans and spans[-1][1] == offset + first:  # Punkt parts "!:" too; a sentence ends before a blank
            spans[-1] = (spans[-1][0], offset + last)
        elif first < last:
            spans.append((offset + first, offset + last))
    return spans


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]
