"""The gate after `corpus`: documents told apart, of the size asked for, with a licence, and a held-out part."""

from stages.check.frames import Row, frame
from stages.check.rules import Table, one_of, present, rows, unique, within
from stages.common.files import read_json
from stages.common.params import Params
from stages.common.paths import DATA, REPORTS
from stages.common.tables import DOCUMENTS

COLUMNS = ["doc_id", "source", "license", "split", "n_words", "characters"]
AGAIN = "Delete data/corpus and run `dvc repro corpus`"


def corpus(params: Params) -> list[Table]:
    wanted = params.corpus
    documents = frame(DATA / "corpus", DOCUMENTS, _measure, COLUMNS)
    heldout = documents[documents["split"] == "heldout"]
    sources = [source.name for source in wanted.sources]
    return [
        Table(
            "documents",
            documents,
            "doc_id",
            (
                rows("Check that corpus.sources name text that can be read", low=1),
                present("doc_id", AGAIN),
                unique("doc_id", AGAIN),
                present("characters", AGAIN),
                within("characters", AGAIN, low=1),
                within("n_words", AGAIN, wanted.min_words, wanted.max_words),
                one_of("split", ["train", "heldout"], AGAIN),
                one_of("source", sources, AGAIN),
                present("license", "Give each of corpus.sources its license"),
            ),
        ),
        Table(
            "heldout",
            heldout,
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
            (rows("Raise corpus.words or add sources: every document is held out", low=1),),
        ),
        Table(
            "report",
            _report(),
            "report",
            (present("decontaminated", "Run `dvc repro corpus`: its report must count overlaps with the benchmark"),),
        ),
    ]


def _measure(row: Row) -> Row:
    text = row["text"]
    return {**row, "license": row["license"] or None, "characters": None if text is None else len(text.strip())}


def _report():
    import pandas as pd

    path = REPORTS / "corpus.json"
    return pd.DataFrame([{"report": str(path), "decontaminated": read_json(path).get("decontaminated")}])
