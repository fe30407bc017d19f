"""Short-time spectra of speech at 16 kHz, and their envelope: the shape of the mouth without the vocal cords."""

import numpy as np

from inserter.audio.clips import SAMPLE_RATE

WINDOW, HOP = 512, 128  # samples: 32 and 8 ms
LIFTER = 40  # quefrencies, 2.5 ms: what is slower than a period of a voice of 400 Hz is the mouth's, not the cords'


def analyse(wave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(frequencies,) in Hz and the complex (frequencies, frames) of `wave` (samples,)."""
    from scipy.signal import stft  # 0.3 s that few processes need

    hertz, _, spectrum = stft(wave, SAMPLE_RATE, nperseg=WINDOW, noverlap=WINDOW - HOP)
    return hertz, spectrum


def restore(spectrum: np.ndarray, samples: int) -> np.ndarray:
    """The wave (samples,) of what `analyse` gave."""
    from scipy.signal import istft

    return istft(spectrum, SAMPLE_RATE, nperseg=WINDOW, noverlap=WINDOW - HOP)[1][:samples]


def log_envelope(magnitude: np.ndarray, lifter: int = LIFTER) -> np.ndarray:
    """(frequencies, frames) of natural logarithms: the low part of the real cepstrum (Oppenheim and Schafer), so that no harmonic
    of the pitch is left."""
    cepstrum = np.fft.irfft(np.log(magnitude + 1e-7), axis=0)
    cepstrum[lifter : WINDOW - lifter + 1] = 0
    return np.fft.rfft(cepstrum, axis=0).real
