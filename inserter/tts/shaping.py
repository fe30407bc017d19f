"""Make many voices of one by changing rate, pitch and formants.

All functions are pure and take mono float32 waves (samples,) at 16 kHz. Factors outside 0.25 to 4
raise ValueError.
"""

import numpy as np

from inserter.audio.clips import SAMPLE_RATE, resample
from inserter.audio.spectrum import WINDOW, analyse, log_envelope, restore

FRAME = 400  # samples, 25 ms: two or three periods of a low voice
HOP = FRAME // 2
BOOST = 3.0  # nepers, 26 dB: the most by which the envelope of a bin changes
SEARCH = 128  # samples, ±8 ms: one period of a voice of 125 Hz


def change_rate(wave: np.ndarray, factor: float) -> np.ndarray:
    """Return `wave` `factor` times as fast at the same pitch (WSOLA: Verhelst and Roelands, 1993).

    Frames of 25 ms are taken `factor` times as far apart as they are laid down. Each frame moves by
    up to 8 ms to the place where it best continues the frame before it.
    """
    _check(factor)
    # A change of less than 1 ms per second is inaudible, and comes only from rounding.
    if abs(factor - 1) < 1e-3 or len(wave) < 2 * FRAME:
        return np.asarray(wave, dtype=np.float32)
    frames = -(-round(len(wave) / factor) // HOP) + 1
    padded = np.concatenate([np.zeros(SEARCH + HOP), wave, np.zeros(2 * SEARCH + FRAME * (3 + int(factor)))])
    source = padded.astype(np.float32)
    pieces = np.lib.stride_tricks.sliding_window_view(source, FRAME)[_places(source, frames, factor)] * _window()
    halves = np.zeros((frames + 1, HOP), np.float32)
    halves[:-1] += pieces[:, :HOP]
    halves[1:] += pieces[:, HOP:]
    # The first half frame has no neighbour to overlap with.
    return halves.reshape(-1)[HOP : HOP + round(len(wave) / factor)]


def _places(source: np.ndarray, frames: int, factor: float) -> list[int]:
    """Return the place from which each frame is taken, within ±SEARCH of its ideal place.

    At this place, the frame best resembles what follows the frame before it (normalised
    cross-correlation).
    """
    energy = np.concatenate([[0.0], np.cumsum(np.square(source, dtype=np.float64))])
    weight = (1 / np.sqrt(energy[FRAME:] - energy[:-FRAME] + 1e-8)).astype(np.float32)
    places = [SEARCH]
    for i in range(1, frames):
        low, follows = round(i * HOP * factor), places[-1] + HOP
        likeness = np.correlate(source[low : low + 2 * SEARCH + FRAME], source[follows : follows + FRAME], mode="valid")
        places.append(low + int(np.argmax(likeness * weight[low : low + 2 * SEARCH + 1])))
    return places


def _window() -> np.ndarray:
    """Return a window of FRAME samples; the overlapping halves of two neighbours add up to 1."""
    return np.hanning(FRAME + 1)[:FRAME].astype(np.float32)


def change_pitch(wave: np.ndarray, factor: float) -> np.ndarray:
    """Return `wave` with pitch and formants `factor` times as high, at the same rate.

    The result sounds like another speaker rather than another mood.
    """
    return change_pitch_and_rate(wave, factor, 1.0)


def change_pitch_and_rate(wave: np.ndarray, pitch: float, rate: float) -> np.ndarray:
    """Resample to `pitch` times the frequency, which also speeds up, then stretch to `rate`."""
    _check(pitch)
    return change_rate(resample(wave, round(SAMPLE_RATE * pitch)), rate / pitch)


def warp_formants(wave: np.ndarray, factor: float) -> np.ndarray:
    """Return `wave` with formants `factor` times as high, at the same pitch and rate.

    The result has the sound of a vocal tract 1/`factor` times as long. The spectral envelope of
    each 32 ms is stretched along frequency. The harmonics below the envelope and their phases stay.
    """
    _check(factor)
    if factor == 1.0 or len(wave) < WINDOW or not wave.any():
        return np.asarray(wave, dtype=np.float32)
    _, spectrum = analyse(np.asarray(wave, dtype=np.float32))
    envelope = log_envelope(np.abs(spectrum))
    at = np.arange(len(envelope)) / factor  # the place from which each bin takes its envelope
    low = np.minimum(at.astype(int), len(envelope) - 2)
    part = np.minimum(at - low, 1.0)[:, None]
    moved = (1 - part) * envelope[low] + part * envelope[low + 1]
    result = restore(spectrum * np.exp(np.clip(moved - envelope, -BOOST, BOOST)), len(wave))
    level = np.sqrt(np.mean(np.square(wave, dtype=np.float64)) / np.mean(result**2))
    return (result * level).astype(np.float32)


def _check(factor: float) -> None:
    if not 0.25 <= factor <= 4.0:
        raise ValueError(f"the factor {factor} is outside the range 0.25 to 4")
