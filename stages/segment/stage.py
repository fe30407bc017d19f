"""The stage: a level for each document, its spans, their spoken form, counts."""

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tqdm import tqdm

from stages.common.errors import InserterError
from stages.common.files import read_batches, write_table
from stages.common.params import Params, Segment
from stages.common.paths import DATA
from stages.common.runner import output
from stages.common.seeds import rng
from stages.common.spoken import speakable, spoken_form
from stages.common.tables import DOCUMENTS, SPANS
from stages.common.work import WorkFolder
from stages.segment.spans import Span, context, count_words, sentence_level, word_level

# Whisper hears 30 s at most. The default voice speaks 15.5 characters a second at its slowest, 14 at rate 0.9: 29 s.
MAX_CHARACTERS = 400
BUCKETS = (1, 5, 10, 15, 20, 30, 40)  # first number of words of each bar of the histogram


@dataclass
class Counts:
    """spans: in = kept + dropped by reason; documents: the ones with at least one span, and the others by reason."""

    spans: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    documents: Counter[str] = field(default_factory=Counter)
    without: Counter[str] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    chosen: Counter[str] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)


def main(params: Params) -> dict[str, Any]:
    """data/segment/spans.parquet."""
    source = DATA / "corpus"
    counts = Counts()
    rows: list[dict[str, Any]] = []
    for batch in read_batches(source, DOCUMENTS):
        for document in tqdm(batch, desc="segment", unit=" documents", mininterval=1.0):
            rows += segment(document, params.segment, counts)
    if not any(row["split"] == "train" for row in rows):
        raise InserterError("no span of the corpus can be spoken", "Raise segment.word.share or add text to the corpus")
    work = WorkFolder("segment", params.segment.model_dump(mode="json"), sorted(source.glob("*.parquet")))
    write_table(work / "spans/spans.parquet", rows, SPANS)
    work.publish("spans", output("segment"))
    return _metrics(counts)


def segment(document: dict[str, Any], params: Segment, counts: Counts) -> list[dict[str, Any]]:
    """Rows of SPANS for one row of DOCUMENTS; randomness from (params.seed, doc_id) alone."""
    level, spans = _spans(document, params)
    counts.documents["in"] += 1
    counts.words[level] += document["n_words"]
    rows = []
    for number, (start, end) in enumerate(spans if isinstance(spans, list) else []):
        written = document["text"][start:end]
        spoken = spoken_form(written)
        counts.spans["in"] += 1
        reason = _unspeakable(spoken)
        if reason:
            counts.dropped[reason] += 1
            continue
        utt_id = f"{document['doc_id']}-{number:03d}"
        values = {"utt_id": utt_id, "doc_id": document["doc_id"], "split": document["split"], "level": level}
        rows.append(values | {"start": start, "end": end, "written": written, "spoken": spoken})
        _count(counts, level, count_words(written))
    if rows:
        counts.documents["kept"] += 1
    else:
        counts.without[spans if isinstance(spans, str) else "no_span"] += 1  # a short draw, or all dropped
    return rows


def _spans(document: dict[str, Any], params: Segment) -> tuple[str, list[Span] | str]:
    """The document's level and its spans, or why it has none."""
    text = document["text"]
    if document["split"] == "heldout":
        found = context(text, params)
        return "context", found if isinstance(found, str) else [found]
    draw = rng(params.seed, document["doc_id"])
    if draw.random() < params.word_level:
        return "word", word_level(text, params.word, draw)
    return "sentence", sentence_level(text, params.sentence, draw)


def _unspeakable(spoken: str) -> str | None:
    if not speakable(spoken):
        return "nothing_to_speak"
    return "too_long_to_speak" if len(spoken) > MAX_CHARACTERS else None


def _count(counts: Counts, level: str, words: int) -> None:
    counts.spans["kept"] += 1
    counts.spans[level] += 1
    counts.chosen[level] += words
    counts.lengths[BUCKETS[bisect_right(BUCKETS, words) - 1]] += 1


def _metrics(counts: Counts) -> dict[str, Any]:
    after = dict(pairwise(BUCKETS))
    return {
        "documents": {**counts.documents, "without_span": dict(counts.without)},
        "spans": {"in": counts.spans["in"], "kept": counts.spans["kept"], "dropped": dict(counts.dropped)},
        "levels": {
            level: {
                "spans": counts.spans[level],
                "words_spoken": counts.chosen[level],
                "words": words,
                "share": counts.chosen[level] / words,
            }
            for level, words in sorted(counts.words.items())
        },
        "span_words": {
            f"{first:02d}-{after[first] - 1}" if first in after else f"{first}+": counts.lengths[first] for first in BUCKETS
        },
    }
