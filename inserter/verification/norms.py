"""How long a text should take in a voice, learnt on the run itself: durations against letters, syllables and pauses."""

import heapq
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from inserter.seeds import derive
from inserter.tables import LEXICON
from inserter.verification.verdict import well_heard

SAMPLE = 2_000  # clips a voice that are learnt from, drawn by a hash of their id: memory does not grow with the run
ENOUGH = 30  # clips; a voice with fewer is measured by all voices of its language, and with fewer of those too, not at all
SPREAD = 0.02  # of log durations at least: a text of a voice is never told more exactly than to 2 %
MAD = 1.4826  # of a normal distribution: median absolute deviation × this = standard deviation
Key = tuple[str, bool, str | None]  # language, whether it is a list of words, voice
_SYLLABLE = re.compile(r"[aeiouy]+|[^\x00-\x7f]")  # a group of vowels; letters of other scripts count one by one
_PAUSE = re.compile(r"[.,;:?!。，；：？！、]")


def features(spoken: str) -> tuple[float, float, float, float]:
    """What takes time in a text: letters, syllables, pauses, and 1 for its beginning and end."""
    letters = sum(map(str.isalnum, spoken))
    return float(letters), float(len(_SYLLABLE.findall(spoken.casefold()))), float(len(_PAUSE.findall(spoken))), 1.0


@dataclass(frozen=True)
class Norm:
    """seconds: of each feature; centre, spread: of log(duration / what those seconds add up to)."""

    seconds: np.ndarray
    centre: float
    spread: float

    def z(self, spoken: str, duration: float) -> float:
        """Robust z-score: by how many spreads the clip is too long (or, below 0, too short)."""
        return (_ratio(self.seconds, np.array([features(spoken)]), np.array([duration]))[0] - self.centre) / self.spread


class Norms:
    """Learns from measured clips that were heard well; then tells any clip's z-score.

    Lists of words are told by lists: learnt together with them, running text had a spread of 1.23 instead of 0.99, and 24 of
    its good clips were refused where 7 had been.
    """

    def __init__(self) -> None:
        self._drawn: dict[Key, list[tuple[int, tuple, float]]] = {}
        self._norms: dict[Key, Norm | None] = {}

    def learn(self, rows: Iterable[dict]) -> None:
        for row in rows:
            if row["reason"] is None and well_heard(row):
                draw = (-derive(0, row["utt_id"]), features(row["spoken"]), row["duration"])
                for key in _keys(row):
                    drawn = self._drawn.setdefault(key, [])
                    heapq.heappush(drawn, draw)
                    if len(drawn) > SAMPLE:
                        heapq.heappop(drawn)  # the largest hash

    def z(self, row: dict) -> float | None:
        """None where too few clips were there to learn from."""
        for key in _keys(row):
            if key not in self._norms:
                drawn = sorted(self._drawn.get(key, []))
                self._norms[key] = fit(drawn) if len(drawn) >= ENOUGH else None
            norm = self._norms[key]
            if norm is not None:
                return norm.z(row["spoken"], row["duration"])
        return None


def _keys(row: dict) -> tuple[Key, Key]:
    """The clip's voice; then all voices of its language."""
    return (row["language"], row["split"] == LEXICON, row["voice"]), (row["language"], row["split"] == LEXICON, None)


def fit(drawn: list[tuple[int, tuple, float]]) -> Norm:
    """Seconds that are not negative, by a loss that outliers hardly move (soft L1 on the log of the duration)."""
    from scipy.optimize import least_squares

    counts = np.array([found for _, found, _ in drawn])
    durations = np.array([duration for _, _, duration in drawn])
    start = np.array([0.04, 0.05, 0.1, 0.2])  # about what English takes; the result does not depend on it
    found = least_squares(
        lambda seconds: _ratio(seconds, counts, durations), start, bounds=(1e-6, np.inf), loss="soft_l1", f_scale=0.1
    )
    ratios = _ratio(found.x, counts, durations)
    centre = float(np.median(ratios))
    return Norm(found.x, centre, max(SPREAD, MAD * float(np.median(np.abs(ratios - centre)))))


def _ratio(seconds: np.ndarray, counts: np.ndarray, durations: np.ndarray) -> np.ndarray:
    """log(duration / expected), times the square root of the expected seconds: what many sounds take together varies relatively
    less than what one takes."""
    expected = counts @ seconds
    return np.log(durations / expected) * np.sqrt(expected)
