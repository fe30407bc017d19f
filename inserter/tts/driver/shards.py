"""Shards from jobs: planned and written here, spoken by workers."""

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from inserter.audio.clips import LIST, write_shard
from inserter.audio.effects import Effect
from inserter.errors import InserterError
from inserter.files import read_json, read_table, sha256, write_batches, write_json, write_table
from inserter.params import Voice
from inserter.run.executor import Executor, ordered_map
from inserter.tables import SHARDS, UTTERANCES
from inserter.tts.driver.jobs import Job, Part, content, split
from inserter.tts.driver.reuse import Earlier
from inserter.tts.driver.speaking import Clip, Spoken, speak_part

Map = Callable[[Callable[[Part], Spoken], Iterable[Part]], Iterator[Spoken]]


@dataclass
class Progress:
    """What a run has done so far: utterances, those that failed, originals made and reused, seconds of speech made."""

    clips: int = 0
    failed: int = 0
    made: int = 0
    reused: int = 0
    seconds: float = 0.0
    start: float = field(default_factory=time.monotonic)

    def add(self, spoken: Spoken) -> None:
        self.made += spoken.made
        self.reused += spoken.reused
        self.seconds += spoken.seconds

    def __str__(self) -> str:
        speed = self.seconds / (time.monotonic() - self.start)
        quarantined = 100 * self.failed / max(1, self.clips)
        return f"{self.seconds / 3600:.2f} h spoken now, {speed:.0f} x real time, {quarantined:.1f} % quarantined"

    def figures(self) -> dict[str, float]:
        """For `reports/system`: never the same twice."""
        speed = self.seconds / (time.monotonic() - self.start)
        return {"originals_made": self.made, "originals_reused": self.reused, "x_real_time": speed}


@dataclass(frozen=True)
class Recipe:
    """What shards are made of and where they go.

    out: `shard-00000.tar`…, and `shards.parquet` at the end; rows: the table of each finished one. fingerprint: of everything that
    decides them; keep_originals: beside clips with an effect; seed: of the noise; earlier: where speech is that need not be made.
    """

    voices: dict[str, Voice]
    out: Path
    rows: Path
    seed: int
    shard_clips: int
    fingerprint: str
    keep_originals: bool
    earlier: Earlier | None


class _Shard:
    """One shard in the making. parts: [] when it was finished before."""

    def __init__(self, index: int, jobs: Sequence[Job], recipe: Recipe) -> None:
        self.index, self.recipe = index, recipe
        name = _name(index)
        self.tar = recipe.out / f"{name}.tar"
        self.table, self.done = recipe.rows / f"{name}.parquet", recipe.rows / f"{name}.json"
        contents = [content(job.spoken, recipe.voices[job.voice]) for job in jobs]
        self.finished = self._is_finished(jobs, contents)
        self.parts: list[Part] = []
        if not self.finished:
            kept = recipe.earlier.find(dict.fromkeys(contents)) if recipe.earlier else {}
            self.parts = split(jobs, contents, recipe.voices, kept, recipe.seed)
        self.left = len(self.parts)
        self.clips: list[Clip] = []

    def _is_finished(self, jobs: Sequence[Job], contents: Sequence[str]) -> bool:
        """Was it finished before, with these jobs, and is it as long as it was then?"""
        if not (self.done.exists() and self.table.exists() and self.tar.exists()):
            return False
        record = read_json(self.done)
        made = [(row["utt_id"], row["content"], row["effect"]) for row in read_table(self.table, UTTERANCES)]
        wanted = [(job.utt_id, made_of, (job.effect or Effect()).to_json()) for job, made_of in zip(jobs, contents, strict=True)]
        same = record["fingerprint"] == self.recipe.fingerprint and record["size"] == self.tar.stat().st_size
        return same and made == wanted

    def add(self, clips: Iterable[Clip]) -> None:
        """The clips of one more part."""
        self.clips += clips
        self.left -= 1

    def write(self) -> list[dict]:
        """The tar, its rows, and at last the record that says that both are whole."""
        if self.finished:
            return read_table(self.table, UTTERANCES)
        self.clips.sort(key=lambda clip: clip.number)
        members = list(self._members())
        spoken = sum(clip.heard is not None for clip in self.clips)
        note = {"fingerprint": self.recipe.fingerprint, "index": self.index, "clips": spoken, "members": len(members)}
        index = write_shard(self.tar, members, note)
        rows = [clip.row | self._place(clip, index) for clip in self.clips]
        write_table(self.table, rows, UTTERANCES)
        record = {"shard": self.tar.name, "size": self.tar.stat().st_size, "sha256": sha256(self.tar)}
        write_json(self.done, record | {"clips": spoken, "fingerprint": self.recipe.fingerprint})
        return rows

    def _members(self) -> Iterator[tuple[str, bytes]]:
        for clip in self.clips:
            name = clip.row["utt_id"]
            if clip.heard is not None:
                yield name, clip.heard
            if clip.original is not None and self.recipe.keep_originals:
                yield f"{name}.original", clip.original

    def _place(self, clip: Clip, index: dict[str, tuple[int, int]]) -> dict[str, Any]:
        if clip.heard is None:
            return {}
        name = clip.row["utt_id"]
        heard = index[name]
        original = heard if clip.original is None else index.get(f"{name}.original", (0, 0))
        place = {"offset": heard[0], "size": heard[1], "original_offset": original[0], "original_size": original[1]}
        return {"shard": self.tar.name, **place}


def speak_all(jobs: Iterable[Job], voices: Sequence[Voice], out: Path, rows: Path, seed: int = 1, **options: Any) -> list[dict]:
    """All rows (schema UTTERANCES), in the order of `jobs`. For what is too large for that, see `speak_shards`."""
    return list(itertools.chain.from_iterable(speak_shards(jobs, voices, out, rows, seed, **options)))


def speak_shards(
    jobs: Iterable[Job],
    voices: Sequence[Voice],
    out: Path,
    rows: Path,
    seed: int = 1,
    *,
    workers: int = 0,
    executor: Executor = "local",
    shard_clips: int = 256,
    fingerprint: str = "",
    keep_originals: bool = False,
    earlier: Earlier | None = None,
    label: str = "speak",
    total: int | None = None,
    progress: Progress | None = None,
) -> Iterator[list[dict]]:
    """The rows of each shard of `shard_clips` jobs, in order; see `Recipe`. total: jobs, for the progress bar.

    Raises InserterError when a voice cannot be loaded or a file cannot be written.
    """
    named = {voice.name: voice for voice in voices}
    recipe = Recipe(named, Path(out), Path(rows), seed, shard_clips, fingerprint, keep_originals, earlier)
    spread = partial(ordered_map, workers=workers, executor=executor)
    progress = progress or Progress()
    with tqdm(total=total, desc=label, unit="clip", smoothing=0.05) as bar:
        for shard in make_shards(jobs, recipe, spread, progress):
            bar.update(len(shard))
            bar.set_postfix_str(str(progress))
            yield shard


def make_shards(jobs: Iterable[Job], recipe: Recipe, spread: Map, progress: Progress) -> Iterator[list[dict]]:
    """The rows of each shard, in order, with its parts spoken by `spread` (an ordered map over workers).

    In memory are the clips of the shard that is next, and what the workers have in flight.
    """
    under_way: deque[_Shard] = deque()
    count = 0

    def ready() -> Iterator[list[dict]]:
        nonlocal count
        while under_way and not under_way[0].left:
            count += 1
            yield _finish(under_way.popleft(), progress)

    for spoken in spread(speak_part, _parts(jobs, recipe, under_way)):
        yield from ready()  # those that were finished before
        progress.add(spoken)
        under_way[0].add(spoken.clips)
        yield from ready()
    yield from ready()
    write_batches(recipe.out / LIST, _records(recipe.rows, count), SHARDS)


def _records(rows: Path, count: int) -> Iterator[list[dict]]:
    for start in range(0, count, 1024):
        yield [read_json(rows / f"{_name(index)}.json") for index in range(start, min(count, start + 1024))]


def _name(index: int) -> str:
    return f"shard-{index:05d}"


def _finish(shard: _Shard, progress: Progress) -> list[dict]:
    rows = shard.write()
    progress.clips += len(rows)
    progress.failed += sum(row["error"] is not None for row in rows)
    return rows


def _parts(jobs: Iterable[Job], recipe: Recipe, under_way: deque[_Shard]) -> Iterator[Part]:
    """The work of all shards; those that were finished before have none, and only take their place in the row."""
    remaining = iter(jobs)
    for index in itertools.count():
        batch = tuple(itertools.islice(remaining, recipe.shard_clips))
        if not batch:
            return
        unknown = {job.voice for job in batch} - recipe.voices.keys()
        if unknown:
            raise InserterError(f"no voice is named {min(unknown)}", f"There are {', '.join(sorted(recipe.voices))}")
        shard = _Shard(index, batch, recipe)
        under_way.append(shard)
        yield from shard.parts
