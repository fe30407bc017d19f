"""The stage: segment blocks of documents in parallel; each table of spans is kept until the end."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from inserter.errors import InserterError
from inserter.files import count_rows, read_batches, read_json, write_batches, write_json, write_table
from inserter.params import Params, Segment
from inserter.paths import DATA, REPORTS
from inserter.run.closure import deciding
from inserter.run.executor import cores, ordered_map
from inserter.run.runner import output
from inserter.run.work import WorkFolder
from inserter.tables import DOCUMENTS, SPANS, Document
from stages.segment.document import Counts, segment
from stages.segment.report import report, write_lengths

# Documents per block: about 0.5 s of work, which is what a kill loses per worker.
# A block is also one row group of the result.
BLOCK = 512


@dataclass(frozen=True)
class Task:
    """A block of documents."""

    path: Path
    """Table of the block's spans. The block's counts stand beside it and are written last."""

    documents: list[Document]
    params: Segment

    @property
    def counts(self) -> Path:
        return self.path.with_suffix(".json")


def main(params: Params) -> dict[str, object]:
    """Write data/segment/spans.parquet and reports/plots/segment.csv, and return the report.

    The spans are in the order of their documents.
    """
    source = DATA / "corpus"
    recipe = params.segment.model_dump(mode="json", exclude={"workers"})
    readers = deciding("stages.segment")
    work = WorkFolder("segment", recipe, [*sorted(source.glob("*.parquet")), *readers])
    counts, blocks = _segmented(source, work / "blocks", params.segment)
    if not (counts["chosen", "word"] or counts["chosen", "sentence"]):
        raise InserterError("no span of the corpus can be spoken", "Raise segment.word.share or add text to the corpus")
    write_batches(work / "spans/spans.parquet", (rows for block in blocks for rows in read_batches(block, SPANS)), SPANS)
    work.publish("spans", output("segment"))
    write_lengths(REPORTS / "plots" / "segment.csv", counts)
    return report(counts)


def _segmented(source: Path, folder: Path, params: Segment) -> tuple[Counts, list[Path]]:
    """Segment every block; return the counts of all blocks and their tables in order."""
    batches = enumerate(read_batches(source, DOCUMENTS, BLOCK))
    tasks: Iterator[Task] = (Task(folder / f"{index:06d}.parquet", rows, params) for index, rows in batches)
    counts, blocks = Counts(), []
    with tqdm(desc="segment", unit=" documents", mininterval=1.0) as bar:
        for path, documents, found in ordered_map(_segment_block, tasks, _workers(source, params)):
            counts.update({tuple(key): count for key, count in found})
            blocks.append(path)
            bar.update(documents)
    return counts, blocks


def _workers(source: Path, params: Segment) -> int:
    """Return the number of processes, which is 1 if more would not pay.

    Starting a process takes about as long as three blocks.
    """
    documents = sum(map(count_rows, source.glob("*.parquet")))
    return params.workers or min(cores(), 1 + documents // (6 * BLOCK))


def _segment_block(task: Task) -> tuple[Path, int, list[tuple[list[str | int], int]]]:
    """Return (the block's table, its number of documents, its counts as pairs).

    A block that an earlier run finished is not segmented again.
    """
    if not task.counts.exists():
        counts = Counts()
        rows = [row for document in task.documents for row in segment(document, task.params, counts)]
        write_table(task.path, rows, SPANS)
        write_json(task.counts, sorted(counts.items(), key=str))
    return task.path, len(task.documents), read_json(task.counts)
