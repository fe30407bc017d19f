"""Rules of the gate after `corpus`.

Documents have unique ids and a licence, and are of the size, amount and languages asked for.
Sources have their shares. Nothing of the held-out part is trained on.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from inserter.files import read_batches, read_json, read_jsonl
from inserter.params import Corpus, Params
from inserter.paths import DATA, REPORTS
from inserter.tables import DOCUMENTS, LEXICON, Document
from inserter.text.overlap import Passages
from stages.check.frames import Picked, frame
from stages.check.rules import Table, one_of, present, rows, unique, within

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = [
    "doc_id",
    "source",
    "license",
    "weight",
    "language",
    "split",
    "n_words",
    "characters",
    "benchmark_text",
    "repeats_heldout",
]
FEW = "Add sources or lower corpus.words: all usable text is in use (reports/corpus.json has the reasons for the rest)"
BEHIND = "Delete data/corpus and run `dvc repro corpus`: this source has text that was left out"
AGAIN = "Delete data/corpus and run `dvc repro corpus`"


def corpus(params: Params) -> list[Table]:
    wanted = params.corpus
    asked = _asked(wanted.decontaminate_ngram)
    heldout = Passages(_heldout_texts(), wanted.near_duplicates)
    documents = frame(
        DATA / "corpus", DOCUMENTS, lambda row: _measure(row, asked, wanted.decontaminate_ngram, heldout=heldout), columns=COLUMNS
    )
    sampled = documents[documents["split"] != LEXICON]
    sources = [source.name for source in wanted.sources]
    return [
        Table(
            "documents",
            documents,
            "doc_id",
            (
                rows("Check that corpus.sources names readable text", low=1),
                present("doc_id", AGAIN),
                unique("doc_id", AGAIN),
                present("characters", AGAIN),
                within("characters", AGAIN, low=1),
                one_of("split", ["train", "heldout", LEXICON], AGAIN),
                one_of("source", [*sources, LEXICON], AGAIN),
                one_of("benchmark_text", [False], AGAIN),
                present("language", AGAIN),
                one_of("language", list(wanted.languages), AGAIN),
                present("weight", AGAIN),
                present("license", "Give each source in corpus.sources a license"),
            ),
        ),
        Table("sizes", sampled, "doc_id", (within("n_words", AGAIN, low=wanted.min_words, high=wanted.max_words),)),
        Table(
            "heldout",
            sampled[sampled["split"] == "heldout"],
            "doc_id",
            (
                rows(
                    "Lower corpus.heldout_documents, or raise corpus.words or add sources",
                    wanted.heldout_documents,
                    wanted.heldout_documents,
                ),
            ),
        ),
        Table(
            "train",
            documents[documents["split"] == "train"],
            "doc_id",
            (
                rows("Raise corpus.words or add sources: every document is held out", low=1),
                one_of("repeats_heldout", [False], "Training text repeats held-out text: " + AGAIN),
            ),
        ),
        Table("words", _words(sampled, wanted), "corpus", (within("share", FEW, low=wanted.gate.min_words),)),
        Table("sources", _sources(sampled, wanted), "source", (within("behind", BEHIND, high=wanted.gate.max_behind),)),
        Table(
            "counts",
            _counts(len(sampled)),
            "report",
            (present("decontaminated", AGAIN), present("lost", AGAIN), within("lost", AGAIN, low=0, high=0)),
        ),
    ]


def _asked(n: int) -> set[tuple[str, ...]]:
    """Return the n-grams of the benchmark's prompts."""
    return {gram for row in read_jsonl(DATA / "benchmark" / "prompts.jsonl") for gram in _ngrams(row["prompt"], n)}


def _ngrams(text: str, n: int) -> Iterator[tuple[str, ...]]:
    """Return the runs of n words, simply split at blanks and around Chinese characters.

    An overlap here is an overlap for the corpus stage too.
    """
    apart = re.sub(r"([\u3400-\u9fff])", r" \1 ", text.lower())
    words = [word for word in apart.split() if any(map(str.isalnum, word))]
    return zip(*(words[start:] for start in range(n)), strict=False)


def _heldout_texts() -> Iterator[str]:
    """Return the documents by which a model is measured.

    Memory grows with these documents, not with the corpus.
    """
    return (row["text"] or "" for batch in read_batches(DATA / "corpus", DOCUMENTS) for row in batch if row["split"] == "heldout")


def _measure(row: Document, asked: set[tuple[str, ...]], n: int, *, heldout: Passages) -> Picked:
    text = row["text"]
    return {
        **row,
        "license": row["license"] or None,
        "characters": None if text is None else len(text.strip()),
        "benchmark_text": any(gram in asked for gram in _ngrams(text or "", n)),
        "repeats_heldout": row["split"] == "train" and heldout.repeated_in(text or ""),
    }


def _words(documents: "pd.DataFrame", wanted: Corpus) -> "pd.DataFrame":
    """Return one row: the words of the corpus, as a share of the words asked for."""
    import pandas as pd

    return pd.DataFrame([{"corpus": "data/corpus", "share": float(documents["n_words"].sum()) / wanted.words}])


def _sources(documents: "pd.DataFrame", wanted: Corpus) -> "pd.DataFrame":
    """Return one row per source: how far its words are behind its share, relative to that share.

    The source with the most words for its weight sets what the others are entitled to. A source
    that has given all its text is at 0. A lag of one document is tolerated.
    """
    import pandas as pd

    report = read_json(REPORTS / "corpus.json").get("sources", {})
    words = documents.groupby("source")["n_words"].sum().to_dict()
    level = max((words.get(source.name, 0) / source.weight for source in wanted.sources), default=0.0)
    rows = []
    for source in wanted.sources:
        missing = level * source.weight - words.get(source.name, 0) - wanted.max_words
        excused = report.get(source.name, {}).get("exhausted", False) or missing <= 0
        rows.append({"source": source.name, "behind": 0.0 if excused else missing / (level * source.weight)})
    return pd.DataFrame(rows)


def _counts(written: int) -> "pd.DataFrame":
    """Return one row: the documents dropped as benchmark text, and the lost documents.

    Lost documents are neither written nor dropped with a reason; their number must be 0.
    """
    import pandas as pd

    report = read_json(REPORTS / "corpus.json")
    found = report.get("documents", {})
    lost = found["in"] - written - sum(found["dropped"].values()) if {"in", "dropped"} <= found.keys() else None
    return pd.DataFrame([{"report": "reports/corpus.json", "decontaminated": report.get("decontaminated"), "lost": lost}])
