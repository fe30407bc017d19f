"""The stage: utterances in, a clean table and a quarantine table out, resumable block by block."""

import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from stages.common import spoken
from stages.common.asr import Transcriber
from stages.common.assets import asr_folder
from stages.common.executor import ordered_map
from stages.common.files import count_rows, read_batches, read_table, write_batches, write_table
from stages.common.params import Params, Verify
from stages.common.paths import DATA
from stages.common.runner import output, say
from stages.common.tables import UTTERANCES, VERIFIED
from stages.common.work import WorkFolder
from stages.verify.check import check
from stages.verify.report import Report

BLOCK = 128  # clips, about 10 minutes of speech and 15 s of work: what a kill can cost


class Task(NamedTuple):
    """A block of utterances: where its verdicts go and what they depend on."""

    path: Path
    rows: list[dict]
    clips: Path
    asr: Path
    language: str
    limits: Verify


def main(params: Params) -> dict[str, Any]:
    clips = DATA / "synthesize"
    asr = asr_folder(params.assets.asr)
    limits = params.verify.model_dump(exclude={"workers", "max_quarantine_share"})
    deciding = {"limits": limits, "asr": str(asr), "language": params.corpus.language}
    code = [file for part in (__file__, spoken.__file__) for file in sorted(Path(part).parent.glob("*.py"))]
    work = WorkFolder("verify", deciding, [clips, *code])  # verdicts of other code are not this one's
    blocks = _hear(clips, work / "blocks", asr, params)
    report = Report()
    write_batches(work / "out/clean.parquet", _clean(blocks), VERIFIED)
    write_batches(work / "out/quarantine.parquet", _refused(blocks, report), VERIFIED)
    work.publish("out", output("verify"))
    metrics = report.metrics()
    reasons = ", ".join(f"{count} {reason}" for reason, count in metrics["quarantined"].items())
    say(f"verify: {metrics['clean']} of {metrics['in']} clips are clean; quarantined: {reasons or 'none'}")
    return metrics


def _hear(clips: Path, folder: Path, asr: Path, params: Params) -> list[Path]:
    """Check every block, over processes: the tables of their verdicts, in order."""
    table = clips / "utterances.parquet"
    batches = enumerate(read_batches(table, UTTERANCES, BLOCK))
    tasks = (
        Task(folder / f"{index:06d}.parquet", rows, clips, asr, params.corpus.language, params.verify) for index, rows in batches
    )
    blocks: list[Path] = []
    seconds, start = 0.0, time.monotonic()
    with tqdm(desc="verify", unit="clip", total=count_rows(table)) as bar:
        for task_path, count, heard in ordered_map(_check_block, tasks, params.verify.workers):
            blocks.append(task_path)
            seconds += heard
            bar.update(count)
            speed = seconds / (time.monotonic() - start)
            bar.set_postfix_str(f"{seconds / 3600:.2f} h heard now, {speed:.0f} x real time")
    return blocks


def _check_block(task: Task) -> tuple[Path, int, float]:
    """(the block's table, its clips, the seconds of them that were heard now: 0 when it was finished before)."""
    if task.path.exists():
        return task.path, len(task.rows), 0.0
    rows = check(task.rows, task.clips, _transcriber(task.asr, task.language), task.limits)
    write_table(task.path, rows, VERIFIED)
    return task.path, len(rows), sum(row["duration"] for row in rows)


@lru_cache(maxsize=1)
def _transcriber(asr: Path, language: str) -> Transcriber:
    """Loaded once a process, with the threads that the executor gave it."""
    import torch

    return Transcriber(asr, language, torch.get_num_threads())


def _refused(blocks: Iterable[Path], report: Report) -> Iterator[list[dict]]:
    for path in blocks:
        rows = read_table(path, VERIFIED)
        report.add(rows)
        yield [row for row in rows if row["reason"] is not None]


def _clean(blocks: Iterable[Path]) -> Iterator[list[dict]]:
    for path in blocks:
        yield [row for row in read_table(path, VERIFIED) if row["reason"] is None]
