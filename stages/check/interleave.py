"""Rules of the gate after `interleave`.

The mixture is as configured. Every sequence has something to learn, only clean clips, and nothing
that is held out.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from inserter.files import read_batches
from inserter.params import Params
from inserter.paths import DATA
from inserter.tables import DOCUMENTS, HELDOUT, SEQUENCES, VERIFIED, HeldOutContext, Sequence
from inserter.text.overlap import Passages
from stages.check.frames import Picked, frame, picker
from stages.check.rules import Rule, Table, mean_within, one_of, present, rows, unique, within

if TYPE_CHECKING:
    import pandas as pd

# Kinds of sequence per share of interleave.mixture.
MIXTURE = {"interleaved": ["interleaved"], "speech_tasks": ["transcribe", "continue"], "text": ["text"]}
KINDS = [kind for kinds in MIXTURE.values() for kind in kinds]
COLUMNS = ["seq_id", "kind", "n_words", "split", "learnt_parts", "speech_fits_kind", "clips_not_clean", "repeats_heldout"]
HELDOUT_COLUMNS = ["doc_id", "split", "clip_clean", "other_differs", "context_words", "continuation_words"]
AGAIN = "Delete data/interleave and run `dvc repro interleave`"
MISMATCH = "A sequence uses a quarantined clip: " + AGAIN


def interleave(params: Params) -> list[Table]:
    splits = _splits()
    clean = set(frame(DATA / "verify" / "clean.parquet", VERIFIED, picker("utt_id"), columns=["utt_id"])["utt_id"])
    folder = DATA / "interleave"
    contexts = Passages(_contexts(folder / "heldout.parquet"), params.corpus.near_duplicates)
    sequences = frame(
        folder / "sequences.parquet", SEQUENCES, lambda row: _sequence(row, splits, clean, contexts=contexts), columns=COLUMNS
    )
    heldout = frame(folder / "heldout.parquet", HELDOUT, lambda row: _heldout(row, splits, clean), columns=HELDOUT_COLUMNS)
    return [
        Table(
            "sequences",
            sequences,
            "seq_id",
            (
                rows("Raise corpus.words: there are too few training sequences", low=params.check.min_rows.sequences),
                present("seq_id", AGAIN),
                unique("seq_id", AGAIN),
                one_of("kind", KINDS, AGAIN),
                one_of("split", ["train"], "A sequence has held-out text: " + AGAIN),
                one_of("repeats_heldout", [False], "A sequence repeats a held-out context: " + AGAIN),
                within("learnt_parts", AGAIN, low=1),
                one_of("speech_fits_kind", [True], AGAIN),
                within("clips_not_clean", MISMATCH, high=0),
            ),
        ),
        Table("mixture", _shares(sequences), "of", tuple(_mixture(params))),
        Table(
            "heldout",
            heldout,
            "doc_id",
            (
                rows("Raise corpus.heldout_documents, or lower segment.context_words", low=params.check.min_rows.heldout),
                one_of("split", ["heldout"], "A held-out context is from the training split: " + AGAIN),
                one_of("clip_clean", [True], MISMATCH),
                one_of("other_differs", [True], AGAIN),
                within("context_words", AGAIN, low=1),
                within("continuation_words", AGAIN, low=1),
            ),
        ),
    ]


def _shares(sequences: "pd.DataFrame") -> "pd.DataFrame":
    """Return one row: the share of all words that each group of kinds has."""
    import pandas as pd

    total = max(sequences["n_words"].sum(), 1)
    shares = {name: sequences.loc[sequences["kind"].isin(kinds), "n_words"].sum() / total for name, kinds in MIXTURE.items()}
    return pd.DataFrame([{"of": "words", **shares}]).astype(dict.fromkeys(MIXTURE, float))


def _mixture(params: Params) -> list[Rule]:
    """Return the rules that each group has its configured share, within check.mixture_tolerance."""
    tolerance = params.check.mixture_tolerance
    remedy = "Raise corpus.words (too few documents or clean clips of one kind), or change interleave.mixture"
    shares = {name: getattr(params.interleave.mixture, name) for name in MIXTURE}
    return [
        mean_within(name, remedy, low=round(max(0.0, share - tolerance), 6), high=round(min(1.0, share + tolerance), 6))
        for name, share in shares.items()
    ]


def _contexts(path: Path) -> Iterator[str]:
    """Yield each held-out context that is heard or read, with the continuation to be predicted."""
    for batch in read_batches(path, HELDOUT):
        yield from ((row["context"] or "") + (row["continuation"] or "") for row in batch)


def _splits() -> dict[str, str]:
    documents: pd.DataFrame = frame(DATA / "corpus", DOCUMENTS, picker("doc_id", "split"), columns=["doc_id", "split"])
    return dict(zip(documents["doc_id"], documents["split"], strict=True))


def _sequence(row: Sequence, splits: dict[str, str], clean: set[str], *, contexts: Passages) -> Picked:
    parts = row["parts"] or []
    clips = [part["utt_id"] for part in parts if part["utt_id"] is not None]
    return {
        **row,
        "split": splits.get(row["doc_id"], "unknown document"),
        "learnt_parts": sum(bool(part["loss"] and part["text"] and part["utt_id"] is None) for part in parts),
        "speech_fits_kind": bool(clips) == (row["kind"] != "text"),
        "clips_not_clean": sum(clip not in clean for clip in clips),
        "repeats_heldout": contexts.repeated_in("".join(part["text"] or "" for part in parts)),
    }


def _heldout(row: HeldOutContext, splits: dict[str, str], clean: set[str]) -> Picked:
    return {
        "doc_id": row["doc_id"],
        "split": splits.get(row["doc_id"], "unknown document"),
        "clip_clean": row["utt_id"] in clean,
        "other_differs": row["other_doc_id"] != row["doc_id"],
        "context_words": len((row["context"] or "").split()),
        "continuation_words": len((row["continuation"] or "").split()),
    }
