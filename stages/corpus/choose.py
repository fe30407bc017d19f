"""Choose the documents of the corpus by draw, in the sources' shares, and hold some of them out."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from inserter.files import write_batches
from inserter.params import Corpus
from inserter.tables import Table
from inserter.text.overlap import Passages
from stages.corpus.counts import NO_BOUND

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class Chosen(TypedDict):
    """A chosen document."""

    position: int
    """Its place in the corpus."""
    seq: int
    """Its number in the database."""


CHOSEN = Table(Chosen)
BATCH = 2_048
# A raw document with more than this share of its source's words is split within, so that no single
# document decides the split.
LARGEST = 0.05
# If heldout_share of a small source is too little, set apart this multiple of the words of the
# held-out documents.
SPARE = 1.5
MOST_APART = 0.5  # largest share of a source that SPARE may set apart
# A unit is held out or trained on as a whole. A unit is a raw document, or each document that is
# cut from a large raw document.
USABLE = """
CREATE TABLE usable AS
SELECT seq, source, draw, n_words, unit, unit < bound AS apart
FROM (SELECT *, CASE WHEN origin_words <= largest THEN origin_draw ELSE own_draw END AS unit
      FROM unique_texts ANTI JOIN near USING (draw) JOIN shares USING (source) WHERE reason IS NULL)"""
# The documents of one source in the order of the sample: those set apart, or the others.
# Units with a held-out document are left out.
DRAWN = """
SELECT seq, n_words, text
FROM usable ANTI JOIN heldout_units USING (unit) JOIN (SELECT seq, text FROM everything) USING (seq)
WHERE source = ? AND apart = ? ORDER BY draw"""


@dataclass(frozen=True)
class Choice:
    """What was chosen; the lists have one entry per source."""

    documents: int
    """Number of chosen documents, held-out documents included."""

    heldout: int
    """Number of held-out documents."""

    words: list[int]
    """Number of words of the chosen documents."""

    exhausted: list[bool]
    """Whether every usable document of the source was taken."""

    thin: list[bool]
    """Whether the source has fewer documents to hold out than were wanted."""

    units: int
    """Number of units that could be held out or trained on."""

    repeats: int
    """Number of documents left out of training because they repeat a held-out document."""


def rows(db: "DuckDBPyConnection", query: str, *values: object) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query, streamed through a separate cursor."""
    for batch in db.cursor().sql(query, params=values).to_arrow_reader(BATCH):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def choose(db: "DuckDBPyConnection", params: Corpus, sizes: list[int], *, path: Path) -> Choice:
    """Choose documents to hold out, then documents to train on until there are enough words.

    Write `path` (schema CHOSEN), make it the view `chosen`, and fill the table `heldout` (seq).
    sizes: number of clean words per source.

    A separate draw sets apart a share of the units. The best draws among these units are held out.
    If they are too few, the best draws of the other units follow. The held-out documents are
    therefore the same however many words are wanted. A unit with a held-out document is never
    trained on. The rest of the units that are set apart is trained on last.
    """
    _set_apart(db, params, sizes)
    apart, extra = _Drawn(db, params, apart=True), _Drawn(db, params, apart=False)
    held = list(islice(apart, params.heldout_documents))
    held += islice(extra, params.heldout_documents - len(held))
    _hold_out(db, [seq for seq, _ in held])
    passages = Passages((text for _, text in held), params.near_duplicates)
    others, rest = (_Drawn(db, params, is_apart, passages=passages) for is_apart in (False, True))
    drawn, documents = (apart, extra, others, rest), 0

    def taken() -> Iterator[int]:
        yield from (seq for seq, _ in held)
        following = chain(others, rest)
        while sum(sum(each.words) for each in drawn) < params.words and (found := next(following, None)):
            yield found[0]

    def placed() -> Iterator[Chosen]:
        nonlocal documents
        for seq in taken():
            yield {"position": documents, "seq": seq}
            documents += 1

    write_batches(path, _batches(placed()), CHOSEN)
    db.execute(f"CREATE VIEW chosen AS SELECT * FROM read_parquet('{path}')")
    (units,) = db.execute("SELECT count(DISTINCT unit) FROM usable").fetchone() or (0,)
    return Choice(
        documents=documents,
        heldout=len(held),
        units=units,
        repeats=others.repeats + rest.repeats,
        words=[sum(words) for words in zip(*(each.words for each in drawn), strict=True)],
        exhausted=[one is None and other is None for one, other in zip(others.heads, rest.heads, strict=True)],
        thin=[head is None for head in apart.heads],
    )


def _set_apart(db: "DuckDBPyConnection", params: Corpus, sizes: list[int]) -> None:
    """Create the table `usable`, and the empty tables `heldout` (seq) and `heldout_units` (unit).

    The columns of `usable` are seq, source, draw, n_words, unit and apart.
    """
    weights = sum(source.weight for source in params.sources)
    db.execute("CREATE TABLE shares (source BIGINT, largest DOUBLE, bound BIGINT)")
    for number, (source, size) in enumerate(zip(params.sources, sizes, strict=True)):
        wanted = SPARE * params.heldout_documents * params.max_words * source.weight / weights
        share = max(params.heldout_share, min(MOST_APART, wanted / max(size, 1)))
        # A raw document of recordings is a speaker, who is never split.
        largest = size if source.kind == "recorded" else LARGEST * size
        db.execute("INSERT INTO shares VALUES (?, ?, ?)", (number, largest, int(share * NO_BOUND)))
    db.execute(USABLE)
    db.execute("CREATE TABLE heldout (seq BIGINT)")
    db.execute("CREATE TABLE heldout_units (unit BIGINT)")


def _hold_out(db: "DuckDBPyConnection", seqs: list[int]) -> None:
    if seqs:
        db.executemany("INSERT INTO heldout VALUES (?)", [(seq,) for seq in seqs])
    db.execute("INSERT INTO heldout_units SELECT DISTINCT unit FROM usable SEMI JOIN heldout USING (seq)")


class _Drawn:
    """Iterator over (seq, text) of usable documents, best draw first.

    The next document always comes from the source that is furthest behind its share of the words
    so far. A source that runs out leaves its share to the other sources. A document that repeats
    one of `passages` is counted in `repeats` and left out.
    """

    def __init__(self, db: "DuckDBPyConnection", params: Corpus, apart: bool, *, passages: Passages | None = None) -> None:
        self.weights = [source.weight for source in params.sources]
        self.passages, self.repeats = passages, 0
        self.queues = [rows(db, DRAWN, number, apart) for number in range(len(params.sources))]
        self.words = [0] * len(self.queues)

    @cached_property
    def heads(self) -> list[tuple[int, int, str] | None]:
        """The next document of each source; computed on first use, because the query sorts."""
        return [next(queue, None) for queue in self.queues]

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return self

    def __next__(self) -> tuple[int, str]:
        while left := [number for number, head in enumerate(self.heads) if head]:
            number = min(left, key=lambda n: self.words[n] / self.weights[n])
            seq, size, text = self.heads[number] or (0, 0, "")
            self.heads[number] = next(self.queues[number], None)
            if self.passages and self.passages.repeated_in(text):
                self.repeats += 1
                continue
            self.words[number] += size
            return seq, text
        raise StopIteration


def _batches(found: Iterator[Chosen]) -> Iterator[list[Chosen]]:
    batch: list[Chosen] = []
    for row in found:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch
