"""Turn one part of a source into candidates in a Parquet file, in a worker process.

Raw documents are cleaned and cut into candidates, which are judged and hashed.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import pyarrow as pa
import pyarrow.parquet as pq

from inserter.files import atomic, write_json
from inserter.params import Corpus
from inserter.seeds import derive
from inserter.text.overlap import shingles
from inserter.text.words import count_words
from stages.corpus.clean import paragraphs
from stages.corpus.counts import Counts, bucket
from stages.corpus.cut import cut
from stages.corpus.language import language
from stages.corpus.overlap import Contamination, band_hashes, bands
from stages.corpus.readers import RawDocument

S, N = pa.string(), pa.int64()
# The columns of the bands follow these columns.
# seq: place in reading order.
# draw: place in the order of the sample, from (seed, text), so the same text has the same draw.
# own_draw, origin_draw: places of the document and of its raw document in the order of holding out.
# origin: the raw document, by its source and its place there; origin_words: its clean words.
# reason: why the document is refused; it then has no text.
COLUMNS = [
    ("seq", N),
    ("source", N),
    ("doc_id", S),
    ("draw", N),
    ("own_draw", N),
    ("origin", S),
    ("origin_draw", N),
    ("origin_words", N),
    ("language", S),
    ("reason", S),
    ("text", S),
    ("n_words", N),
]
PART_DOCUMENTS = 2**20  # seq = part * PART_DOCUMENTS + place in the part


class Judged(TypedDict):
    """The columns that the text of a candidate decides."""

    language: str
    n_words: int
    reason: str | None
    text: str | None


class Candidate(Judged):
    """A row of COLUMNS without `seq`."""

    source: int
    doc_id: str
    draw: int
    own_draw: int
    origin: str
    origin_draw: int
    origin_words: int


@dataclass(frozen=True)
class Part:
    """A part of a source."""

    number: int
    """Number of the part over all sources, in reading order."""

    source: int
    """Index of the source in `corpus.sources`."""

    path: Path
    """Parquet file of the candidates."""

    raws: list[RawDocument]

    bound: int
    """Candidates with this draw or a larger one are not sampled."""


def doc_id(source: str, text: str) -> str:
    """Return a short id of [A-Za-z0-9_-] from the source's name and the words of the text.

    Within a source, the same text has the same id.
    """
    digest = hashlib.blake2b(" ".join(text.lower().split()).encode(), digest_size=8).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9_]+', '-', source).strip('-')[:24] or 'source'}-{digest}"


class Preparer:
    def __init__(self, params: Corpus, prompts: Iterable[str]) -> None:
        self.params = params
        self.contamination = Contamination(prompts, params.decontaminate_ngram)
        self.schema = pa.schema([*COLUMNS, *((name, N) for name in band_names(params))])

    def __call__(self, part: Part) -> Counts:
        """Write the candidates to `part.path` (Parquet), and then their counts beside it (JSON).

        The file of the counts marks the part as complete. Return the counts.
        """
        counts, quarantine = Counts(), []
        rows = [row for raw in part.raws for row in self._documents(raw, part, counts)]
        quarantine = [{"name": raw.name, "reason": raw.error} for raw in part.raws if raw.error]
        hashes = band_hashes(
            [shingles(row["text"] or "", self.params.near_duplicates.shingle_words) for row in rows], self.params.near_duplicates
        )
        first = part.number * PART_DOCUMENTS
        numbered = [{**row, "seq": first + place} for place, row in enumerate(rows)]
        table = pa.Table.from_pylist(numbered, pa.schema(COLUMNS))
        for name, column in zip(band_names(self.params), hashes.T, strict=True):
            table = table.append_column(name, pa.array(column, N))
        atomic(part.path, lambda path: pq.write_table(table, path, compression="zstd"))
        source = self.params.sources[part.source].name
        write_json(marker(part.path), {"counts": counts.to_json(), "quarantine": [{"source": source, **row} for row in quarantine]})
        return counts

    def _documents(self, raw: RawDocument, part: Part, counts: Counts) -> Iterator[Candidate]:
        """Yield every candidate of a raw document below the bound, without seq and bands."""
        counts.raw["in"] += 1
        kept = self._clean(raw, counts)
        if not kept:
            return
        source = self.params.sources[part.source].name
        origin = f"{source}/{raw.name}"
        size = sum(map(count_words, kept))
        counts.words["kept"] += size
        origin_draw = self._heldout(origin)
        lost: Counter[str] = Counter()
        for text in cut(kept, self.params.min_words, self.params.max_words, dropped=lost):
            counts.documents["in"] += 1
            name = doc_id(source, text)
            digest = name.rpartition("-")[2]
            draw = derive(self.params.seed, "sample", digest)
            if draw >= part.bound:
                counts.dropped["not_sampled"] += 1
                continue
            yield {
                "source": part.source,
                "doc_id": name,
                "draw": draw,
                "own_draw": self._heldout(digest),
                "origin": origin,
                "origin_draw": origin_draw,
                "origin_words": size,
                **self._judged(text, draw, counts),
            }
        counts.documents["in"] += lost.total()
        counts.dropped += lost

    def _heldout(self, name: str) -> int:
        """Return the place of `name` in the order of holding out."""
        return derive(self.params.seed, "heldout", name)

    def _clean(self, raw: RawDocument, counts: Counts) -> list[str]:
        if raw.error:
            counts.raw_dropped[raw.error.partition(":")[0]] += 1
            return []
        before = counts.paragraphs_dropped.total()
        kept = paragraphs(raw.text, counts.edited, counts.paragraphs_dropped)
        counts.paragraphs["in"] += len(kept) + counts.paragraphs_dropped.total() - before
        counts.paragraphs["kept"] += len(kept)
        if kept:
            counts.raw["kept"] += 1
        else:
            counts.raw_dropped["no_clean_paragraph"] += 1
        return kept

    def _judged(self, text: str, draw: int, counts: Counts) -> Judged:
        code, size = language(text), count_words(text)
        reason = None
        if self.contamination.found_in(text):
            reason = "decontaminated"
        elif code not in self.params.languages:
            reason = "other_language"
        else:
            counts.usable[bucket(draw)] += size
        return {"language": code, "n_words": size, "reason": reason, "text": None if reason else text}


def band_names(params: Corpus) -> list[str]:
    return [f"band_{number:03d}" for number in range(bands(params.near_duplicates))]


def marker(path: Path) -> Path:
    return path.with_suffix(".json")


_preparer: Preparer | None = None  # one per process


def start(params: Corpus, prompts: list[str]) -> None:
    global _preparer
    _preparer = Preparer(params, prompts)


def prepare(part: Part) -> tuple[Part, Counts]:
    """Prepare a part, after `start` was called once in this process.

    Return the part without its raw documents, and its counts.
    """
    assert _preparer is not None
    counts = _preparer(part)
    return Part(part.number, part.source, part.path, [], part.bound), counts
