"""Define jobs, the utterances to speak, and divide them into work.

Jobs form shards, and a shard is divided into parts that take about equally long.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from inserter.audio.effects import Effect
from inserter.files import fingerprint
from inserter.params import Voice
from inserter.run.closure import deciding
from inserter.tts.voices import identity

# About 100 s of speech: 0.7 s of work for hibari, 100 s for an engine that speaks in real time.
PART_CHARACTERS = 1500
REUSED = 0.1  # work for a clip whose speech exists already, relative to speaking the clip


@dataclass(frozen=True)
class Job:
    """One utterance to speak."""

    utt_id: str
    doc_id: str
    split: str
    written: str
    spoken: str
    voice: str
    """Name of one of the driver's voices."""
    effect: Effect | None = None
    """Effect on the clip after it is spoken; None for none."""


class Place(NamedTuple):
    """The bytes of a file that hold speech of an earlier run."""

    path: str
    offset: int
    size: int


class Part(NamedTuple):
    """The work of one task: some jobs of a shard."""

    numbers: tuple[int, ...]
    """Positions of the jobs in the shard."""
    jobs: tuple[Job, ...]
    contents: tuple[str, ...]
    """The `content` of each job."""
    voices: dict[str, Voice]
    """The voices of the jobs, by name."""
    kept: dict[str, Place]
    """Where the speech of an earlier run is, by content. These contents need no voice."""
    seed: int
    """Seed of the noise."""


@lru_cache(maxsize=1)
def _encoding() -> str:
    return fingerprint(files=deciding("inserter.audio.clips"))


@lru_cache(maxsize=1024)
def _speaker(voice: Voice) -> str:
    return f"{identity(voice)}\x1f{_encoding()}"


def content(text: str, voice: Voice) -> str:
    """Return 32 hex digits that identify the original of `text` in `voice`.

    The same speech has the same digits in every run and for every job.
    """
    return hashlib.blake2b(f"{_speaker(voice)}\x1f{text}".encode(), digest_size=16).hexdigest()


def split(
    jobs: Sequence[Job], contents: Sequence[str], voices: Mapping[str, Voice], *, kept: Mapping[str, Place], seed: int
) -> list[Part]:
    """Divide the jobs of a shard into parts that take about equally long, longest first.

    A part has as few voices as possible. Texts of similar length are neighbours, which suits
    engines that work in batches. Jobs with the same speech share a part, so it is spoken once.
    """

    def work(number: int) -> float:
        return len(jobs[number].spoken) * (REUSED if contents[number] in kept else 1.0)

    order = sorted(range(len(jobs)), key=lambda n: (jobs[n].voice, -len(jobs[n].spoken), jobs[n].spoken, n))
    groups: list[list[int]] = [[]]
    room = float(PART_CHARACTERS)
    for number in order:
        again = groups[-1] and contents[groups[-1][-1]] == contents[number]
        if groups[-1] and not again and work(number) > room:
            groups.append([])
            room = float(PART_CHARACTERS)
        groups[-1].append(number)
        room -= work(number)
    groups.sort(key=lambda group: (-sum(map(work, group)), group))

    def part(group: list[int]) -> Part:
        mine, here = tuple(jobs[n] for n in group), tuple(contents[n] for n in group)
        named = {name: voices[name] for name in sorted({job.voice for job in mine})}
        return Part(tuple(group), mine, here, named, {key: kept[key] for key in here if key in kept}, seed)

    return [part(group) for group in groups]


def absolute(path: Path | str) -> str:
    """Return the absolute `path`, for a worker on another machine.

    Such a worker shares the file system but not the current directory.
    """
    return str(Path(path).absolute())
