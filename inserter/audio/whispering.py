"""Make a voice whisper-like: breath replaces the vocal cords, and the shape of the mouth stays."""

import numpy as np

from inserter.audio.spectrum import WINDOW, analyse, log_envelope, restore

TILT_HZ = 700.0  # a whisper has little sound below this, because no vocal cords vibrate


def whispered(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return float32 (samples,) of `wave` whispered, at the level of `wave`.

    White noise passes through the spectral envelope of each 32 ms of `wave`. A silent wave, or one
    shorter than 32 ms, stays as it is.
    """
    level = np.sqrt(np.mean(np.square(wave, dtype=np.float64))) if len(wave) else 0.0
    if len(wave) < WINDOW or not level:
        return np.asarray(wave, dtype=np.float32)
    hertz, spectrum = analyse(np.asarray(wave, dtype=np.float64))
    _, breath = analyse(rng.standard_normal(len(wave)))
    shaped = breath * np.exp(log_envelope(np.abs(spectrum))) * (hertz / (hertz + TILT_HZ))[:, None]
    result = restore(shaped, len(wave))
    result *= level / np.sqrt(np.mean(result**2))
    return result.astype(np.float32)
