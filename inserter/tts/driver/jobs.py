"""What is to be spoken, and how it is cut into work: jobs make shards, and shards are made of parts that take alike long."""

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

PART_CHARACTERS = 1500  # about 100 s of speech: 0.7 s of work for hibari, 100 s for an engine that speaks in real time
REUSED = 0.1  # the work of a clip whose speech is there already, against that of speaking it


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


class Place(NamedTuple):
    """Bytes of a file: where speech of an earlier run is."""

    path: str
    offset: int
    size: int


class Part(NamedTuple):
    """The work of one task: some jobs of a shard. `numbers` are their places in it; `kept` has the contents that need no voice."""

    numbers: tuple[int, ...]
    jobs: tuple[Job, ...]
    contents: tuple[str, ...]
    voices: dict[str, Voice]
    kept: dict[str, Place]
    seed: int


@lru_cache(maxsize=1)
def _encoding() -> str:
    return fingerprint(files=deciding("inserter.audio.clips"))


@lru_cache(maxsize=1024)
def _speaker(voice: Voice) -> str:
    return f"{identity(voice)}\x1f{_encoding()}"


def content(text: str, voice: Voice) -> str:
    """32 hex digits for the original of `text` in `voice`: the same speech has the same anywhere, whoever asks for it."""
    return hashlib.blake2b(f"{_speaker(voice)}\x1f{text}".encode(), digest_size=16).hexdigest()


def split(
    jobs: Sequence[Job], contents: Sequence[str], voices: Mapping[str, Voice], kept: Mapping[str, Place], seed: int
) -> list[Part]:
    """The jobs of a shard as parts that take about as long as each other, longest first.

    A part has as few voices as can be, texts of like length beside each other (what engines that work in batches want), and
    the same speech once.
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
    """For a worker on another machine, which shares the file system but not the current directory."""
    return str(Path(path).absolute())
