"""Cut text into documents of whole paragraphs, within a range of words.

A paragraph that is too long is cut into whole sentences.
"""

from collections import Counter
from collections.abc import Iterator

from inserter.text.sentences import sentence_spans
from inserter.text.words import count_words


def cut(paragraphs: list[str], min_words: int, max_words: int, *, dropped: Counter[str]) -> Iterator[str]:
    """Yield texts of min_words to max_words words, in order, with empty lines between paragraphs.

    `dropped` counts what fits nowhere: a remainder that is too short, a sentence that is too long.
    """
    piece = _Piece()
    for paragraph in paragraphs:
        if piece.words + count_words(paragraph) <= max_words:
            piece.add(paragraph, "\n\n")
            continue
        if piece.words >= min_words:
            yield piece.take()
        if count_words(paragraph) <= max_words and not piece.words:
            piece.add(paragraph, "\n\n")
            continue
        before = None  # the paragraph does not fit: fill up with its sentences
        for start, end in sentence_spans(paragraph):
            sentence, blank = paragraph[start:end], "\n\n" if before is None else paragraph[before:start]
            before = end
            if count_words(sentence) > max_words:
                dropped["sentence_too_long"] += 1
            elif piece.words + count_words(sentence) <= max_words:
                piece.add(sentence, blank)
                continue
            if piece.words >= min_words:
                yield piece.take()
            elif piece.words:
                dropped["too_short"] += 1
                piece.take()
            if count_words(sentence) <= max_words:
                piece.add(sentence, "")
    if piece.words >= min_words:
        yield piece.take()
    elif piece.words:
        dropped["too_short"] += 1


class _Piece:
    """The document under construction."""

    def __init__(self) -> None:
        self.text, self.words = "", 0

    def add(self, text: str, separator: str) -> None:
        self.text += (separator if self.text else "") + text
        self.words += count_words(text)

    def take(self) -> str:
        text, self.text, self.words = self.text, "", 0
        return text
