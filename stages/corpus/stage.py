"""The stage: sample, split, write, count."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.common.errors import InserterError
from stages.common.files import read_jsonl, write_jsonl, write_table
from stages.common.params import Params
from stages.common.paths import DATA
from stages.common.runner import output
from stages.common.tables import DOCUMENTS
from stages.common.work import WorkFolder
from stages.corpus.candidates import Candidate, Counts
from stages.corpus.overlap import Contamination
from stages.corpus.sample import held_out, sample

SHARD = 5_000  # documents a Parquet file


def main(params: Params) -> dict[str, Any]:
    """data/corpus/documents-NNNNN.parquet, and quarantine.jsonl with what could not be read."""
    prompts = DATA / "benchmark" / "prompts.jsonl"
    chosen, counts, contamination = sample(params.corpus, _prompts(prompts))
    out = held_out(chosen, params.corpus)
    rows = [_row(candidate, "heldout" if candidate.doc_id in out else "train") for candidate in chosen]
    work = WorkFolder("corpus", params.corpus.model_dump(mode="json"), [prompts])
    for number, start in enumerate(range(0, len(rows), SHARD)):
        write_table(work / f"documents/documents-{number:05d}.parquet", rows[start : start + SHARD], DOCUMENTS)
    write_jsonl(work / "documents/quarantine.jsonl", counts.quarantine)
    work.publish("documents", output("corpus"))
    return _metrics(rows, counts, contamination)


def _prompts(path: Path) -> Iterator[str]:
    try:
        for line in read_jsonl(path):
            yield line["prompt"]
    except FileNotFoundError as error:
        raise InserterError(f"{path} is not there", "Run `dvc repro benchmark`") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InserterError(f"{path} has a line without a prompt ({error})", "Delete it and run `dvc repro benchmark`") from error


def _row(candidate: Candidate, split: str) -> dict[str, Any]:
    source = candidate.source
    values = {"doc_id": candidate.doc_id, "source": source.name, "license": source.license, "split": split}
    return values | {"text": candidate.text, "n_words": candidate.n_words}


def _metrics(rows: list[dict[str, Any]], counts: Counts, contamination: Contamination) -> dict[str, Any]:
    sources: dict[str, dict[str, Any]] = {}
    splits: dict[str, dict[str, int]] = {}
    for row in rows:
        source = sources.setdefault(row["source"], {"documents": 0, "words": 0, "license": row["license"]})
        split = splits.setdefault(row["split"], {"documents": 0, "words": 0})
        for count in (source, split):
            count["documents"] += 1
            count["words"] += row["n_words"]
    return {
        "raw_documents": {**_plain(counts.raw), "dropped": _plain(counts.raw_dropped)},
        "paragraphs": {
            **_plain(counts.paragraphs),
            "dropped": _plain(counts.paragraphs_dropped),
            "edited": _plain(counts.edited),
        },
        "documents": {**_plain(counts.documents), "dropped": _plain(counts.dropped)},
        "decontaminated": counts.dropped["decontaminated"],
        "prompts": {"looked_for": contamination.prompts - contamination.too_short, "too_short": contamination.too_short},
        "sources": sources,
        "splits": splits,
    }


def _plain(counts: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}
