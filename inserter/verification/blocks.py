"""Measure clips block by block over worker processes.

Measuring takes the time. Neither a kill nor a changed limit loses the blocks that are measured, and
other text loses only the blocks that it changes. A measurement depends on the clips that are heard
together, so a block is measured anew as a whole.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from inserter.assets import asr_folder
from inserter.audio.clips import read_clip_bytes
from inserter.files import fingerprint, read_table, write_table
from inserter.params import Params, Verify
from inserter.run.closure import deciding
from inserter.run.executor import ordered_map
from inserter.seeds import derive
from inserter.tables import VERIFIED, Utterance, Verified
from inserter.verification import measure
from inserter.verification.asr import Transcriber
from inserter.verification.hear import Ears
from inserter.verification.norms import Norms
from inserter.verification.verdict import Verdict, judge

# Without a second recogniser, clips with a word error rate in this band are heard again, alone.
HEARD_AGAIN = (0.2, 1.0)
# The modules on which the measurements depend. The judging modules are left out on purpose.
MEASURED_BY = ("inserter.verification.measure", "inserter.verification.packing")
# A block ends with about every fourth document, which its id decides: about 20 clips. A new
# document changes one block. Blocks of 32 clips take 81 s of CPU where blocks of 128 take 84 s.
EVERY = 4
MOST = 128  # clips of a block, whatever its documents: about 15 s of work, which a kill can cost
PLACES = ("shard", "offset", "size", "original_shard", "original_offset", "original_size")


class Listeners(NamedTuple):
    """The folders of the recognisers, and the band of word error rates for the second."""

    first: Path
    second: Path | None
    """None: there is no second recogniser."""

    band: tuple[float, float]
    """(low, high): see `Ears.band`."""


class Measured(NamedTuple):
    """The measured blocks."""

    paths: list[Path]
    """The tables, in order."""

    clips: int
    """Clips that were measured now, and not in an earlier run."""


class Task(NamedTuple):
    """A block of utterances to measure."""

    folder: Path
    """The folder that gets the table of the block's measurements."""

    earlier: tuple[Path, ...]
    """Folders of earlier runs, whose tables are used again."""

    recipe: str
    """What the measurements depend on, besides the clips."""

    rows: list[Utterance]
    """Schema UTTERANCES."""

    clips: Path
    """The folder with the audio."""

    listeners: Listeners


def listeners_of(params: Params) -> Listeners:
    """Return the recognisers that `params` configures."""
    second = params.verify.second_opinion
    if second is None:
        return Listeners(asr_folder(params.assets.asr), None, HEARD_AGAIN)
    return Listeners(asr_folder(params.assets.asr), asr_folder(second.model), second.band)


def by_document(rows: Iterable[Utterance]) -> Iterator[list[Utterance]]:
    """Yield blocks of whole documents, whose ids decide where a block ends.

    A document that is added or removed therefore changes no other block. A block of over MOST clips
    is divided.
    """
    block: list[Utterance] = []
    for row in rows:
        ends = block and row["doc_id"] != block[-1]["doc_id"] and derive(0, "block", block[-1]["doc_id"]) % EVERY == 0
        if ends or len(block) == MOST:
            yield block
            block = []
        block.append(row)
    if block:
        yield block


def measure_blocks(
    blocks: Iterable[list[Utterance]],
    total: int,
    clips: Path,
    *,
    folder: Path,
    listeners: Listeners,
    params: Params,
    label: str,
    earlier: Sequence[Path] = (),
) -> Measured:
    """Measure every block. The tables of the blocks are in `folder`.

    A block has rows of schema UTTERANCES, whose audio is in `clips`. A table has schema VERIFIED,
    without verdicts. A block that already has its table, here or in a folder of `earlier`, is not
    measured again.

    total: the number of clips, for the progress bar.
    """
    recipe = fingerprint([str(part) for part in listeners], VERIFIED.names, files=deciding(*MEASURED_BY))
    tasks = (Task(folder, tuple(earlier), recipe, rows, clips, listeners) for rows in blocks)
    paths: list[Path] = []
    now, seconds, start = 0, 0.0, time.monotonic()
    with tqdm(desc=label, unit="clip", total=total) as bar:
        for path, count, heard in ordered_map(_measure_block, tasks, params.verify.workers, executor=params.executor):
            paths.append(path)
            now += count if heard is not None else 0
            seconds += heard or 0.0
            bar.update(count)
            bar.set_postfix_str(f"{seconds / 3600:.2f} h heard now, {seconds / (time.monotonic() - start):.0f} x real time")
    return Measured(paths, now)


def _measure_block(task: Task) -> tuple[Path, int, float | None]:
    """Return the block's table, its number of clips, and the seconds of audio that were heard now.

    None: the block was finished before.
    """
    name = f"{_key(task)}.parquet"
    path = task.folder / name
    if path.exists():
        return path, len(task.rows), None
    done = next((file for folder in task.earlier if (file := folder / name).exists()), None)
    if done:
        write_table(path, _moved(read_table(done, VERIFIED), task.rows), VERIFIED)
        return path, len(task.rows), None
    rows = measure.measure(task.rows, task.clips, partial(_ears, task.listeners))
    write_table(path, rows, VERIFIED)
    return path, len(rows), sum(row["duration"] for row in rows)


def _key(task: Task) -> str:
    """Return a hash of the recipe, the clips and their rows without the places."""
    said = [{name: value for name, value in row.items() if name not in PLACES} for row in task.rows]
    digest = hashlib.sha256()
    for row in task.rows:
        if row["error"] is None:
            digest.update(hashlib.sha256(read_clip_bytes(task.clips, row)).digest())
    return fingerprint(task.recipe, said, digest.hexdigest())


def _moved(measured: list[Verified], rows: list[Utterance]) -> list[Verified]:
    """Return measurements of an earlier run with the places of the clips in this one."""
    for old, row in zip(measured, rows, strict=True):
        old.update({"shard": row["shard"], "offset": row["offset"], "size": row["size"]})
        old.update({"original_shard": row["original_shard"], "original_offset": row["original_offset"]})
        old.update({"original_size": row["original_size"]})
    return measured


@lru_cache(maxsize=4)
def _ears(listeners: Listeners, language: str) -> Ears:
    """Load the recognisers once per process and language, with the executor's thread count."""
    import torch

    threads = torch.get_num_threads()
    second = Transcriber(listeners.second, language, threads) if listeners.second else None
    return Ears(Transcriber(listeners.first, language, threads), second, listeners.band)


def judged(blocks: list[Path], norms: Norms, limits: Verify) -> Iterator[list[Verdict]]:
    """Yield the verdicts on measured blocks, one list per block.

    norms: the usual durations, from which `duration_z` is computed.
    """
    for path in blocks:
        rows = read_table(path, VERIFIED)
        for row in rows:
            row["duration_z"] = norms.z(row) if row["reason"] is None else None
        yield [judge(row, limits) for row in rows]
