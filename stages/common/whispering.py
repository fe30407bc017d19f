"""A voice made whisper-like: its vocal cords are replaced by breath, the shape of its mouth stays."""

import numpy as np
from scipy.signal import istft, stft

from stages.common.audio import SAMPLE_RATE

WINDOW, HOP = 512, 128  # samples: 32 and 8 ms
LIFTER = 40  # quefrencies, 2.5 ms: what is slower than a period of a voice of 400 Hz is the mouth's, not the cords'
TILT_HZ = 700.0  # a whisper has little below: no cords swing there


def whispered(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """float32 (samples,) at the level of `wave`: white noise through the spectral envelope of each 32 ms of it.

    The envelope is the real cepstrum's low part (Oppenheim and Schafer), so that no harmonic of the pitch is left.
    """
    level = np.sqrt(np.mean(np.square(wave, dtype=np.float64)))
    if not len(wave) or not level:
        return np.asarray(wave, dtype=np.float32)
    hertz, _, spectrum = _spectrum(np.asarray(wave, dtype=np.float64))
    _, _, breath = _spectrum(rng.standard_normal(len(wave)))
    shaped = breath * _envelope(np.abs(spectrum)) * (hertz / (hertz + TILT_HZ))[:, None]
    _, result = istft(shaped, SAMPLE_RATE, nperseg=WINDOW, noverlap=WINDOW - HOP)
    result = result[: len(wave)]
    result *= level / np.sqrt(np.mean(result**2))
    return result.astype(np.float32)


def _spectrum(wave: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return stft(wave, SAMPLE_RATE, nperseg=WINDOW, noverlap=WINDOW - HOP)


def _envelope(magnitude: np.ndarray) -> np.ndarray:
    """(frequencies, frames) of the cepstrally smoothed magnitude."""
    cepstrum = np.fft.irfft(np.log(magnitude + 1e-7), axis=0)
    cepstrum[LIFTER : WINDOW - LIFTER + 1] = 0
    return np.exp(np.fft.rfft(cepstrum, axis=0).real)
