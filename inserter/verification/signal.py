"""Measure in a clip what needs no recogniser.

Waves are (samples,) at 16 kHz; levels are in dB.
"""

from typing import NamedTuple

import numpy as np

from inserter.audio.clips import SAMPLE_RATE

FRAME = SAMPLE_RATE // 100  # 10 ms
# A frame is silent if it is 40 dB below the loud frames. A frame within 8 dB of the floor and 8 dB
# below the loud frames is silent too, so that dead air under noise is found.
QUIET_DB, NEAR_FLOOR_DB, NOT_LOUD_DB = 40.0, 8.0, 8.0
LOUD, FLOOR = 95, 10  # percentiles of the frames' levels: loud speech; the gaps between words
# Samples within this share of the peak from the extreme count as level with it: at -30 dBFS the
# share is one step of 16 bit.
FLAT = 1e-3
FLAT_RUN = 3  # level samples in a row that make a clipped crest
TAIL = 3  # frames at the end of a clip
OVER_FLOOR = 4.0  # times the floor's power; a tail below that may be noise


class Signal(NamedTuple):
    """The columns of VERIFIED that come from the samples alone; `inserter.tables` defines them."""

    level_db: float
    clipping: float
    silence: float
    dc: float
    snr_db: float
    tail_db: float


def measure(wave: np.ndarray) -> Signal:
    """Return the figures of one clip (samples,)."""
    dc = float(np.mean(wave, dtype=np.float64))
    centred = wave - np.float32(dc)
    frames = frame_levels(centred)
    low, high = (float(level) for level in np.percentile(frames, [FLOOR, LOUD]))
    quiet = max(high - QUIET_DB, min(low + NEAR_FLOOR_DB, high - NOT_LOUD_DB))
    return Signal(
        level_db=_db_of(_power(centred)),
        clipping=clipping(wave),
        silence=float(_runs(frames < quiet).max(initial=0)) * FRAME / SAMPLE_RATE,
        dc=dc,
        snr_db=high - low,
        tail_db=_db_of(_power(centred[-TAIL * FRAME :]) - OVER_FLOOR * 10 ** (low / 10)) - high,
    )


def _power(wave: np.ndarray) -> float:
    return float(np.mean(np.square(wave, dtype=np.float64)))


def _db_of(power: float) -> float:
    """Return the level in dBFS; -120 for no power."""
    return 10 * float(np.log10(max(power, 1e-12)))


def frame_levels(wave: np.ndarray) -> np.ndarray:
    """Return the levels (frames,) of frames of 10 ms, in dBFS.

    An incomplete last frame is left out, unless it is the only one.
    """
    size = min(FRAME, len(wave))
    frames = wave[: len(wave) // size * size].reshape(-1, size)
    return 10 * np.log10(np.maximum(np.mean(np.square(frames, dtype=np.float64), axis=1), 1e-12))


def clipping(wave: np.ndarray) -> float:
    """Return the share of the samples in flat tops.

    A flat top is a run that is level with the clip's highest or lowest sample. A wave that was
    clipped and turned down afterwards is therefore found too.
    """
    high, low = float(wave.max()), float(wave.min())
    margin = FLAT * max(high, -low)
    if margin == 0.0:
        return 0.0
    runs = np.concatenate([_runs(wave >= high - margin), _runs(wave <= low + margin)])
    return float(runs[runs >= FLAT_RUN].sum()) / len(wave)


def _runs(flags: np.ndarray) -> np.ndarray:
    """Return the lengths of the runs of true flags."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return edges[1::2] - edges[::2]
