"""Speaks jobs into tar shards, over processes, a shard at a time. See the package's docstring for how to call it."""

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from tqdm import tqdm

from stages.common.audio import SAMPLE_RATE, flac, write_shard
from stages.common.augment import Effect, apply
from stages.common.errors import InserterError
from stages.common.executor import ordered_map
from stages.common.files import read_table, write_table
from stages.common.params import Voice
from stages.common.seeds import np_rng
from stages.common.tables import UTTERANCES
from stages.common.tts.base import CannotSpeak
from stages.common.tts.voices import load_voice


@dataclass(frozen=True)
class Job:
    """One utterance to speak. voice: the name of one of the driver's; effect: what is done to the clip afterwards."""

    utt_id: str
    doc_id: str
    split: str
    written: str
    spoken: str
    voice: str
    effect: Effect | None = None


@dataclass(frozen=True)
class _Task:
    """One shard: where it goes and what decides its bytes."""

    shard: Path
    rows: Path
    jobs: tuple[Job, ...]
    voices: tuple[Voice, ...]
    seed: int


def speak_all(
    jobs: Iterable[Job], voices: Sequence[Voice], out: Path, rows: Path, seed: int = 1, workers: int = 0,
    shard_clips: int = 256, label: str = "speak", total: int | None = None,
) -> list[dict]:  # fmt: skip
    """All rows (schema UTTERANCES), in the order of `jobs`. For what is too large for that, see `speak_shards`."""
    shards = speak_shards(jobs, voices, out, rows, seed, workers, shard_clips, label, total)
    return list(itertools.chain.from_iterable(shards))


def speak_shards(
    jobs: Iterable[Job], voices: Sequence[Voice], out: Path, rows: Path, seed: int = 1, workers: int = 0,
    shard_clips: int = 256, label: str = "speak", total: int | None = None,
) -> Iterator[list[dict]]:  # fmt: skip
    """The rows of each shard of `shard_clips` jobs, in order. seed: of the noise; total: jobs, for the progress bar.

    Raises InserterError when a voice cannot be loaded or a file cannot be written.
    """
    tasks = _tasks(jobs, tuple(voices), Path(out), Path(rows), seed, shard_clips)
    clips, failed, seconds, start = 0, 0, 0.0, time.monotonic()
    with tqdm(total=total, desc=label, unit="clip", smoothing=0.05) as bar:
        for shard, made in ordered_map(_speak_shard, tasks, workers):
            clips += len(shard)
            failed += sum(row["error"] is not None for row in shard)
            seconds += sum(row["duration"] for row in shard) if made else 0.0
            speed = seconds / (time.monotonic() - start)
            bar.update(len(shard))
            bar.set_postfix_str(f"{seconds / 3600:.2f} h spoken now, {speed:.0f} x real time, {failed} failed")
            yield shard


def _tasks(jobs: Iterable[Job], voices: tuple[Voice, ...], out: Path, rows: Path, seed: int, size: int) -> Iterator[_Task]:
    names = {voice.name for voice in voices}
    remaining = iter(jobs)
    for index in itertools.count():
        batch = tuple(itertools.islice(remaining, size))
        if not batch:
            return
        unknown = {job.voice for job in batch} - names
        if unknown:
            raise InserterError(f"no voice is named {min(unknown)}", f"There are {', '.join(sorted(names))}")
        name = f"shard-{index:05d}"
        yield _Task(out / f"{name}.tar", rows / f"{name}.parquet", batch, voices, seed)


def _speak_shard(task: _Task) -> tuple[list[dict], bool]:
    """(rows of the shard, whether they were made now). The rows are written last: they say that the shard is whole."""
    rows = _finished(task)
    if rows is not None:
        return rows, False
    made = [_speak(job, task) for job in task.jobs]
    index = write_shard(task.shard, ((row["utt_id"], clip) for row, clip in made if clip is not None))
    rows = [row for row, _ in made]
    for row in rows:
        if row["error"] is None:
            row["shard"] = task.shard.name
            row["offset"], row["size"] = index[row["utt_id"]]
    write_table(task.rows, rows, UTTERANCES)
    return rows, True


def _finished(task: _Task) -> list[dict] | None:
    """The rows of a shard that was finished before, if they are of these jobs and the shard is as long as they say."""
    if not (task.rows.exists() and task.shard.exists()):
        return None
    rows = read_table(task.rows, UTTERANCES)
    end = max((row["offset"] + row["size"] for row in rows), default=0)
    made = [(row["utt_id"], row["spoken"], row["voice"]) for row in rows]
    wanted = [(job.utt_id, job.spoken, job.voice) for job in task.jobs]
    return rows if made == wanted and task.shard.stat().st_size >= end else None


def _speak(job: Job, task: _Task) -> tuple[dict, bytes | None]:
    """The row of a job without its place in the shard, and its clip as FLAC, or None and the row says why."""
    voice = next(voice for voice in task.voices if voice.name == job.voice)
    row = {
        "utt_id": job.utt_id, "doc_id": job.doc_id, "split": job.split, "written": job.written, "spoken": job.spoken,
        "engine": voice.engine, "voice": voice.name, "shard": None, "offset": 0, "size": 0,
        "sample_rate": SAMPLE_RATE, "n_samples": 0, "duration": 0.0, "error": None,
    }  # fmt: skip
    load_voice(voice)
    try:
        wave = _plain(voice, job.spoken)
        if job.effect is not None:
            wave = apply(wave, job.effect, np_rng(task.seed, "noise", job.utt_id))
    except InserterError:
        raise  # the machine's fault, not the text's: no clip would do better
    except CannotSpeak as error:
        return {**row, "error": str(error)}, None
    except Exception as error:  # an engine may fail on a text in any way: that costs one clip, not the run
        return {**row, "error": f"{voice.engine}: {type(error).__name__}: {error}"}, None
    return {**row, "n_samples": len(wave), "duration": len(wave) / SAMPLE_RATE}, flac(_safe(wave))


@lru_cache(1)
def _plain(voice: Voice, text: str) -> np.ndarray:
    """`text` without an effect. Jobs beside each other with one text and voice, as a benchmark has them, are spoken once."""
    wave = load_voice(voice).speak(text)
    wave.setflags(write=False)
    return wave


def _safe(wave: np.ndarray) -> np.ndarray:
    """`wave`, turned down to full scale where an engine went beyond it: FLAC would clip it."""
    return wave / max(1.0, float(np.abs(wave).max()))
