"""Plan and write the shards of jobs; workers speak them."""

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
from inserter.tables import SHARDS, UTTERANCES, Shard, ShardRecord, Utterance
from inserter.tts.driver.jobs import Job, Part, content, split
from inserter.tts.driver.reuse import Earlier, sized
from inserter.tts.driver.speaking import Clip, Spoken, speak_part

Map = Callable[[Callable[[Part], Spoken], Iterable[Part]], Iterator[Spoken]]


@dataclass
class Progress:
    """The work that a run has done so far."""

    clips: int = 0
    """Utterances in finished shards, including those that failed."""
    failed: int = 0
    """Utterances that failed."""
    made: int = 0
    """Originals spoken by this run."""
    reused: int = 0
    """Originals taken from earlier runs."""
    seconds: float = 0.0
    """Seconds of speech made by this run."""
    start: float = field(default_factory=time.monotonic)
    """Start of the run on the monotonic clock, seconds."""

    def add(self, spoken: Spoken) -> None:
        self.made += spoken.made
        self.reused += spoken.reused
        self.seconds += spoken.seconds

    def __str__(self) -> str:
        speed = self.seconds / (time.monotonic() - self.start)
        quarantined = 100 * self.failed / max(1, self.clips)
        return f"{self.seconds / 3600:.2f} h spoken now, {speed:.0f} x real time, {quarantined:.1f} % quarantined"

    def figures(self) -> dict[str, float]:
        """Return figures for `reports/system`; they differ from run to run."""
        speed = self.seconds / (time.monotonic() - self.start)
        return {"originals_made": self.made, "originals_reused": self.reused, "x_real_time": speed}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What shards are made of, and where they go."""

    voices: dict[str, Voice]
    """The voices by name."""
    out: Path
    """Folder for the shards, and at the end for `shards.parquet`.

    A shard is `shard-00000.tar` (clips), `original-00000.tar` (what their effects were applied to)
    and `shard-00000.json` (its record).
    """
    rows: Path
    """Folder for the table of each finished shard."""
    seed: int
    """Seed of the noise."""
    shard_clips: int
    """Jobs per shard."""
    fingerprint: str
    """Fingerprint of everything that decides the shards."""
    keep_originals: bool
    """Whether the originals of clips with an effect are stored."""
    earlier: Earlier | None
    """Speech that need not be made again, or None."""


class _Shard:
    """One shard in the making. `parts` is empty when an earlier run finished the shard."""

    def __init__(self, index: int, jobs: Sequence[Job], recipe: Recipe) -> None:
        self.index, self.recipe = index, recipe
        self.tar, self.originals = recipe.out / f"shard-{index:05d}.tar", recipe.out / f"original-{index:05d}.tar"
        self.table, self.done = recipe.rows / f"shard-{index:05d}.parquet", _record(recipe.out, index)
        contents = [content(job.spoken, recipe.voices[job.voice]) for job in jobs]
        self.finished = self._is_finished(jobs, contents)
        self.parts: list[Part] = []
        if not self.finished:
            kept = recipe.earlier.find(dict.fromkeys(contents)) if recipe.earlier else {}
            self.parts = split(jobs, contents, recipe.voices, kept=kept, seed=recipe.seed)
        self.left = len(self.parts)
        self.clips: list[Clip] = []

    def _is_finished(self, jobs: Sequence[Job], contents: Sequence[str]) -> bool:
        """Return whether an earlier run finished the shard with these jobs and this fingerprint.

        The tars must still have the sizes that they had then.
        """
        if not (self.done.exists() and self.table.exists()):
            return False
        record: ShardRecord = read_json(self.done)
        made = [(row["utt_id"], row["content"], row["effect"]) for row in read_table(self.table, UTTERANCES)]
        wanted = [(job.utt_id, made_of, (job.effect or Effect()).to_json()) for job, made_of in zip(jobs, contents, strict=True)]
        return record["fingerprint"] == self.recipe.fingerprint and made == wanted and sized(self.recipe.out, record)

    def add(self, clips: Iterable[Clip]) -> None:
        """Add the clips of one more part."""
        self.clips += clips
        self.left -= 1

    def write(self) -> list[Utterance]:
        """Write the tars, the rows, and last the record that all are whole; return the rows.

        A shard that an earlier run finished is not written: its rows are read back.
        """
        if self.finished:
            return read_table(self.table, UTTERANCES)
        self.clips.sort(key=lambda clip: clip.number)
        heard = {clip.row["utt_id"]: clip.heard for clip in self.clips if clip.heard is not None}
        kept = {clip.row["utt_id"]: clip.original for clip in self.clips if clip.original is not None}
        about = {clip.row["utt_id"]: clip.row for clip in self.clips}
        index = write_shard(self.tar, heard.items(), about) if heard else {}
        originals = write_shard(self.originals, kept.items()) if kept and self.recipe.keep_originals else {}
        rows = [self._placed(clip, index, originals) for clip in self.clips]
        write_table(self.table, rows, UTTERANCES)
        tars = [self._tar(path, len(names)) for path, names in ((self.tar, index), (self.originals, originals)) if names]
        record: ShardRecord = {"index": self.index, "fingerprint": self.recipe.fingerprint, "tars": tars}
        write_json(self.done, record)
        return rows

    def _tar(self, path: Path, clips: int) -> Shard:
        return {
            "shard": path.name,
            "size": path.stat().st_size,
            "sha256": sha256(path),
            "clips": clips,
            "fingerprint": self.recipe.fingerprint,
        }

    def _placed(self, clip: Clip, index: dict[str, tuple[int, int]], originals: dict[str, tuple[int, int]]) -> Utterance:
        """Return the clip's row with its place in the shard."""
        name = clip.row["utt_id"]
        if name not in index:
            return clip.row
        tar, places = (self.tar, index) if clip.original is None else (self.originals, originals)
        heard, original = index[name], places.get(name)
        return clip.row | {
            "shard": self.tar.name,
            "offset": heard[0],
            "size": heard[1],
            "original_shard": tar.name if original else None,
            "original_offset": original[0] if original else 0,
            "original_size": original[1] if original else 0,
        }


def speak_all(
    jobs: Iterable[Job], voices: Sequence[Voice], out: Path, *, rows: Path, seed: int = 1, **options: Any
) -> list[Utterance]:
    """Return all rows (schema UTTERANCES) in the order of `jobs`.

    `speak_shards` is for tables that do not fit in memory.
    """
    return list(itertools.chain.from_iterable(speak_shards(jobs, voices, out, rows=rows, seed=seed, **options)))


def speak_shards(
    jobs: Iterable[Job],
    voices: Sequence[Voice],
    out: Path,
    *,
    rows: Path,
    seed: int = 1,
    workers: int = 0,
    executor: Executor = "local",
    shard_clips: int = 256,
    fingerprint: str = "",
    keep_originals: bool = False,
    earlier: Earlier | None = None,
    label: str = "speak",
    total: int | None = None,
    progress: Progress | None = None,
) -> Iterator[list[Utterance]]:
    """Yield the rows of each shard of `shard_clips` jobs, in order.

    `Recipe` explains the options. total: number of jobs, for the progress bar. Raises InserterError
    when a voice cannot be loaded or a file cannot be written.
    """
    recipe = Recipe(
        voices={voice.name: voice for voice in voices},
        out=Path(out),
        rows=Path(rows),
        seed=seed,
        shard_clips=shard_clips,
        fingerprint=fingerprint,
        keep_originals=keep_originals,
        earlier=earlier,
    )
    spread = partial(ordered_map, workers=workers, executor=executor)
    progress = progress or Progress()
    with tqdm(total=total, desc=label, unit="clip", smoothing=0.05) as bar:
        for shard in make_shards(jobs, recipe, spread, progress=progress):
            bar.update(len(shard))
            bar.set_postfix_str(str(progress))
            yield shard


def make_shards(jobs: Iterable[Job], recipe: Recipe, spread: Map, *, progress: Progress) -> Iterator[list[Utterance]]:
    """Yield the rows of each shard, in order, with its parts spoken by `spread`.

    `spread` is an ordered map over workers. Memory holds the clips of the next shard, and what the
    workers have in flight.
    """
    under_way: deque[_Shard] = deque()
    count = 0

    def ready() -> Iterator[list[Utterance]]:
        nonlocal count
        while under_way and not under_way[0].left:
            count += 1
            yield _finish(under_way.popleft(), progress)

    for spoken in spread(speak_part, _parts(jobs, recipe, under_way)):
        yield from ready()  # the shards that an earlier run finished
        progress.add(spoken)
        under_way[0].add(spoken.clips)
        yield from ready()
    yield from ready()
    write_batches(recipe.out / LIST, _tars(recipe.out, count), SHARDS)


def _tars(out: Path, count: int) -> Iterator[list[Shard]]:
    for start in range(0, count, 1024):
        records: list[ShardRecord] = [read_json(_record(out, index)) for index in range(start, min(count, start + 1024))]
        yield [tar for record in records for tar in record["tars"]]


def _record(out: Path, index: int) -> Path:
    return out / f"shard-{index:05d}.json"


def _finish(shard: _Shard, progress: Progress) -> list[Utterance]:
    rows = shard.write()
    progress.clips += len(rows)
    progress.failed += sum(row["error"] is not None for row in rows)
    return rows


def _parts(jobs: Iterable[Job], recipe: Recipe, under_way: deque[_Shard]) -> Iterator[Part]:
    """Yield the parts of all shards, and append each shard to `under_way`.

    A shard that an earlier run finished has no parts and only takes its place in `under_way`.
    """
    remaining = iter(jobs)
    for index in itertools.count():
        batch = tuple(itertools.islice(remaining, recipe.shard_clips))
        if not batch:
            return
        unknown = {job.voice for job in batch} - recipe.voices.keys()
        if unknown:
            raise InserterError(f"no voice is named {min(unknown)}", f"Choose one of: {', '.join(sorted(recipe.voices))}")
        shard = _Shard(index, batch, recipe)
        under_way.append(shard)
        yield from shard.parts
