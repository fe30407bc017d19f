"""What can be measured in a clip without understanding it."""

import numpy as np

from stages.common.audio import SAMPLE_RATE

FULL_SCALE = 0.999  # 16-bit samples from here on are at the ceiling
SILENCE_DB = -50.0
FRAME = SAMPLE_RATE // 100  # 10 ms


def level_db(wave: np.ndarray) -> float:
    """RMS in dBFS; -120 for digital silence."""
    return max(-120.0, 10 * float(np.log10(np.mean(np.square(wave, dtype=np.float64)) + 1e-12)))


def clipping(wave: np.ndarray) -> float:
    """Share of the samples at full scale."""
    return float(np.mean(np.abs(wave) >= FULL_SCALE))


def longest_silence(wave: np.ndarray) -> float:
    """Seconds of the longest run of 10 ms frames below -50 dBFS."""
    frames = wave[: len(wave) // FRAME * FRAME].reshape(-1, FRAME)
    quiet = np.mean(np.square(frames, dtype=np.float64), axis=1) < 10 ** (SILENCE_DB / 10)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(np.int8)))
    return float((edges[1::2] - edges[::2]).max(initial=0)) * FRAME / SAMPLE_RATE
