"""One voice made into many: rate, pitch and formants, on mono float32 waves (samples,) at 16 kHz. Pure functions."""

import numpy as np

from inserter.audio.clips import SAMPLE_RATE, resample
from inserter.audio.spectrum import WINDOW, analyse, log_envelope, restore

FRAME = 400  # samples, 25 ms: two or three periods of a low voice
HOP = FRAME // 2
BOOST = 3.0  # nepers, 26 dB: the most that the envelope of a bin is moved
SEARCH = 128  # samples, ±8 ms: a period of a voice of 125 Hz


def change_rate(wave: np.ndarray, factor: float) -> np.ndarray:
    """`factor` times as fast at the same pitch, by WSOLA (Verhelst and Roelands, 1993).

    Frames of 25 ms are taken `factor` times as far apart as they are laid down, each moved by up to 8 ms to where it
    goes on best from the one before.
    """
    _check(factor)
    if abs(factor - 1) < 1e-3 or len(wave) < 2 * FRAME:  # 1 ms a second: nobody hears it, and rounding asks for it
        return np.asarray(wave, dtype=np.float32)
    frames = -(-round(len(wave) / factor) // HOP) + 1
    padded = np.concatenate([np.zeros(SEARCH + HOP), wave, np.zeros(2 * SEARCH + FRAME * (3 + int(factor)))])
    source = padded.astype(np.float32)
    pieces = np.lib.stride_tricks.sliding_window_view(source, FRAME)[_places(source, frames, factor)] * _window()
    halves = np.zeros((frames + 1, HOP), np.float32)
    halves[:-1] += pieces[:, :HOP]
    halves[1:] += pieces[:, HOP:]
    return halves.reshape(-1)[HOP : HOP + round(len(wave) / factor)]  # the first half frame has no neighbour to overlap with


def _places(source: np.ndarray, frames: int, factor: float) -> list[int]:
    """Where each frame is taken: within ±SEARCH of its ideal place, where it resembles what follows the frame before most
    (normalised cross-correlation)."""
    energy = np.concatenate([[0.0], np.cumsum(np.square(source, dtype=np.float64))])
    weight = (1 / np.sqrt(energy[FRAME:] - energy[:-FRAME] + 1e-8)).astype(np.float32)
    places = [SEARCH]
    for i in range(1, frames):
        low, follows = round(i * HOP * factor), places[-1] + HOP
        likeness = np.correlate(source[low : low + 2 * SEARCH + FRAME], source[follows : follows + FRAME], mode="valid")
        places.append(low + int(np.argmax(likeness * weight[low : low + 2 * SEARCH + 1])))
    return places


def _window() -> np.ndarray:
    """Halves of neighbours add up to 1."""
    return np.hanning(FRAME + 1)[:FRAME].astype(np.float32)


def change_pitch(wave: np.ndarray, factor: float) -> np.ndarray:
    """Pitch and formants `factor` times as high, at the same rate: another speaker rather than another mood."""
    return change_pitch_and_rate(wave, factor, 1.0)


def change_pitch_and_rate(wave: np.ndarray, pitch: float, rate: float) -> np.ndarray:
    """Resample to `pitch` times the frequency, which is as many times as fast, then stretch to `rate`."""
    _check(pitch)
    return change_rate(resample(wave, round(SAMPLE_RATE * pitch)), rate / pitch)


def warp_formants(wave: np.ndarray, factor: float) -> np.ndarray:
    """Formants `factor` times as high at the same pitch and rate: a vocal tract 1/`factor` times as long.

    The spectral envelope of each 32 ms is stretched along frequency, and what is below it, the harmonics and their phases, stays.
    """
    _check(factor)
    if factor == 1.0 or len(wave) < WINDOW or not wave.any():
        return np.asarray(wave, dtype=np.float32)
    _, spectrum = analyse(np.asarray(wave, dtype=np.float32))
    envelope = log_envelope(np.abs(spectrum))
    at = np.arange(len(envelope)) / factor  # where the envelope of each bin is taken from
    low = np.minimum(at.astype(int), len(envelope) - 2)
    part = np.minimum(at - low, 1.0)[:, None]
    moved = (1 - part) * envelope[low] + part * envelope[low + 1]
    result = restore(spectrum * np.exp(np.clip(moved - envelope, -BOOST, BOOST)), len(wave))
    level = np.sqrt(np.mean(np.square(wave, dtype=np.float64)) / np.mean(result**2))
    return (result * level).astype(np.float32)


def _check(factor: float) -> None:
    if not 0.25 <= factor <= 4.0:
        raise ValueError(f"a factor of {factor} is outside 0.25 to 4")
