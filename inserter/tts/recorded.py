"""Speak with recordings of a person: a text that the person says is cut out of the recording.

The voice names a table of the speaker's recordings with their transcripts. A recogniser says when
each word is spoken, and its words are aligned with the transcript.
"""

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TypedDict

import numpy as np
from rapidfuzz.distance import Levenshtein

from inserter.assets import asr_folder
from inserter.audio.clips import SAMPLE_RATE, read
from inserter.errors import InserterError
from inserter.files import fingerprint, read_jsonl
from inserter.params import Voice
from inserter.tts.base import CannotSpeak, Synthesizer
from inserter.verification.asr import Transcriber, Word
from inserter.verification.words import ALIKE, words

FRAME = SAMPLE_RATE // 100  # samples over which a level is measured
SEARCH = 0.1  # seconds around a word's time in which the cut is made where it is quietest
SILENT = 0.01  # level, relative to the loudest, below which a cut's ends are left out
MARGIN = 0.1  # seconds of a pause that stay at a cut's ends
FADE = 0.02  # seconds in which a cut begins and ends
QUIET = 0.1  # seconds of silence around a cut


class Recording(TypedDict):
    """A row of the voice's table, which is JSON Lines."""

    audio: str
    """Path of the sound file."""
    text: str
    """What is said."""


class RecordedVoice(Synthesizer):
    """A speaker whose recordings have transcripts. The speed cannot be changed."""

    def __init__(self, voice: Voice) -> None:
        self.voice = voice
        self.recordings: list[Recording] = list(read_jsonl(voice.voice))
        self.said = [words(recording["text"], voice.language) for recording in self.recordings]

    def synthesize(self, text: str, rate: float) -> np.ndarray:
        """Return the sound of the first recording in which `text` is said and can be aligned."""
        wanted, reason = words(text, self.voice.language), "no recording has these words"
        for number, said in enumerate(self.said):
            first = _place(wanted, said)
            if first is None:
                continue
            path = self.recordings[number]["audio"]
            try:
                times = _times(path, tuple(said), self.voice)
                cut = _cut(_wave(path), times[first : first + len(wanted)])
                if cut is not None:
                    return cut
                reason = "the words cannot be aligned with the recording"
            except InserterError as error:  # this recording alone cannot be read
                reason = str(error)
        raise CannotSpeak(reason)


def _place(wanted: Sequence[str], said: Sequence[str]) -> int | None:
    """Return where the words `wanted` begin in `said`, or None."""
    starts = (at for at in range(len(said) - len(wanted) + 1) if said[at] == wanted[0]) if wanted else iter(())
    return next((at for at in starts if said[at : at + len(wanted)] == wanted), None)


@lru_cache(maxsize=2)  # an hour takes 230 MB
def _wave(path: str) -> np.ndarray:
    """Return float32 (samples,) at 16 kHz of a recording, which must not be changed."""
    return read(path)


@lru_cache(maxsize=4096)
def _times(path: str, said: tuple[str, ...], voice: Voice) -> list[tuple[float, float] | None]:
    """Return when each word of a transcript is spoken, in seconds; None where that is unknown.

    A word is known if the recogniser heard that word, or one with similar letters in its place.
    """
    heard: list[Word] = _ear(voice.model or "", voice.language).timed(_wave(path))
    spoken = [words(word.text, voice.language) for word in heard]
    ends, joined = list(accumulate(map(len, spoken))), [word for each in spoken for word in each]
    times: list[tuple[float, float] | None] = [None] * len(said)
    for op in Levenshtein.opcodes(said, joined):
        for at, place in zip(range(op.src_start, op.src_end), range(op.dest_start, op.dest_end), strict=False):
            if Levenshtein.normalized_similarity(said[at], joined[place]) >= ALIKE:
                word = heard[bisect_right(ends, place)]
                times[at] = (word.start, word.end)
    return times


def _cut(wave: np.ndarray, times: Sequence[tuple[float, float] | None]) -> np.ndarray | None:
    """Return the samples of words with these times; None if an end is unknown."""
    first, last = times[0], times[-1]
    if first is None or last is None:
        return None
    piece = wave[_quietest(wave, first[0]) : _quietest(wave, last[1])]
    frames = piece[: len(piece) // FRAME * FRAME].reshape(-1, FRAME)
    level = np.sqrt(np.square(frames).mean(axis=1))
    loud = np.flatnonzero(level > SILENT * level.max(initial=0.0))
    if not len(loud):
        return None
    margin = int(MARGIN * SAMPLE_RATE)
    return _faded(piece[max(0, loud[0] * FRAME - margin) : (loud[-1] + 1) * FRAME + margin].copy())


def _quietest(wave: np.ndarray, second: float) -> int:
    """Return the sample within SEARCH seconds of `second` around which it is quietest."""
    at, reach = int(second * SAMPLE_RATE), int(SEARCH * SAMPLE_RATE)
    first = max(0, at - reach)
    around = wave[first : at + reach]
    if len(around) < FRAME:
        return min(at, len(wave))
    frames = np.square(around[: len(around) // FRAME * FRAME]).reshape(-1, FRAME).mean(axis=1)
    return first + int(np.argmin(frames)) * FRAME + FRAME // 2


def _faded(piece: np.ndarray) -> np.ndarray:
    """Return `piece`, which is changed, with soft ends and silence around it."""
    size = min(int(FADE * SAMPLE_RATE), len(piece) // 2)
    ramp = np.linspace(0, 1, size, dtype=np.float32)
    piece[:size] *= ramp
    piece[len(piece) - size :] *= ramp[::-1]
    return np.pad(piece, int(QUIET * SAMPLE_RATE))


@lru_cache(maxsize=4)
def _ear(model: str, language: str) -> Transcriber:
    import torch

    return Transcriber(asr_folder(model), language, torch.get_num_threads())


def load(voice: Voice) -> RecordedVoice:
    """Return the speaker of the table that `voice` names."""
    return RecordedVoice(voice)


def missing(voice: Voice) -> str | None:
    """Return why `voice` cannot be used here, or None."""
    if voice.model is None:
        return "recorded speech needs the recogniser that aligns it. Set `model`, as assets.asr"
    return None if Path(voice.voice).is_file() else f"its table {voice.voice} is missing. Run `dvc repro corpus`"


def files(voice: Voice) -> list[Path]:
    """Return the table and the recordings that exist."""
    table = Path(voice.voice)
    return [table, *(path for row in read_jsonl(table) if (path := Path(row["audio"])).is_file())]


def version(voice: Voice) -> str:
    """Return the identity of the recogniser that aligns."""
    return fingerprint(str(asr_folder(voice.model or "").name))
