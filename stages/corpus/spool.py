"""The first pass: every source, part by part over processes, into Parquet parts that survive a kill."""

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

PART_CHARACTERS, PART_RAWS = 1 << 20, 2_000  # a part is full at either: about a second of work
PARTS = 1_000_000  # a source has fewer


@dataclass
class Spool:
    """The parts of a source and what they count.

    words: usable words that are wanted of it. Once there are as many below some draw, later parts leave out what is above: the
    final bound is never higher, so the sample does not depend on when a part was made.
    """

    folder: Path
    number: int
    source: Source
    words: float
    counts: Counts

    @property
    def bound(self) -> int:
        return self.counts.bound(self.words)

    @property
    def left_out(self) -> bool:
        return self.bound < NO_BOUND

    def path(self, part: int) -> Path:
        return self.folder / f"{self.number:03d}-{part:06d}.parquet"


def fill(spools: list[Spool], params: Corpus, prompts: list[str], written: dict[str, list[Path]]) -> None:
    """Read every source to its end; what an earlier run has finished is not made again.

    written: the files of the sources that a language model wrote.
    """
    with tqdm(desc="corpus: read", unit=" documents", mininterval=1.0) as bar:
        parts = (part for spool in spools for part in _parts(spool, written.get(spool.source.name, []), bar))
        for part, counts in ordered_map(prepare, parts, params.workers, start, (params, prompts)):
            spools[part.source].counts.add(counts)
            bar.update(counts.raw["in"])


def _parts(spool: Spool, written: list[Path], bar: tqdm) -> Iterator[Part]:
    """The parts that are not there yet. The end of a source is noted, so that it need not be found again."""
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
    """What could not be read, in reading order."""
    for path in sorted(parts.glob("*-*.json")):
        yield from read_json(path)["quarantine"]
