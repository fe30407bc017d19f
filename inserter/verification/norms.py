"""Learn from the run itself how long a text should take in a voice.

A fit per voice explains the durations by letters, syllables and pauses.
"""

import heapq
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from inserter.seeds import derive
from inserter.tables import LEXICON, Verified
from inserter.verification.verdict import well_heard

# Clips per fit, drawn by a hash of their id. Memory does not grow with the run.
SAMPLE = 2_000
# Clips that a fit needs. A voice with fewer is measured by all voices of its language. If the
# language has fewer too, there is no z-score.
ENOUGH = 30
# Floor on the spread: no duration is predicted to better than 2 % for a text of 1 s.
SPREAD = 0.02
MAD = 1.4826  # normal distribution: standard deviation / median absolute deviation
Key = tuple[str, bool, str | None]  # language, whether it is a list of words, voice (None: all)
# A group of vowels; letters of other scripts count one by one.
_SYLLABLE = re.compile(r"[aeiouy]+|[^\x00-\x7f]")
_PAUSE = re.compile(r"[.,;:?!。，；：？！、]")


def features(spoken: str) -> tuple[float, float, float, float]:
    """Return what takes time in a text: letters, syllables, pauses, and 1 for beginning and end."""
    letters = sum(map(str.isalnum, spoken))
    return float(letters), float(len(_SYLLABLE.findall(spoken.casefold()))), float(len(_PAUSE.findall(spoken))), 1.0


@dataclass(frozen=True)
class Norm:
    """The usual durations of one voice, or of all voices of a language."""

    seconds: np.ndarray
    """(features,): seconds per unit of each feature, in the order of `features`."""

    centre: float
    """Median of the residuals (see `_ratio`)."""

    spread: float
    """Robust standard deviation of the residuals; at least SPREAD."""

    def z(self, spoken: str, duration: float) -> float:
        """Return the robust z-score: by how many spreads the clip is too long (below 0: too short).

        duration: seconds.
        """
        return (_ratio(self.seconds, np.array([features(spoken)]), np.array([duration]))[0] - self.centre) / self.spread


class Norms:
    """Norms that are learnt from measured clips that were heard well; `z` rates any clip by them.

    Lists of words have fits of their own. Learnt together with lists, running text had a spread of
    1.23 instead of 0.99. Then 24 good clips of running text were refused, where 7 had been.
    """

    def __init__(self) -> None:
        self._drawn: dict[Key, list[tuple[int, tuple[object, ...], float]]] = {}
        self._norms: dict[Key, Norm | None] = {}

    def learn(self, rows: Iterable[Verified]) -> None:
        """Add the clips of `rows` (schema VERIFIED) that were heard well."""
        for row in rows:
            if row["reason"] is None and well_heard(row):
                draw = (-derive(0, row["utt_id"]), features(row["spoken"]), row["duration"])
                for key in _keys(row):
                    drawn = self._drawn.setdefault(key, [])
                    heapq.heappush(drawn, draw)
                    if len(drawn) > SAMPLE:
                        heapq.heappop(drawn)  # the largest hash

    def z(self, row: Verified) -> float | None:
        """Return the z-score of the clip's duration, or None if too few clips were learnt."""
        for key in _keys(row):
            if key not in self._norms:
                drawn = sorted(self._drawn.get(key, []))
                self._norms[key] = fit(drawn) if len(drawn) >= ENOUGH else None
            norm = self._norms[key]
            if norm is not None:
                return norm.z(row["spoken"], row["duration"])
        return None


def _keys(row: Verified) -> tuple[Key, Key]:
    """Return the key of the clip's voice, then the key of all voices of its language."""
    return (row["language"], row["split"] == LEXICON, row["voice"]), (row["language"], row["split"] == LEXICON, None)


def fit(drawn: list[tuple[int, tuple[object, ...], float]]) -> Norm:
    """Fit seconds that are not negative, by a loss that outliers hardly move.

    The loss is soft L1 on the residuals of the log duration (see `_ratio`).
    """
    from scipy.optimize import least_squares

    counts = np.array([found for _, found, _ in drawn])
    durations = np.array([duration for _, _, duration in drawn])
    # About the seconds of English; the result does not depend on them.
    start = np.array([0.04, 0.05, 0.1, 0.2])
    found = least_squares(
        lambda seconds: _ratio(seconds, counts, durations), start, bounds=(1e-6, np.inf), loss="soft_l1", f_scale=0.1
    )
    ratios = _ratio(found.x, counts, durations)
    centre = float(np.median(ratios))
    return Norm(found.x, centre, max(SPREAD, MAD * float(np.median(np.abs(ratios - centre)))))


def _ratio(seconds: np.ndarray, counts: np.ndarray, durations: np.ndarray) -> np.ndarray:
    """Return the residuals: log(duration / expected), times the square root of expected seconds.

    The square root makes short and long clips spread alike. The relative variation of many sounds
    together is smaller than that of one sound.
    """
    expected = counts @ seconds
    return np.log(durations / expected) * np.sqrt(expected)
