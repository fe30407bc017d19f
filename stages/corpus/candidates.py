"""From raw documents to candidates: cleaned, cut, and the ones with the best draw kept, so that memory follows the sample."""

import hashlib
import heapq
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tqdm import tqdm

from stages.common.params import Corpus, Source
from stages.common.seeds import derive
from stages.corpus.clean import paragraphs
from stages.corpus.cut import count_words, cut
from stages.corpus.sources import read


@dataclass(frozen=True)
class Candidate:
    """A document that may be sampled. draw: its place in the order, from (seed, text). origin: its raw document."""

    doc_id: str
    source: Source
    origin: str
    text: str
    n_words: int
    draw: int


@dataclass
class Counts:
    """Every step: in = kept + dropped by reason. `documents` counts documents after cutting."""

    raw: Counter[str] = field(default_factory=Counter)
    raw_dropped: Counter[str] = field(default_factory=Counter)
    paragraphs: Counter[str] = field(default_factory=Counter)
    paragraphs_dropped: Counter[str] = field(default_factory=Counter)
    edited: Counter[str] = field(default_factory=Counter)
    documents: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    quarantine: list[dict[str, str]] = field(default_factory=list)


def doc_id(source: str, text: str) -> str:
    """Short, of [A-Za-z0-9_-], from the source's name and the words of the text: the same text has the same id."""
    digest = hashlib.blake2b(" ".join(text.lower().split()).encode(), digest_size=6).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9_]+', '-', source).strip('-')[:24] or 'source'}-{digest}"


def documents(source: Source, params: Corpus, counts: Counts) -> Iterator[Candidate]:
    """Every document of `source`, cleaned and cut."""
    for raw in tqdm(read(source), desc=f"corpus: {source.name}", unit=" documents", mininterval=1.0):
        counts.raw["in"] += 1
        if raw.error:
            counts.raw_dropped[raw.error.partition(":")[0]] += 1
            counts.quarantine.append({"source": source.name, "name": raw.name, "reason": raw.error})
            continue
        before = counts.paragraphs_dropped.total()
        kept = paragraphs(raw.text, counts.edited, counts.paragraphs_dropped)
        counts.paragraphs["in"] += len(kept) + counts.paragraphs_dropped.total() - before
        counts.paragraphs["kept"] += len(kept)
        if not kept:
            counts.raw_dropped["no_clean_paragraph"] += 1
            continue
        counts.raw["kept"] += 1
        lost: Counter[str] = Counter()
        for text in cut(kept, params.min_words, params.max_words, lost):
            counts.documents["in"] += 1
            name = doc_id(source.name, text)
            draw = derive(params.seed, "sample", name.rpartition("-")[2])
            yield Candidate(name, source, f"{source.name}/{raw.name}", text, count_words(text), draw)
        counts.documents["in"] += lost.total()
        counts.dropped += lost


def best(found: Iterator[Candidate], words: int, counts: Counts) -> tuple[list[Candidate], bool]:
    """The candidates with the lowest draws, about `words` words of them, in order; and whether any was left out.

    The same text twice has the same draw, so its copies meet here: all but the first are exact duplicates.
    """
    heap: list[tuple[int, str]] = []  # the worst first
    kept: dict[str, Candidate] = {}
    total = 0
    left_out = False
    for candidate in found:
        if candidate.doc_id in kept:
            counts.dropped["exact_duplicate"] += 1
            continue
        kept[candidate.doc_id] = candidate
        heapq.heappush(heap, (-candidate.draw, candidate.doc_id))
        total += candidate.n_words
        while total - kept[heap[0][1]].n_words >= words:
            worst = kept.pop(heapq.heappop(heap)[1])
            total -= worst.n_words
            counts.dropped["not_sampled"] += 1
            left_out = True
    return sorted(kept.values(), key=lambda c: (c.draw, c.doc_id)), left_out
