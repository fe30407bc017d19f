"""Compute short-time spectra of speech at 16 kHz, and their envelope.

The envelope shows the shape of the mouth without the vocal cords.
"""

import numpy as np

from inserter.audio.clips import SAMPLE_RATE

WINDOW, HOP = 512, 128  # samples: 32 and 8 ms
# Samples of quefrency: 2.5 ms, the period of a voice of 400 Hz. The cepstrum below it belongs to
# the mouth, not to the vocal cords.
LIFTER = 40


def analyse(wave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the frequencies (frequencies,) in Hz and the complex spectrum (frequencies, frames).

    wave: (samples,).
    """
    from scipy.signal import stft  # the import takes 0.3 s, and few processes need it

    hertz, _, spectrum = stft(wave, SAMPLE_RATE, nperseg=WINDOW, noverlap=WINDOW - HOP)
    return hertz, spectrum


def restore(spectrum: np.ndarray, samples: int) -> np.ndarray:
    """Return the wave (samples,) of a spectrum as `analyse` returns it."""
    from scipy.signal import istft

    return istft(spectrum, SAMPLE_RATE, nperseg=WINDOW, noverlap=WINDOW - HOP)[1][:samples]


def log_envelope(magnitude: np.ndarray, lifter: int = LIFTER) -> np.ndarray:
    """Return the natural logarithm of the spectral envelope, (frequencies, frames).

    The envelope is the low part of the real cepstrum (Oppenheim and Schafer), so no harmonic of the
    pitch is left.
    """
    cepstrum = np.fft.irfft(np.log(magnitude + 1e-7), axis=0)
    cepstrum[lifter : WINDOW - lifter + 1] = 0
    return np.fft.rfft(cepstrum, axis=0).real
