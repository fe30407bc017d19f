"""Measure clips block by block over worker processes.

Measuring takes the time. Neither a kill nor a changed limit loses the blocks that are measured.
"""

import time
from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from inserter.assets import asr_folder
from inserter.files import read_table, write_table
from inserter.params import Params, Verify
from inserter.run.executor import ordered_map
from inserter.tables import VERIFIED, Utterance
from inserter.verification import measure
from inserter.verification.asr import Transcriber
from inserter.verification.hear import Ears
from inserter.verification.norms import Norms
from inserter.verification.verdict import Verdict, judge

# Without a second recogniser, clips with a word error rate in this band are heard again, alone.
HEARD_AGAIN = (0.2, 1.0)
# The modules on which the measurements depend. The judging modules are left out on purpose.
MEASURED_BY = ("inserter.verification.measure", "inserter.verification.packing")


class Listeners(NamedTuple):
    """The folders of the recognisers, and the band of word error rates for the second."""

    first: Path
    second: Path | None
    """None: there is no second recogniser."""

    band: tuple[float, float]
    """(low, high): see `Ears.band`."""


class Task(NamedTuple):
    """A block of utterances to measure."""

    path: Path
    """The file that gets the block's measurements."""

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


def measure_blocks(
    blocks: Iterable[list[Utterance]], total: int, clips: Path, *, folder: Path, listeners: Listeners, params: Params, label: str
) -> list[Path]:
    """Measure every block and return the paths of the tables in `folder`, in order.

    A block has rows of schema UTTERANCES, whose audio is in `clips`. A table has schema VERIFIED,
    without verdicts. A block that already has its table is not measured again.

    total: the number of clips, for the progress bar.
    """
    tasks = (Task(folder / f"{index:06d}.parquet", rows, clips, listeners) for index, rows in enumerate(blocks))
    paths: list[Path] = []
    seconds, start = 0.0, time.monotonic()
    with tqdm(desc=label, unit="clip", total=total) as bar:
        for path, count, heard in ordered_map(_measure_block, tasks, params.verify.workers, executor=params.executor):
            paths.append(path)
            seconds += heard
            bar.update(count)
            bar.set_postfix_str(f"{seconds / 3600:.2f} h heard now, {seconds / (time.monotonic() - start):.0f} x real time")
    return paths


def _measure_block(task: Task) -> tuple[Path, int, float]:
    """Return the block's table, its number of clips, and the seconds of audio that were heard now.

    The seconds are 0 if the block was finished before.
    """
    if task.path.exists():
        return task.path, len(task.rows), 0.0
    rows = measure.measure(task.rows, task.clips, partial(_ears, task.listeners))
    write_table(task.path, rows, VERIFIED)
    return task.path, len(rows), sum(row["duration"] for row in rows)


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
