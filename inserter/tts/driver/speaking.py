"""Do a worker's task: speak a part of a shard, apply the effects and encode the clips as FLAC.

Speech that an earlier run made is not spoken again. An original has 16-bit samples, and effects are
applied to the samples that its FLAC decodes to. So a clip has the same bytes whether its speech was
made now or earlier.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from inserter.audio.clips import SAMPLE_RATE, decode, flac, quantise
from inserter.audio.effects import Effect, apply
from inserter.errors import InserterError
from inserter.params import Voice
from inserter.seeds import np_rng
from inserter.tables import Utterance
from inserter.tts.base import CannotSpeak
from inserter.tts.driver.jobs import Job, Part, Place
from inserter.tts.voices import load_voice


class Speech(NamedTuple):
    """An original."""

    samples: np.ndarray
    """(samples,) int16 at 16 kHz."""
    data: bytes
    """The same samples as FLAC."""


class Clip(NamedTuple):
    """The result of a job."""

    number: int
    """Position of the job in the shard."""
    row: Utterance
    """Row (schema UTTERANCES) without the clip's place in the shard."""
    heard: bytes | None
    """The clip as FLAC; None where the job failed."""
    original: bytes | None
    """The original as FLAC where an effect makes it differ from `heard`, else None."""


class Spoken(NamedTuple):
    """A finished part."""

    clips: list[Clip]
    seconds: float
    """Seconds of speech made now."""
    made: int
    """Originals made now."""
    reused: int
    """Originals taken from an earlier run."""


def speak_part(part: Part) -> Spoken:
    """Return all clips of `part`.

    Raises InserterError when the machine is at fault. A text that fails gives a row with `error`.
    """
    kept = {content: _load(place) for content, place in part.kept.items()}
    missing = {c: job for c, job in zip(part.contents, part.jobs, strict=True) if c not in kept}
    made = dict(_speak(missing, part.voices))
    speech = kept | made
    clips = [
        _clip(number, job, part.voices[job.voice], content=content, speech=speech[content], seed=part.seed)
        for number, job, content in zip(part.numbers, part.jobs, part.contents, strict=True)
    ]
    fresh = [found for found in made.values() if isinstance(found, Speech)]
    return Spoken(clips, sum(len(found.samples) for found in fresh) / SAMPLE_RATE, len(fresh), len(kept))


def _load(place: Place) -> Speech:
    try:
        with Path(place.path).open("rb") as file:
            file.seek(place.offset)
            data = file.read(place.size)
    except OSError as error:
        raise InserterError(f"{place.path} cannot be read ({error})", "Run again, and leave `.work` unchanged meanwhile") from error
    return Speech(decode(data), data)


def _speak(jobs: dict[str, Job], voices: dict[str, Voice]) -> Iterator[tuple[str, Speech | str]]:
    """Yield (content, its speech or why there is none), voice by voice."""
    for name, voice in voices.items():
        texts = {content: job.spoken for content, job in jobs.items() if job.voice == name}
        yield from zip(texts, _speak_texts(voice, list(texts.values())), strict=True)


def _speak_texts(voice: Voice, texts: list[str]) -> Iterator[Speech | str]:
    speaker = load_voice(voice)
    done = 0
    while done < len(texts):
        try:
            for wave in speaker.speak_many(texts[done:]):
                done += 1
                yield str(wave) if isinstance(wave, CannotSpeak) else _original(wave)
            return
        except (InserterError, MemoryError):
            raise  # the machine is at fault, not the text, so every other clip would fail too
        except OSError as error:
            raise InserterError(
                f"{voice.engine} cannot run ({error})", "Free some disk space or correct the permissions"
            ) from error
        except Exception as error:
            # An engine may fail on a text in any way. Such a failure costs one clip, not the run.
            done += 1
            yield f"{voice.engine}: {type(error).__name__}: {error}"


def _original(wave: np.ndarray) -> Speech:
    """Return `wave` in 16 bit, turned down to full scale where the engine exceeded it."""
    samples = quantise(wave / max(1.0, float(np.abs(wave).max())))
    return Speech(samples, flac(samples))


def _clip(number: int, job: Job, voice: Voice, *, content: str, speech: Speech | str, seed: int) -> Clip:
    effect = job.effect or Effect()
    row: Utterance = {
        "utt_id": job.utt_id,
        "doc_id": job.doc_id,
        "split": job.split,
        "language": voice.language,
        "written": job.written,
        "spoken": job.spoken,
        "engine": voice.engine,
        "voice": voice.name,
        "license": voice.license,
        "content": content,
        "effect": effect.to_json(),
        "sample_rate": SAMPLE_RATE,
        "n_samples": 0,
        "duration": 0.0,
        "shard": None,
        "offset": 0,
        "size": 0,
        "original_shard": None,
        "original_offset": 0,
        "original_size": 0,
        "error": None,
    }
    if isinstance(speech, str):
        return Clip(number, {**row, "error": speech}, None, None)
    heard, original = speech, None
    if not effect.nothing:
        try:
            wave = apply(speech.samples / np.float32(32768), effect, np_rng(seed, "noise", job.utt_id))
            heard, original = _original(wave), speech.data
        except ValueError as error:
            return Clip(number, {**row, "error": f"effect: {error}"}, None, None)
    length = len(heard.samples)
    return Clip(number, {**row, "n_samples": length, "duration": length / SAMPLE_RATE}, heard.data, original)
