"""Hear clips of the benchmark, and recordings of people, with the recogniser, in worker processes.

A worker imports this module and no model of torch, which would take it four seconds.
"""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from inserter.audio.clips import read_clip
from inserter.errors import InserterError
from inserter.files import read_json, write_json
from inserter.scoring.recordfiles import Refused
from inserter.scoring.records import Row
from inserter.tables import InShard
from inserter.verification.asr import Transcriber
from inserter.verification.words import words
from models.sound import SAMPLE_RATE, NoSound
from models.sound import read as read_sound
from models.windows import cut
from stages.evaluate.people import Recording

# Transcripts keep fillers, recognisers drop them.
FILLERS = {"en": {"uh", "um", "hmm", "mm", "mhm", "mmm", "er", "erm"}}


class Clip(InShard):
    """What the recogniser takes from a row of Item."""

    item_id: str
    lang: str


class ClipTask(NamedTuple):
    """Clips of one language for the recogniser."""

    path: Path
    """The file that gets their transcripts."""

    items: list[Clip]
    asr: Path
    """The recogniser's folder."""

    language: str
    shards: Path
    """The folder of the clips' shards."""


class RecordingTask(NamedTuple):
    """Recordings of one language for the recogniser."""

    path: Path
    """The file that gets their transcripts."""

    recordings: list[Recording]
    asr: Path
    """The recogniser's folder."""


def transcribe_clips(task: ClipTask) -> dict[str, str]:
    """Return {item_id: text}."""
    if task.path.exists():
        return read_json(task.path)
    pieces = [cut(read_clip(task.shards, item)) for item in task.items]
    heard = iter(_transcriber(task.asr, task.language).transcribe([window for windows in pieces for window in windows]))
    said = [" ".join(next(heard).strip() for _ in windows) for windows in pieces]
    texts = {item["item_id"]: text for item, text in zip(task.items, said, strict=True)}
    write_json(task.path, texts)
    return texts


def transcribe_recordings(task: RecordingTask) -> list[Row]:
    """Return {"asr", "seconds"} or {"reason", "detail"} per clip."""
    if task.path.exists():
        return read_json(task.path)
    found = [_one(recording, task.asr) for recording in task.recordings]
    write_json(task.path, found)
    return found


def wave_of(recording: Recording) -> np.ndarray:
    """Return the samples (n,) of the clip, as float32 at 16 kHz.

    Raises Refused if the clip cannot be used.
    """
    source = recording.sound
    try:
        wave = read_sound(source if isinstance(source, Path) else source.read()).wave
    except NoSound as error:
        raise Refused(error.reason, f"{recording.id} {error.detail}") from error
    except (OSError, ValueError) as error:  # from a damaged Parquet file
        raise Refused("undecodable", f"{recording.id}: {error}") from error
    if not wave.any():
        raise Refused("silent", recording.id)
    return wave


def spoken_words(text: str, language: str) -> list[str]:
    """Return the words that are compared, without fillers."""
    return [word for word in words(text, language) if word not in FILLERS.get(language, ())]


@lru_cache(maxsize=2)
def _transcriber(folder: Path, language: str) -> Transcriber:
    return Transcriber(folder, language)


def _one(recording: Recording, asr: Path) -> Row:
    try:
        if not spoken_words(recording.text, recording.language):
            raise Refused("no transcript", f"{recording.id} has no word in {recording.text!r}")
        wave = wave_of(recording)
        try:
            transcriber = _transcriber(asr, recording.language)
        except InserterError as error:
            raise Refused("language", str(error)) from error
    except Refused as refused:
        return {"reason": refused.reason, "detail": refused.detail}
    said = " ".join(text.strip() for text in transcriber.transcribe(cut(wave)))
    return {"asr": said, "seconds": len(wave) / SAMPLE_RATE}
