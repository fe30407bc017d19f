"""Segment one document: draw its level, find its spans in both forms, and count them."""

import re
from collections import Counter
from itertools import pairwise

from inserter.params import Segment
from inserter.seeds import rng
from inserter.tables import LEXICON, Document
from inserter.tables import Span as SpanRow
from inserter.text.spoken import CannotRead, max_characters, speakable, spoken_form
from inserter.text.words import count_words
from stages.segment.spans import Span, context, sentence_level, word_level

Counts = Counter[tuple[str | int, ...]]
"""Counts of the stage by key.

- ("documents", "in" or "kept") and ("without_span", reason)
- ("spans", "in" or "kept") and ("dropped", reason)
- ("language", code)
- ("documents" or "words" or "chosen", level): per level, chosen being the words in spans
- ("length", level, words of a span): for a histogram
- ("switches", level, changes between text and speech in a document): for a histogram
"""


def segment(document: Document, params: Segment, counts: Counts) -> list[SpanRow]:
    """Return the rows of SPANS for one row of DOCUMENTS, and add to `counts`.

    Randomness comes from (params.seed, doc_id) alone.
    """
    level, spans = _spans(document, params)
    rows = []
    for number, span in enumerate(spans if isinstance(spans, list) else []):
        counts["spans", "in"] += 1
        try:
            rows.append(_row(document, level, number, span=span))
        except CannotRead as refused:
            counts["dropped", refused.reason] += 1
    counts["documents", "in"] += 1
    if rows:
        counts["documents", "kept"] += 1
    else:
        # The draw was too short for a span, or all spans were dropped.
        counts["without_span", spans if isinstance(spans, str) else "no_span"] += 1
    _count(document, level, rows, counts=counts)
    return rows


def _spans(document: Document, params: Segment) -> tuple[str, list[Span] | str]:
    """Return the document's level, and its spans or the reason why it has none."""
    text = document["text"]
    if document["split"] == "heldout":
        found = context(text, params)
        return "context", found if isinstance(found, str) else [found]
    if document["split"] == LEXICON:
        return LEXICON, [match.span() for match in re.finditer(r".+", text)]
    draw = rng(params.seed, document["doc_id"])
    if draw.random() < params.word_level:
        return "word", word_level(text, params.word, draw)
    return "sentence", sentence_level(text, params.sentence, draw)


def _row(document: Document, level: str, number: int, *, span: Span) -> SpanRow:
    """Return the span in both forms as a row of SPANS. Raises CannotRead."""
    start, end = span
    written = document["text"][start:end]
    return {
        "doc_id": document["doc_id"],
        "split": document["split"],
        "language": document["language"],
        "utt_id": f"{document['doc_id']}-{number:03d}",
        "level": level,
        "start": start,
        "end": end,
        "written": written,
        "spoken": _spoken(written, document["language"]),
    }


def _spoken(written: str, language: str) -> str:
    """Return the spoken form.

    Raises CannotRead if there is nothing to speak, or more than fits into a clip.
    """
    spoken = spoken_form(written, language)
    if not speakable(spoken):
        raise CannotRead("nothing_to_speak")
    if len(spoken) > max_characters(language):
        raise CannotRead("too_long_to_speak")
    return spoken


def _count(document: Document, level: str, rows: list[SpanRow], *, counts: Counts) -> None:
    counts["documents", level] += 1
    counts["words", level] += document["n_words"]
    counts["switches", level, switches(document["text"], [(row["start"], row["end"]) for row in rows])] += 1
    for row in rows:
        words = count_words(row["written"])
        counts["spans", "kept"] += 1
        counts["language", row["language"]] += 1
        counts["chosen", level] += words
        counts["length", level, words] += 1


def switches(text: str, spans: list[Span]) -> int:
    """Count how often `text` with its spans spoken changes between writing and speech.

    Two spans with only blanks between them are not a change.
    """
    kinds, end = [], 0
    for start, last in spans:
        kinds += (["text"] if text[end:start].strip() else []) + ["speech"]
        end = last
    kinds += ["text"] if text[end:].strip() else []
    return sum(kind != after for kind, after in pairwise(kinds))
