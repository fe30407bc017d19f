"""Sentences of a text, by nltk's Punkt (English), from the files of the assets: nothing is fetched."""

from functools import lru_cache
from typing import Any

from stages.common.assets import punkt_folder


@lru_cache(maxsize=1)
def _punkt() -> Any:
    import nltk
    from nltk.tokenize.punkt import PunktTokenizer

    folder = str(punkt_folder())
    if folder not in nltk.data.path:
        nltk.data.path.insert(0, folder)
    return PunktTokenizer("english")


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """[start, end) of each sentence in order, without the whitespace around it. A sentence never crosses an empty line."""
    spans: list[tuple[int, int]] = []
    start = 0
    for paragraph in text.split("\n\n"):
        for first, last in _punkt().span_tokenize(paragraph):
            if spans and spans[-1][1] == start + first:  # Punkt parts "!:" too; a sentence ends before a blank
                spans[-1] = (spans[-1][0], start + last)
            elif first < last:
                spans.append((start + first, start + last))
        start += len(paragraph) + 2
    return spans


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]
