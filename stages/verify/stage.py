"""The stage: utterances in, a clean table and a quarantine table out.

First every clip is measured, block by block: that is what takes time, and what neither a kill nor a changed limit loses. Then what
is usual in each voice is learnt from the measurements, and then the verdicts are given.
"""

import time
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from stages.common import asr
from stages.common import words as word_bounds
from stages.common.asr import Transcriber
from stages.common.assets import asr_folder
from stages.common.audio import check_shards
from stages.common.executor import ordered_map
from stages.common.files import count_rows, read_batches, read_table, write_batches, write_table
from stages.common.params import Params, Verify
from stages.common.paths import DATA
from stages.common.runner import output, say
from stages.common.tables import UTTERANCES, VERIFIED
from stages.common.work import WorkFolder, code
from stages.verify import hear, measure, packing, signal, words
from stages.verify.hear import Ears
from stages.verify.norms import Norms
from stages.verify.report import Report
from stages.verify.verdict import Verdict, judge

HEARD_AGAIN = (0.2, 1.0)  # word error rates of clips that are heard again alone where there is no second recogniser
BLOCK = 128  # clips, about 10 minutes of speech and 15 s of work: what a kill can cost
MEASURED_BY = (hear, measure, packing, signal, words, asr, word_bounds)  # and the spoken form: what measurements depend on


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


def main(params: Params) -> dict[str, Any]:
    clips, limits = DATA / "synthesize", params.verify
    check_shards(clips)
    listeners = _listeners(params)
    makers = [Path(str(module.__file__)) for module in MEASURED_BY] + code("stages.common.spoken")
    deciding = [[str(part) for part in listeners], VERIFIED.names]  # no limit: what was measured outlives a change of those
    work = WorkFolder("verify", deciding, [clips, *makers])
    blocks = _measure_all(clips, work / "blocks", listeners, params)
    norms = Norms()
    for path in tqdm(blocks, desc="verify: what is usual", unit="block", leave=False):
        norms.learn(read_table(path, VERIFIED))
    report = Report()
    write_batches(work / "out/clean.parquet", _clean(blocks, norms, limits), VERIFIED)
    write_batches(work / "out/quarantine.parquet", _refused(blocks, norms, limits, report), VERIFIED)
    work.publish("out", output("verify"))
    metrics = report.metrics()
    reasons = ", ".join(f"{count} {reason}" for reason, count in metrics["quarantined"].items())
    say(f"verify: {metrics['clean']} of {metrics['in']} clips are clean; quarantined: {reasons or 'none'}")
    return metrics


def _listeners(params: Params) -> Listeners:
    second = params.verify.second_opinion
    if second is None:
        return Listeners(asr_folder(params.assets.asr), None, HEARD_AGAIN)
    return Listeners(asr_folder(params.assets.asr), asr_folder(second.model), second.band)


def _measure_all(clips: Path, folder: Path, listeners: Listeners, params: Params) -> list[Path]:
    """Measure every block, over processes: their tables, in order."""
    table = clips / "utterances.parquet"
    batches = enumerate(read_batches(table, UTTERANCES, BLOCK))
    tasks = (Task(folder / f"{index:06d}.parquet", rows, clips, listeners) for index, rows in batches)
    blocks: list[Path] = []
    seconds, start = 0.0, time.monotonic()
    with tqdm(desc="verify", unit="clip", total=count_rows(table)) as bar:
        for path, count, heard in ordered_map(_measure_block, tasks, params.verify.workers, executor=params.executor):
            blocks.append(path)
            seconds += heard
            bar.update(count)
            bar.set_postfix_str(f"{seconds / 3600:.2f} h heard now, {seconds / (time.monotonic() - start):.0f} x real time")
    return blocks


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


def _judged(blocks: list[Path], norms: Norms, limits: Verify) -> Iterator[list[Verdict]]:
    for path in blocks:
        rows = read_table(path, VERIFIED)
        for row in rows:
            row["duration_z"] = norms.z(row) if row["reason"] is None else None
        yield [judge(row, limits) for row in rows]


def _clean(blocks: list[Path], norms: Norms, limits: Verify) -> Iterator[list[dict]]:
    for verdicts in _judged(blocks, norms, limits):
        yield [verdict.row for verdict in verdicts if verdict.row["reason"] is None]


def _refused(blocks: list[Path], norms: Norms, limits: Verify, report: Report) -> Iterator[list[dict]]:
    for verdicts in _judged(blocks, norms, limits):
        for verdict in verdicts:
            report.add(verdict)
        yield [verdict.row for verdict in verdicts if verdict.row["reason"] is not None]
