"""The wav files of the real data set as tar shards of FLAC: parallel, and resumed shard by shard."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import soundfile
from tqdm import tqdm

from stages.common.audio import SAMPLE_RATE, flac, read, write_shard
from stages.common.errors import InserterError
from stages.common.executor import ordered_map
from stages.common.files import read_json, write_json
from stages.common.work import WorkFolder

SHARD_CLIPS = 128

Clip = dict[str, Any]  # shard, offset, size and duration; or reason and detail


class Wavs:
    """Finds the audio of a record: at its path from the root, beside its jsonl, or anywhere below the root by name."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    @cached_property
    def by_name(self) -> dict[str, Path]:
        return {path.name: path for path in sorted(self.root.rglob("*.wav"), reverse=True)}

    def find(self, audio_path: str, beside: Path) -> Path | None:
        """The file, inside the root; None when it is not there."""
        name = audio_path.replace("\\", "/")
        for path in (self.root / name, beside.resolve() / name):
            if path.is_file() and path.resolve().is_relative_to(self.root):
                return path
        return self.by_name.get(Path(name).name)


@dataclass(frozen=True)
class _Task:
    shard: Path
    rows: Path
    clips: tuple[tuple[str, Path], ...]  # item_id, wav


def encode_all(wavs: list[tuple[str, Path]], work: WorkFolder, workers: int = 0) -> dict[str, Clip]:
    """{item_id: its clip, or why it has none}. Shards in `work/out`; finished ones are not made again."""
    tasks = list(_tasks(wavs, work))
    clips: dict[str, Clip] = {}
    with tqdm(total=len(wavs), desc="benchmark", unit="clip") as bar:
        for made in ordered_map(_encode, tasks, workers):
            clips.update(made)
            bar.update(len(made))
    return clips


def _tasks(wavs: list[tuple[str, Path]], work: WorkFolder) -> Iterator[_Task]:
    for index in range(math.ceil(len(wavs) / SHARD_CLIPS)):
        name = f"shard-{index:05d}"
        batch = tuple(wavs[index * SHARD_CLIPS : (index + 1) * SHARD_CLIPS])
        yield _Task(work / "out" / f"{name}.tar", work / "rows" / f"{name}.json", batch)


def _encode(task: _Task) -> dict[str, Clip]:
    """The rows are written after the shard: they say that it is whole."""
    if task.rows.exists() and task.shard.exists():
        return read_json(task.rows)
    made: dict[str, Clip] = {}
    sounds = []
    for item_id, path in task.clips:
        made[item_id], data = _clip(path)
        if data is not None:
            sounds.append((item_id, data))
    for item_id, (offset, size) in write_shard(task.shard, sounds).items():
        made[item_id].update(shard=task.shard.name, offset=offset, size=size)
    write_json(task.rows, made)
    return made


def _clip(path: Path) -> tuple[Clip, bytes | None]:
    """Its duration and FLAC at 16 kHz, or why there is none."""
    try:
        if not soundfile.info(path).frames:
            return {"reason": "zero samples", "detail": path.name}, None
        wave = read(path)
    except (soundfile.LibsndfileError, InserterError) as error:
        return {"reason": "undecodable", "detail": f"{path.name}: {error}"}, None
    if not wave.any():
        return {"reason": "silent", "detail": path.name}, None
    return {"duration": len(wave) / SAMPLE_RATE}, flac(wave)
