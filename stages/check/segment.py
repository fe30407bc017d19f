"""Rules of the gate after `segment`.

Spans stand where they say, cut no word and do not overlap. The spoken forms can be read, and the
shares are as configured.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from inserter.files import read_batches, read_json
from inserter.params import Params
from inserter.paths import DATA, REPORTS
from inserter.tables import DOCUMENTS, LEXICON, SPANS, Document, Span
from inserter.text.spoken import max_characters, speakable
from inserter.text.words import count_words, word_bounds
from stages.check.frames import Picked, frame, picker
from stages.check.rules import Rule, Table, mean_within, one_of, present, rows, unique, within

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["utt_id", "level", "language", "split", "words", "faithful", "whole", "apart", "speakable", "fits", "unread"]
SPLITS = {"word": "train", "sentence": "train", "context": "heldout", LEXICON: LEXICON}
# A spoken form has none of these in any language.
UNREAD = re.compile(r"[^\W_]*\d[^\W_]*|[$£€¥%&@#+=<>]")
AGAIN = "Delete data/segment and run `dvc repro segment`"
RULES = "Correct the rules in inserter/text/spoken, then run `dvc repro segment`"
SHARE = "Raise corpus.words or check.share_tolerance; `dropped` in reports/segment.json counts the dropped spans"


def segment(params: Params) -> list[Table]:
    texts = Texts()
    spans = frame(DATA / "segment" / "spans.parquet", SPANS, lambda row: _measure(row, texts), columns=COLUMNS)
    wanted = params.segment
    least = {"word": wanted.word.min_words, "sentence": 1, "context": wanted.context_words, LEXICON: 1}
    most = {"sentence": wanted.sentence.max_words, "context": wanted.context_words + wanted.sentence.max_words}
    return [
        Table(
            "spans",
            spans,
            "utt_id",
            (
                rows("Raise segment.word.share, or add text to the corpus", low=1),
                present("utt_id", AGAIN),
                unique("utt_id", AGAIN),
                one_of("level", list(SPLITS), AGAIN),
                present("language", "The corpus has documents without a language: run `dvc repro corpus`"),
                one_of("language", params.corpus.languages, AGAIN),
                one_of("split", [True], "A training span is from held-out text: " + AGAIN),
                one_of("faithful", [True], "The corpus has changed since: " + AGAIN),
                one_of("whole", [True], "A span cuts a word: " + AGAIN),
                one_of("apart", [True], "Two spans overlap: " + AGAIN),
                one_of("speakable", [True], AGAIN),
                one_of("fits", [True], "A span is longer than a clip may be: " + AGAIN),
                within("unread", RULES, high=0),
            ),
        ),
        *(
            Table(level, found, "utt_id", (within("words", AGAIN, low=least[level], high=most.get(level)),))
            for level in SPLITS
            if len(found := spans[spans["level"] == level])
        ),
        Table("shares", _shares(spans), "of", tuple(_asked(params))),
        Table("counts", _counts(spans), "report", (present("lost", AGAIN), within("lost", AGAIN, low=0, high=0))),
    ]


class Texts:
    """The texts of the spans' documents.

    Spans come in the order of the documents, so one batch of documents at a time is in memory.
    """

    def __init__(self) -> None:
        self.known = set(frame(DATA / "corpus", DOCUMENTS, picker("doc_id"), columns=["doc_id"])["doc_id"])
        self.batches: Iterator[list[Document]] = iter(())
        self.batch: dict[str, str] = {}
        self.last: tuple[str, str, set[int], set[int]] = ("", "", set(), set())
        self.end = 0

    def find(self, doc_id: str) -> str:
        """Return the text of a document; "" for an unknown document.

        A document out of order is found as well, but slowly.
        """
        while doc_id in self.known and doc_id not in self.batch:
            batch = next(self.batches, None)
            if batch is None:
                self.batches = read_batches(DATA / "corpus", DOCUMENTS)
                continue
            self.batch = {row["doc_id"]: row["text"] for row in batch}
        return self.batch.get(doc_id, "")

    def place(self, row: Span) -> dict[str, bool]:
        """Return {"faithful", "whole", "apart"} of a span.

        faithful: the span is its part of the text. whole: the span cuts no word. apart: the span
        begins at or after the end of the previous span.
        """
        doc_id, start, end = row["doc_id"], row["start"], row["end"]
        if self.last[0] != doc_id:
            text, self.end = self.find(doc_id), 0
            bounds = word_bounds(text)
            self.last = (doc_id, text, {first for first, _ in bounds}, {last for _, last in bounds})
        _, text, starts, ends = self.last
        apart, self.end = start >= self.end, end
        faithful = 0 <= start < end <= len(text) and text[start:end] == row["written"]
        return {"faithful": faithful, "whole": start in starts and end in ends, "apart": apart}


def _measure(row: Span, texts: Texts) -> Picked:
    spoken, language = row["spoken"] or "", row["language"]
    return {
        **row,
        **texts.place(row),
        "split": row["split"] == SPLITS.get(row["level"], row["split"]),
        "words": count_words(row["written"] or ""),
        "speakable": speakable(spoken),
        "fits": len(spoken) <= max_characters(language),
        "unread": len(UNREAD.findall(spoken)),
    }


def _shares(spans: "pd.DataFrame") -> "pd.DataFrame":
    """Return one row: per level, the share of the documents' words that is in spans.

    The stage reported the words of the documents. The words in spans are counted here.
    """
    import pandas as pd

    levels = read_json(REPORTS / "segment.json").get("levels", {})
    words = spans.groupby("level")["words"].sum()
    shares = {level: words.get(level, 0) / max(levels[level]["words"], 1) for level in ("word", "sentence") if level in levels}
    return pd.DataFrame([{"of": "words", "word": None, "sentence": None, **shares}]).astype({"word": float, "sentence": float})


def _asked(params: Params) -> list[Rule]:
    """Return the rules that each level in use has its share, within check.share_tolerance."""
    wanted, tolerance = params.segment, params.check.share_tolerance
    asked = {"word": (wanted.word.share, wanted.word_level), "sentence": (wanted.sentence.share, 1 - wanted.word_level)}
    return [
        mean_within(level, SHARE, low=round(max(0.0, share - tolerance), 6), high=round(min(1.0, share + tolerance), 6))
        for level, (share, drawn) in asked.items()
        if drawn > 0
    ]


def _counts(spans: "pd.DataFrame") -> "pd.DataFrame":
    """Return one row: the number of spans neither written nor dropped with a reason; must be 0."""
    import pandas as pd

    found = read_json(REPORTS / "segment.json").get("spans", {})
    lost = found["in"] - len(spans) - sum(found["dropped"].values()) if {"in", "dropped"} <= found.keys() else None
    return pd.DataFrame([{"report": "reports/segment.json", "lost": lost}])
