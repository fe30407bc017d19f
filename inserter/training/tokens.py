"""Examples as arrays: tokenised once, written to files, and mapped into memory by every process.

Memory therefore does not grow with the corpus. The files are numpy's, with one value per token, per
clip or per example.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np
from tqdm import tqdm

from inserter.files import count_rows, read_arrow, write_json
from inserter.tables import SEQUENCES, Part
from inserter.training.columns import read_columns, write_columns
from inserter.training.examples import NOTHING, Example, as_read, example
from models import InserterProcessor
from models.modeling import IGNORE

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 2048  # sequences that are tokenised at a time, on all cores
DONE = "tokens.json"  # written last
STARTS = ("starts", "clip_starts")


@dataclass(frozen=True, eq=False)
class Tokens(Sequence[Example]):
    """Many examples. Each array has the name of its file."""

    ids: np.ndarray
    """int32 (tokens,): a token's id, or the id's bitwise complement where nothing is learnt."""

    starts: np.ndarray
    """int64 (examples + 1,): where each example begins in `ids`."""

    clips: np.ndarray
    """bytes (clips,): UTF-8 ids of the clips."""

    clip_starts: np.ndarray
    """int64 (examples + 1,): where each example begins in `clips`."""

    positions: np.ndarray
    """int32 (examples,): `Example.positions`."""

    learnt: np.ndarray
    """int32 (examples,): `Example.learnt`."""

    @classmethod
    def of(cls, examples: Iterable[Example]) -> "Tokens":
        """Return the examples as arrays in memory."""
        arrays = _arrays(list(examples))
        return cls(**arrays | {name: np.concatenate([[0], arrays[name].cumsum()]) for name in STARTS})

    @classmethod
    def mapped(cls, folder: Path) -> "Tokens":
        """Map the files of `folder`, which `tokenised` wrote."""
        return cls(**read_columns(folder, (field.name for field in fields(cls))))

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


def tokenised(
    table: Path,
    processor: InserterProcessor,
    folder: Path,
    *,
    lengths: Mapping[str, int] = NOTHING,
    read: bool = False,
) -> Tokens:
    """Tokenise the sequences of `table` (SEQUENCES) into `folder`, unless this is done.

    lengths: see `example`. read: text takes the place of speech.

    The tokenizer works on all cores. Memory holds one batch of sequences.
    """
    if not (folder / DONE).exists():
        total = count_rows(table)
        with tqdm(total=total, desc="tokenise", unit="sequence", disable=total < BATCH) as bar:
            write_columns(folder, _batches(table, processor, lengths=lengths, read=read, bar=bar))
        write_json(folder / DONE, {"sequences": total})
    return Tokens.mapped(folder)


def _batches(
    table: Path, processor: InserterProcessor, *, lengths: Mapping[str, int], read: bool, bar: tqdm
) -> Iterator[dict[str, np.ndarray]]:
    """Yield the arrays of `Tokens` for a batch of sequences at a time."""
    width = 1 if read else _widest(table)
    ends = dict.fromkeys(STARTS, 0)
    yield {name: np.zeros(1, np.int64) for name in STARTS} | {"clips": np.zeros(0, f"S{width}")}
    for batch in read_arrow(table, SEQUENCES, ["kind", "parts"], size=BATCH):
        made = list(_examples(batch, processor, lengths=lengths, read=read))
        arrays = _arrays(made)
        for name in STARTS:
            arrays[name] = ends[name] + arrays[name].cumsum()
            ends[name] = int(arrays[name][-1])
        yield arrays
        bar.update(len(made))


def _examples(
    batch: "pa.RecordBatch", processor: InserterProcessor, *, lengths: Mapping[str, int], read: bool
) -> Iterator[Example]:
    """Yield the examples of a batch of SEQUENCES, whose texts are tokenised together."""
    rows: list[list[Part]] = batch.column("parts").to_pylist()
    texts = {part["text"] for parts in rows for part in parts if read or part["utt_id"] is None or part["utt_id"] not in lengths}
    encoded = processor.encode_all(texts)
    for kind, parts in zip(batch.column("kind").to_pylist(), rows, strict=True):
        shown = as_read(parts) if read else parts
        yield example(processor, shown, kind == "transcribe", lengths=lengths, encode=encoded.__getitem__)


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
        "positions": np.array([item.positions for item in examples], dtype=np.int32),
        "learnt": np.array([item.learnt for item in examples], dtype=np.int32),
    }
