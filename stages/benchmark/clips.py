"""Encode the audio of SpeechInstructBench as tar shards of FLAC, in parallel.

A run that was killed resumes without encoding its finished shards again.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from inserter.audio.clips import SAMPLE_RATE, flac, write_shard
from inserter.files import read_json, write_json
from inserter.run.executor import ordered_map
from inserter.run.work import WorkFolder
from inserter.scoring.recordfiles import Refused
from models.sound import NoSound, read
from stages.benchmark.source import Embedded, why

SHARD_CLIPS = 128
ROWS = 8  # clips decoded per batch of a Parquet file: 3 MB if a clip lasts 12 s
# Bytes read of a column chunk at a time. Without this buffer, pyarrow holds the whole chunk.
# pyarrow still holds a whole page, and a writer puts up to 1024 rows into one page.
# Peak memory is about 2.4 row groups (262 MB for groups of 38 MB), however many groups there are.
READ_BYTES = 1 << 20


class Clip(TypedDict, total=False):
    """A usable clip, or why a clip is unusable."""

    shard: str
    offset: int
    size: int
    duration: float
    notes: list[str]
    """For the owner of the audio, if there are any."""
    reason: str
    """Of an unusable clip alone."""
    detail: str
    """Of an unusable clip alone."""


@dataclass(frozen=True)
class Sound:
    """Where the clip of an item is stored."""

    item_id: str

    wav: Path | None
    """File of the clip, used if the Parquet row has no bytes. None if there is no file."""

    embedded: Embedded | None = None
    """Parquet row of the clip; None if the record is not a Parquet row with audio."""

    @property
    def name(self) -> str:
        if self.embedded:
            return f"{self.embedded.file.name}: row {self.embedded.row} of row group {self.embedded.group}"
        return self.wav.name if self.wav else ""

    def chunk(self) -> tuple[Path, str, int] | None:
        """Return (file, column, row group) of the column chunk with the clip, or None."""
        return (self.embedded.file, self.embedded.column, self.embedded.group) if self.embedded else None


@dataclass(frozen=True)
class _Task:
    shard: Path
    rows: Path
    sounds: tuple[Sound, ...]


def encode_all(sounds: list[Sound], work: WorkFolder, workers: int = 0) -> dict[str, Clip]:
    """Encode all sounds into shards in `work/out` and return {item_id: clip}.

    An item without a usable clip has a reason instead. Finished shards are not encoded again.
    workers: number of processes; 0 means one per core.
    """
    clips: dict[str, Clip] = {}
    with tqdm(total=len(sounds), desc="benchmark", unit="clip") as bar:
        for made in ordered_map(_encode, _tasks(sounds, work), workers):
            clips.update(made)
            bar.update(len(made))
    return clips


def _tasks(sounds: list[Sound], work: WorkFolder) -> Iterator[_Task]:
    for index in range(math.ceil(len(sounds) / SHARD_CLIPS)):
        name = f"shard-{index:05d}"
        batch = tuple(sounds[index * SHARD_CLIPS : (index + 1) * SHARD_CLIPS])
        yield _Task(work / "out" / f"{name}.tar", work / "rows" / f"{name}.json", batch)


def _encode(task: _Task) -> dict[str, Clip]:
    """Encode one shard, then write its rows: the rows mark the shard as complete."""
    if task.rows.exists() and task.shard.exists():
        return read_json(task.rows)
    made: dict[str, Clip] = {}
    for item_id, (offset, size) in write_shard(task.shard, _flacs(task.sounds, made)).items():
        made[item_id].update({"shard": task.shard.name, "offset": offset, "size": size})
    write_json(task.rows, made)
    return made


def _flacs(sounds: Iterable[Sound], made: dict[str, Clip]) -> Iterator[tuple[str, bytes]]:
    """Yield (item_id, FLAC bytes) of each usable clip.

    `made` receives the duration and notes of a usable clip, or the fault of an unusable one.
    """
    for sound, source in _sources(sounds):
        try:
            if isinstance(source, Refused):
                raise source
            about, data = _clip(source, sound.name)
        except Refused as bad:
            made[sound.item_id] = {"reason": bad.reason, "detail": bad.detail}
            continue
        made[sound.item_id] = about
        yield sound.item_id, data


def _sources(sounds: Iterable[Sound]) -> Iterator[tuple[Sound, Path | bytes | Refused]]:
    """Yield each sound with its file, its bytes, or the reason why it has neither.

    A row group of a Parquet file is read once per shard, up to the last row that is needed.
    """
    for chunk, group in itertools.groupby(sounds, Sound.chunk):
        if chunk is None:
            yield from ((sound, sound.wav or Refused("missing wav", sound.name)) for sound in group)
        else:
            yield from _embedded(*chunk, sounds=list(group))


def _embedded(file: Path, column: str, group: int, *, sounds: list[Sound]) -> Iterator[tuple[Sound, Path | bytes | Refused]]:
    wanted = {sound.embedded.row: sound for sound in sounds if sound.embedded}
    last = max(wanted)
    try:
        for row, data in enumerate(itertools.islice(_column(file, column, group), last + 1)):
            if row in wanted:
                sound = wanted.pop(row)
                yield sound, data or sound.wav or Refused("missing wav", f"{sound.name} has no audio")
    except (pa.ArrowException, OSError) as error:
        for sound in wanted.values():
            yield sound, Refused("unreadable Parquet", f"{file.name}: {why(error)}")


def _column(file: Path, column: str, group: int) -> Iterator[bytes | None]:
    with pq.ParquetFile(file, buffer_size=READ_BYTES) as parquet:
        for batch in parquet.iter_batches(batch_size=ROWS, row_groups=[group], columns=[column]):
            values = batch.column(0)
            yield from (values.flatten()[0] if pa.types.is_struct(values.type) else values).to_pylist()


def _clip(source: Path | bytes, name: str) -> tuple[Clip, bytes]:
    """Return the clip's metadata and its FLAC bytes at 16 kHz. Raises Refused.

    The metadata is the duration in seconds and, if there are any, notes for the owner of the audio.
    """
    try:
        sound = read(source)
    except NoSound as error:
        raise Refused(error.reason, f"{name} {error.detail}") from error
    if not sound.wave.any():
        raise Refused("silent", name)
    about: Clip = {"duration": len(sound.wave) / SAMPLE_RATE}
    if sound.notes:
        about["notes"] = list(sound.notes)
    return about, flac(sound.wave)
