"""Augmentation of speech: noise, loudness, whisper, rate and pitch, on mono float32 waves (samples,) at 16 kHz.

Pure functions: what is random comes from the generator they are given.
"""

from dataclasses import dataclass

import numpy as np

from stages.common.audio import SAMPLE_RATE, resample
from stages.common.noise import HEARD_IN_TRAINING, NOISES, NoiseKind, noise
from stages.common.params import Augmentation

__all__ = [
    "NOISES", "Effect", "NoiseKind", "add_noise", "apply", "change_pitch", "change_pitch_and_rate", "change_rate", "draw",
    "gain", "loudness",
]  # fmt: skip
PEAK = 0.99  # nothing that we make louder goes beyond it
FRAME = 400  # samples, 25 ms: two or three periods of a low voice
HOP = FRAME // 2
SEARCH = 128  # samples, ±8 ms: a period of a voice of 125 Hz


@dataclass(frozen=True)
class Effect:
    """What is done to one clip, in this order: whispered, noise added (None: none), louder by loudness_db, gain_db."""

    noise: NoiseKind | None = None
    snr_db: float = 0.0
    gain_db: float = 0.0
    loudness_db: float = 0.0
    whisper: bool = False


def draw(spec: Augmentation, rng: np.random.Generator, noise: bool = True) -> Effect:
    """The effect of one clip, drawn from `spec`. noise=False: gain only; the gain is the same either way."""
    noisy, kind = rng.random() < spec.noise_share, HEARD_IN_TRAINING[rng.integers(len(HEARD_IN_TRAINING))]
    snr_db, gain_db = float(rng.uniform(*spec.snr_db)), float(rng.uniform(*spec.gain_db))
    return Effect(kind, snr_db, gain_db) if noisy and noise else Effect(gain_db=gain_db)


def apply(wave: np.ndarray, effect: Effect, rng: np.random.Generator) -> np.ndarray:
    if effect.whisper:
        from stages.common.whispering import whispered  # scipy.signal: 0.3 s that few processes need

        wave = whispered(wave, rng)
    if effect.noise:
        wave = add_noise(wave, effect.snr_db, effect.noise, rng)
    if effect.loudness_db:
        wave = loudness(wave, effect.loudness_db)
    return gain(wave, effect.gain_db)


def gain(wave: np.ndarray, db: float) -> np.ndarray:
    """`wave` louder by `db`, or as much of it as full scale allows: it never clips."""
    peak = float(np.abs(wave).max(initial=0.0))
    factor = 10 ** (db / 20)
    if factor > 1 and peak:
        factor = max(1.0, min(factor, PEAK / peak))
    return (wave * factor).astype(np.float32)


def loudness(wave: np.ndarray, db: float) -> np.ndarray:
    """`wave` with a level (RMS) exactly `db` higher or lower. Louder: its peaks are rounded off below full scale.

    Where full scale has no room for `db`, as loud as a tanh limiter gets within 24 dB of gain.
    """
    factor = 10 ** (db / 20)
    if factor * float(np.abs(wave).max(initial=0.0)) <= PEAK:
        return (wave * factor).astype(np.float32)
    target = float(np.sqrt(np.mean(np.square(wave, dtype=np.float64)))) * factor
    low, high = factor, 16 * factor
    for _ in range(24):  # the limiter takes level away: more gain, until the level is right to 1e-6
        middle = (low + high) / 2
        level = float(np.sqrt(np.mean(np.square(PEAK * np.tanh(middle / PEAK * wave), dtype=np.float64))))
        low, high = (middle, high) if level < target else (low, middle)
    return (PEAK * np.tanh(high / PEAK * wave)).astype(np.float32)


def add_noise(wave: np.ndarray, snr_db: float, kind: NoiseKind, rng: np.random.Generator) -> np.ndarray:
    """Speech and noise, `snr_db` apart in mean power over the whole clip.

    Where the sum would go beyond full scale both are turned down together, so that the ratio stays exact.
    Raises ValueError on a silent wave, against which no ratio is defined, and on an unknown kind.
    """
    power = float(np.mean(np.square(wave, dtype=np.float64))) if len(wave) else 0.0
    if power == 0.0:
        raise ValueError("a silent wave has no signal-to-noise ratio")
    sound = noise(len(wave), kind, rng)
    sound *= np.sqrt(power / 10 ** (snr_db / 10) / np.mean(sound**2))
    mixed = wave + sound
    return (mixed * min(1.0, PEAK / np.abs(mixed).max())).astype(np.float32)


def change_rate(wave: np.ndarray, factor: float) -> np.ndarray:
    """`factor` times as fast at the same pitch, by WSOLA (Verhelst and Roelands, 1993).

    Frames of 25 ms are taken `factor` times as far apart as they are laid down, each moved by up to 8 ms to where it
    goes on best from the one before.
    """
    _check(factor)
    if abs(factor - 1) < 1e-3 or len(wave) < 2 * FRAME:  # 1 ms a second: nobody hears it, and rounding asks for it
        return np.asarray(wave, dtype=np.float32)
    length = round(len(wave) / factor)
    frames = -(-length // HOP) + 1
    source = np.concatenate([np.zeros(SEARCH + HOP), wave, np.zeros(2 * SEARCH + FRAME * (3 + int(factor)))])
    window = np.hanning(FRAME + 1)[:FRAME]
    result = np.zeros(frames * HOP + FRAME)
    at = SEARCH  # where the last frame was taken
    for i in range(frames):
        ideal = SEARCH + round(i * HOP * factor)
        if i:
            at = _best(source, ideal, source[at + HOP : at + HOP + FRAME])
        result[i * HOP : i * HOP + FRAME] += window * source[at : at + FRAME]
    return result[HOP : HOP + length].astype(np.float32)  # the first half frame has no neighbour to overlap with


def _best(source: np.ndarray, ideal: int, template: np.ndarray) -> int:
    """The start within ±SEARCH of `ideal` whose frame resembles `template` most (normalised cross-correlation)."""
    region = source[ideal - SEARCH : ideal + SEARCH + FRAME]
    likeness = np.correlate(region, template, mode="valid")
    energy = np.cumsum(np.concatenate([[0.0], region**2]))
    likeness /= np.sqrt(energy[FRAME:] - energy[:-FRAME] + 1e-8)
    return ideal - SEARCH + int(np.argmax(likeness))


def change_pitch(wave: np.ndarray, factor: float) -> np.ndarray:
    """Pitch and formants `factor` times as high, at the same rate: another speaker rather than another mood."""
    return change_pitch_and_rate(wave, factor, 1.0)


def change_pitch_and_rate(wave: np.ndarray, pitch: float, rate: float) -> np.ndarray:
    """Resample to `pitch` times the frequency, which is as many times as fast, then stretch to `rate`."""
    _check(pitch)
    return change_rate(resample(wave, round(SAMPLE_RATE * pitch)), rate / pitch)


def _check(factor: float) -> None:
    if not 0.25 <= factor <= 4.0:
        raise ValueError(f"a factor of {factor} is outside 0.25 to 4")
