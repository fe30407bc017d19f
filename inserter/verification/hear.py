"""Decide which recogniser hears a clip, and whether the clip is packed with others or alone.

The fast recogniser hears all clips, packed. Doubtful clips are heard again.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from inserter.tables import Verified, known
from inserter.verification.asr import BATCH, Transcriber
from inserter.verification.packing import join, pack
from inserter.verification.readings import at_risk, contradicted
from inserter.verification.words import compare, share_out, share_text, words
from models.windows import WINDOW

# Besides word errors, these figures make a clip doubtful. They catch every clip that a sensible
# limit would refuse, so no clip is refused that was not doubtful before.
EXTRA = 2  # words beyond those to be said
ENDING = 0.6  # similarity of the last words


class Clip(NamedTuple):
    """A clip that is being measured."""

    row: Verified
    """The clip's row of VERIFIED, whose columns are filled in place."""

    wave: np.ndarray
    """(samples,)"""

    words: list[str]
    """The words to be said."""


class Columns(NamedTuple):
    """The columns of VERIFIED with what one recogniser heard."""

    heard: Literal["heard", "second_heard"]
    wer: Literal["wer", "second_wer"]
    extra: Literal["extra", "second_extra"]
    ending: Literal["ending", "second_ending"]


FIRST = Columns("heard", "wer", "extra", "ending")
SECOND = Columns("second_heard", "second_wer", "second_extra", "second_ending")


class Ears(NamedTuple):
    """The recognisers of one language."""

    first: Transcriber
    """The fast recogniser, which hears every clip."""

    second: Transcriber | None
    """The second opinion on doubtful clips; None if there is none."""

    band: tuple[float, float]
    """(low, high): word error rates by `first`.

    Above low a clip is doubtful. Up to high the second recogniser hears a doubtful clip.
    """


def hear(clips: Sequence[Clip], ears: Ears) -> None:
    """Fill the columns `heard` to `second_wrote` of every clip."""
    _hear_words(clips, ears)
    _hear_numbers(clips, ears)


def _hear_words(clips: Sequence[Clip], ears: Ears) -> None:
    """Hear the clips and compare the heard words with the spoken form.

    In a pack, a word between two clips may be assigned to the wrong clip. A clip on which the
    decoder loops spoils its neighbours. No clip is refused because of packing, so these clips are
    heard alone:

    - a clip above the band, which was hardly understood: by the first recogniser, before the second
      hears anything
    - a clip that the second recogniser doubts too: by both
    """
    low, high = ears.band
    doubtful = _in_company(clips, ears.first, FIRST, low=low)
    for clip in doubtful:
        if known(clip.row["wer"]) > high or ears.second is None:
            _alone(clip, ears.first, FIRST)
    if ears.second is None:
        return
    near = [clip for clip in doubtful if known(clip.row["wer"]) <= high]
    still = {id(clip) for clip in _in_company(near, ears.second, SECOND, low=low)}
    for clip in near:
        if id(clip) in still or known(clip.row["extra"]) >= EXTRA:  # extra words may be a neighbour's
            _alone(clip, ears.first, FIRST)
        if id(clip) in still:
            _alone(clip, ears.second, SECOND)


def _hear_numbers(clips: Sequence[Clip], ears: Ears) -> None:
    """Hear a clip again, alone, if a recogniser's numbers contradict the written text.

    The first recogniser hears such a clip first. If its new text contradicts too, the second
    recogniser hears the clip.
    """
    for clip in clips:
        if contradicted(clip.row):
            clip.row["wrote"] = ears.first.transcribe_alone(clip.wave)
            if ears.second and contradicted(clip.row):
                clip.row["second_wrote"] = ears.second.transcribe_alone(clip.wave)


def _in_company(clips: Sequence[Clip], ear: Transcriber, columns: Columns, *, low: float) -> list[Clip]:
    """Hear all clips, packed as they fit, and return the doubtful ones."""
    windows = [[clips[i] for i in window] for window in pack([len(clip.wave) for clip in clips])]
    doubtful: set[int] = set()
    for start in range(0, len(windows), BATCH):
        batch = windows[start : start + BATCH]
        texts = ear.transcribe([join([clip.wave for clip in window]) for window in batch])
        for window, text in zip(batch, texts, strict=True):
            shares, before = share_out([clip.words for clip in window], words(text, ear.language))
            at_stake = columns is FIRST and any(map(_at_risk, window))
            wrote = share_text(text, [len(share) for share in shares], ear.language) if at_stake else [""] * len(window)
            for clip, got, unclear, written in zip(window, shares, before, wrote, strict=True):
                _note(clip, got, columns, written=written)
                if unclear >= EXTRA:
                    doubtful.add(id(clip))
    for clip in clips:
        if len(clip.wave) > WINDOW:  # such a clip is in no pack
            _alone(clip, ear, columns)
    return [clip for clip in clips if id(clip) in doubtful or _doubtful(clip.row, columns, low)]


def _doubtful(row: Verified, columns: Columns, low: float) -> bool:
    return known(row[columns.wer]) > low or known(row[columns.extra]) >= EXTRA or known(row[columns.ending]) < ENDING


def _alone(clip: Clip, ear: Transcriber, columns: Columns) -> None:
    text = ear.transcribe_alone(clip.wave)
    _note(clip, words(text, ear.language), columns, written=text)


def _at_risk(clip: Clip) -> bool:
    return at_risk(clip.row["written"], clip.row["spoken"], clip.row["language"])


def _note(clip: Clip, got: list[str], columns: Columns, *, written: str) -> None:
    """Record in the clip's row the words that were heard, and how they compare.

    written: the text behind the words `got`, kept if the clip may have a wrong reading.
    """
    row = clip.row
    row[columns.heard] = " ".join(got)
    if columns is FIRST and _at_risk(clip):
        row["wrote"] = written
    row[columns.wer], row[columns.extra], row[columns.ending] = compare(clip.words, got)
