"""Clips measured block by block, over processes: that is what takes time, and what neither a kill nor a changed limit loses."""

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
from inserter.tables import VERIFIED
from inserter.verification import measure
from inserter.verification.asr import Transcriber
from inserter.verification.hear import Ears
from inserter.verification.norms import Norms
from inserter.verification.verdict import Verdict, judge

HEARD_AGAIN = (0.2, 1.0)  # word error rates of clips that are heard again alone where there is no second recogniser
MEASURED_BY = ("inserter.verification.measure", "inserter.verification.packing")  # not by what judges


class Listeners(NamedTuple):
    """The folders of the recognisers, and the word error rates that the second is asked about."""

    first: Path
    second: Path | None
    band: tuple[float, float]


class Task(NamedTuple):
    """A block of utterances and where its measurements go."""

    path: Path
    rows: list[dict]
    clips: Path
    listeners: Listeners


def listeners_of(params: Params) -> Listeners:
    second = params.verify.second_opinion
    if second is None:
        return Listeners(asr_folder(params.assets.asr), None, HEARD_AGAIN)
    return Listeners(asr_folder(params.assets.asr), asr_folder(second.model), second.band)


def measure_blocks(
    blocks: Iterable[list[dict]], total: int, clips: Path, folder: Path, listeners: Listeners, params: Params, label: str
) -> list[Path]:
    """Measure every block of rows (schema UTTERANCES) whose audio is in `clips`: their tables in `folder`, in order, of schema
    VERIFIED, nothing judged yet. A block that has its table is not heard again. total: of the bar."""
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
    """(the block's table, its clips, the seconds of them that were heard now: 0 when it was finished before)."""
    if task.path.exists():
        return task.path, len(task.rows), 0.0
    rows = measure.measure(task.rows, task.clips, partial(_ears, task.listeners))
    write_table(task.path, rows, VERIFIED)
    return task.path, len(rows), sum(row["duration"] for row in rows)


@lru_cache(maxsize=4)
def _ears(listeners: Listeners, language: str) -> Ears:
    """Loaded once a process and language, with the threads that the executor gave it."""
    import torch

    threads = torch.get_num_threads()
    second = Transcriber(listeners.second, language, threads) if listeners.second else None
    return Ears(Transcriber(listeners.first, language, threads), second, listeners.band)


def judged(blocks: list[Path], norms: Norms, limits: Verify) -> Iterator[list[Verdict]]:
    """The verdicts on measured blocks, a list for each; norms: of the durations."""
    for path in blocks:
        rows = read_table(path, VERIFIED)
        for row in rows:
            row["duration_z"] = norms.z(row) if row["reason"] is None else None
        yield [judge(row, limits) for row in rows]
