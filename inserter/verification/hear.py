"""Who hears a clip, and in what company: the fast recogniser hears all, packed; what is doubtful then is heard again."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from inserter.verification.asr import BATCH, Transcriber
from inserter.verification.packing import join, pack
from inserter.verification.readings import at_risk, contradicted
from inserter.verification.words import compare, share_out, share_text, words
from models.windows import WINDOW

# What makes a clip doubtful, besides its word errors. Looser than any sensible limit: no clip is refused that was not doubtful.
EXTRA = 2  # words too many
ENDING = 0.6  # likeness of the last words


class Clip(NamedTuple):
    """A row of VERIFIED that is being measured, its wave (samples,) and the words that are to be said."""

    row: dict
    wave: np.ndarray
    words: list[str]


class Ears(NamedTuple):
    """The recognisers of one language. band: the word error rates of the first that the second is asked about."""

    first: Transcriber
    second: Transcriber | None
    band: tuple[float, float]


def hear(clips: Sequence[Clip], ears: Ears) -> None:
    """Fill the columns `heard` to `second_wrote` of every clip."""
    _hear_words(clips, ears)
    _hear_numbers(clips, ears)


def _hear_words(clips: Sequence[Clip], ears: Ears) -> None:
    """Compare what is heard with the spoken form.

    In a pack, a word between two clips may be given to the wrong one, and one clip that the decoder loops on spoils its
    neighbours. So packing condemns nobody: a clip that is as good as not understood is heard alone before anything else, and one
    that the second recogniser doubts too is heard alone by both.
    """
    low, high = ears.band
    doubtful = _in_company(clips, ears.first, "", low)
    for clip in doubtful:
        if clip.row["wer"] > high or ears.second is None:
            _alone(clip, ears.first, "")
    if ears.second is None:
        return
    near = [clip for clip in doubtful if clip.row["wer"] <= high]
    still = {id(clip) for clip in _in_company(near, ears.second, "second_", low)}
    for clip in near:
        if id(clip) in still or clip.row["extra"] >= EXTRA:  # words too many may be a neighbour's
            _alone(clip, ears.first, "")
        if id(clip) in still:
            _alone(clip, ears.second, "second_")


def _hear_numbers(clips: Sequence[Clip], ears: Ears) -> None:
    """Where what the first recogniser wrote in company contradicts, it hears the clip alone, and then the second does."""
    for clip in clips:
        if contradicted(clip.row):
            clip.row["wrote"] = ears.first.transcribe_alone(clip.wave)
            if ears.second and contradicted(clip.row):
                clip.row["second_wrote"] = ears.second.transcribe_alone(clip.wave)


def _in_company(clips: Sequence[Clip], ear: Transcriber, prefix: str, low: float) -> list[Clip]:
    """Hear all clips, packed as they fit: those that are doubtful then."""
    windows = [[clips[i] for i in window] for window in pack([len(clip.wave) for clip in clips])]
    doubtful: set[int] = set()
    for start in range(0, len(windows), BATCH):
        batch = windows[start : start + BATCH]
        texts = ear.transcribe([join([clip.wave for clip in window]) for window in batch])
        for window, text in zip(batch, texts, strict=True):
            shares, before = share_out([clip.words for clip in window], words(text, ear.language))
            at_stake = not prefix and any(map(_at_risk, window))
            wrote = share_text(text, [len(share) for share in shares], ear.language) if at_stake else [""] * len(window)
            for clip, got, unclear, written in zip(window, shares, before, wrote, strict=True):
                _note(clip, got, prefix, written)
                if unclear >= EXTRA:
                    doubtful.add(id(clip))
    for clip in clips:
        if len(clip.wave) > WINDOW:  # in no window
            _alone(clip, ear, prefix)
    return [clip for clip in clips if id(clip) in doubtful or _doubtful(clip, prefix, low)]


def _doubtful(clip: Clip, prefix: str, low: float) -> bool:
    row = clip.row
    return row[f"{prefix}wer"] > low or row[f"{prefix}extra"] >= EXTRA or row[f"{prefix}ending"] < ENDING


def _alone(clip: Clip, ear: Transcriber, prefix: str) -> None:
    text = ear.transcribe_alone(clip.wave)
    _note(clip, words(text, ear.language), prefix, text)


def _at_risk(clip: Clip) -> bool:
    return at_risk(clip.row["written"], clip.row["spoken"], clip.row["language"])


def _note(clip: Clip, got: list[str], prefix: str, written: str) -> None:
    """written: what the words `got` stand for, kept where the clip may have a wrong reading."""
    clip.row[f"{prefix}heard"] = " ".join(got)
    if not prefix and _at_risk(clip):
        clip.row["wrote"] = written
    for name, value in compare(clip.words, got)._asdict().items():
        clip.row[prefix + name] = value
