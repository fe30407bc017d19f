"""First pass: read every source in parallel into Parquet parts, which survive a kill."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from inserter.files import read_json, write_json
from inserter.params import Corpus, Source
from inserter.run.executor import ordered_map
from stages.corpus.counts import NO_BOUND, Counts
from stages.corpus.prepare import Part, marker, prepare, start
from stages.corpus.readers import RawDocument
from stages.corpus.sources import read

# A part is full at either limit: about a second of work.
PART_CHARACTERS, PART_RAWS = 1 << 20, 2_000
PARTS = 1_000_000  # every source has fewer parts


@dataclass
class Spool:
    """The parts of a source, and their counts."""

    folder: Path

    number: int
    """Index of the source in `corpus.sources`."""

    source: Source

    words: float
    """Usable words that are wanted of the source.

    Once this many words lie below some draw, later parts leave out what is above that draw. The
    final bound is never higher, so the sample does not depend on when a part was made.
    """

    counts: Counts

    @property
    def bound(self) -> int:
        return self.counts.bound(self.words)

    @property
    def left_out(self) -> bool:
        return self.bound < NO_BOUND

    def path(self, part: int) -> Path:
        return self.folder / f"{self.number:03d}-{part:06d}.parquet"


def fill(spools: list[Spool], params: Corpus, prompts: list[str], *, written: dict[str, list[Path]]) -> None:
    """Read every source to its end; parts that an earlier run finished are not made again.

    written: by source, the files that a language model wrote.
    """
    with tqdm(desc="corpus: read", unit=" documents", mininterval=1.0) as bar:
        parts = (part for spool in spools for part in _parts(spool, written.get(spool.source.name, []), bar))
        for part, counts in ordered_map(prepare, parts, params.workers, initializer=start, initargs=(params, prompts)):
            spools[part.source].counts.add(counts)
            bar.update(counts.raw["in"])


def _parts(spool: Spool, written: list[Path], bar: tqdm) -> Iterator[Part]:
    """Yield the parts that do not exist yet.

    The end of a source is noted, so that a later run need not find it again.
    """
    done = 0
    while marker(spool.path(done)).exists():
        spool.counts.add(Counts.from_json(read_json(marker(spool.path(done)))["counts"]))
        done += 1
    skip = spool.counts.raw["in"]
    bar.update(skip)
    end = spool.folder / f"{spool.number:03d}.end.json"
    if end.exists() and read_json(end)["parts"] == done:
        return
    part = done
    for raws in _batches(read(spool.source, skip, written)):
        yield Part(spool.number * PARTS + part, spool.number, spool.path(part), raws, spool.bound)
        part += 1
    write_json(end, {"parts": part})


def _batches(raws: Iterator[RawDocument]) -> Iterator[list[RawDocument]]:
    batch: list[RawDocument] = []
    characters = 0
    for raw in raws:
        batch.append(raw)
        characters += len(raw.text)
        if len(batch) >= PART_RAWS or characters >= PART_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def quarantined(parts: Path) -> Iterator[dict[str, str]]:
    """Yield what could not be read, in reading order."""
    for path in sorted(parts.glob("*-*.json")):
        yield from read_json(path)["quarantine"]
