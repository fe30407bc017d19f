"""Sequences as token ids. The stage `interleave` writes them once; training maps them into memory.

Memory therefore does not grow with the corpus, and no training process waits for the tokenizer.
The files are numpy's, with one value per token, per clip or per example.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np
from tqdm import tqdm

from inserter.errors import InserterError
from inserter.files import count_rows, read_arrow
from inserter.tables import SEQUENCES, Part
from inserter.training.columns import read_columns, write_columns
from inserter.training.examples import Example, as_read, example
from models.packing import IGNORE
from models.processor import InserterProcessor

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 2048  # sequences that are tokenised at a time, on all cores
COLUMNS = ("ids", "starts", "clips", "clip_starts", "spoken", "learnt")
STARTS = ("starts", "clip_starts")
UNKNOWN = -1  # positions of a clip that has to be heard first


@dataclass(frozen=True, eq=False)
class Tokens(Sequence[Example]):
    """Many examples. Each array but `positions` has the name of its file."""

    ids: np.ndarray
    """int32 (tokens,): a token's id, or the id's bitwise complement where nothing is learnt."""

    starts: np.ndarray
    """int64 (examples + 1,): where each example begins in `ids`."""

    clips: np.ndarray
    """bytes (clips,): UTF-8 ids of the clips."""

    clip_starts: np.ndarray
    """int64 (examples + 1,): where each example begins in `clips`."""

    learnt: np.ndarray
    """int32 (examples,): `Example.learnt`."""

    positions: np.ndarray
    """int32 (examples,): `Example.positions`."""

    @classmethod
    def of(cls, examples: Iterable[Example]) -> "Tokens":
        """Return the examples as arrays in memory."""
        made = list(examples)
        arrays = _arrays(made)
        starts = {name: np.concatenate([[0], arrays[name].cumsum()]) for name in STARTS}
        return cls(**arrays | starts, positions=np.array([item.positions for item in made], dtype=np.int32))

    @classmethod
    def mapped(cls, folder: Path, heard: Callable[[np.ndarray], np.ndarray] | None = None) -> "Tokens":
        """Map the files of `folder`, which `tokenise` wrote.

        heard: returns the LM positions of clips, (n,) ids in, int (n,) out, and UNKNOWN where they
            are not known. A clip whose positions are unknown counts as its written tokens.

        Raises InserterError if `folder` has no such files.
        """
        try:
            arrays = read_columns(folder, COLUMNS)
        except FileNotFoundError as error:
            raise InserterError(f"no tokens at {folder}", "Run `dvc repro`, or `dvc pull` if DVC has a remote") from error
        spoken = arrays.pop("spoken")
        starts, clip_starts = (arrays[name] for name in STARTS)
        positions = np.diff(starts).astype(np.int32)
        for first in range(0, len(positions), BATCH):
            at = clip_starts[first : first + BATCH + 1]
            sizes = spoken[at[0] : at[-1]]
            if heard is not None and len(sizes):
                known = heard(arrays["clips"][at[0] : at[-1]])
                sizes = np.where(known == UNKNOWN, sizes, known)
            sums = np.concatenate([[0], (sizes - 1).cumsum()])  # a clip takes the place of its placeholder
            positions[first : first + BATCH] += np.diff(sums[at - at[0]]).astype(np.int32)
        return cls(**arrays, positions=positions)

    def __len__(self) -> int:
        return len(self.positions)

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...

    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        kept = self.ids[self.starts[index] : self.starts[index + 1]]
        labels = np.where(kept < 0, IGNORE, kept)
        ids = np.where(kept < 0, ~kept, kept)
        return Example(tuple(ids.tolist()), tuple(labels.tolist()), self.clips_of(index), int(self.positions[index]))

    def clips_of(self, index: int) -> tuple[str, ...]:
        """Return the ids of the clips of one example, in order."""
        return tuple(name.decode() for name in self.clips[self.clip_starts[index] : self.clip_starts[index + 1]].tolist())


def tokenise(table: Path, processor: InserterProcessor, folder: Path, *, read: bool = False) -> None:
    """Tokenise the sequences of `table` (SEQUENCES), and write the files of `Tokens` to `folder`.

    read: text takes the place of speech.

    The tokenizer works on all cores. Memory holds one batch of sequences.
    """
    total = count_rows(table)
    with tqdm(total=total, desc="tokenise", unit="sequence", disable=total < BATCH) as bar:
        write_columns(folder, _batches(table, processor, read=read, bar=bar))


def _batches(table: Path, processor: InserterProcessor, *, read: bool, bar: tqdm) -> Iterator[dict[str, np.ndarray]]:
    """Yield the columns for a batch of sequences at a time."""
    width = 1 if read else _widest(table)
    ends = dict.fromkeys(STARTS, 0)
    yield {name: np.zeros(1, np.int64) for name in STARTS} | {"clips": np.zeros(0, f"S{width}")}
    for batch in read_arrow(table, SEQUENCES, ["kind", "parts"], size=BATCH):
        rows: list[list[Part]] = batch.column("parts").to_pylist()
        encoded = processor.encode_all({part["text"] for parts in rows for part in parts})
        arrays = _arrays(list(_examples(batch, rows, processor, encode=encoded.__getitem__, read=read)))
        for name in STARTS:
            arrays[name] = ends[name] + arrays[name].cumsum()
            ends[name] = int(arrays[name][-1])
        heard = (part for parts in rows for part in parts if part["utt_id"] and not read)
        yield arrays | {"spoken": np.array([len(encoded[part["text"]]) for part in heard], dtype=np.int32)}
        bar.update(len(rows))


def _examples(
    batch: "pa.RecordBatch", rows: list[list[Part]], processor: InserterProcessor, *, encode: Callable[[str], list[int]], read: bool
) -> Iterator[Example]:
    """Yield the examples of a batch of SEQUENCES. rows: its parts. encode: returns a text's ids."""
    for kind, parts in zip(batch.column("kind").to_pylist(), rows, strict=True):
        yield example(processor, as_read(parts) if read else parts, kind == "transcribe", encode=encode)


def _widest(table: Path) -> int:
    """Return the most bytes of a clip's id."""
    import pyarrow.compute as pc

    batches = read_arrow(table, SEQUENCES, ["parts"])
    ids = (batch.column("parts").flatten().field("utt_id") for batch in batches)
    return max((pc.max(pc.binary_length(names)).as_py() or 1 for names in ids), default=1)


def _arrays(examples: Sequence[Example]) -> dict[str, np.ndarray]:
    """Return the arrays of `Tokens`, with the sizes of examples in place of their starts."""
    sizes = np.array([len(item.ids) for item in examples], dtype=np.int64)
    count = int(sizes.sum())
    ids = np.fromiter(chain.from_iterable(item.ids for item in examples), np.int32, count)
    labels = np.fromiter(chain.from_iterable(item.labels for item in examples), np.int32, count)
    return {
        "ids": np.where(labels == IGNORE, ~ids, ids),
        "starts": sizes,
        "clips": np.array([clip.encode() for item in examples for clip in item.clips], dtype=np.bytes_),
        "clip_starts": np.array([len(item.clips) for item in examples], dtype=np.int64),
        "learnt": np.array([item.learnt for item in examples], dtype=np.int32),
    }
