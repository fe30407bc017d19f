"""Augmentation of speech: noise, gain, rate and pitch, on mono float32 waves (samples,) at 16 kHz.

Pure functions: what is random comes from the generator they are given.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from stages.common.audio import SAMPLE_RATE, resample
from stages.common.params import Augmentation

NoiseKind = Literal["white", "pink", "babble", "hum"]
NOISES: tuple[NoiseKind, ...] = get_args(NoiseKind)
PEAK = 0.99  # nothing that we make louder goes beyond it
FRAME = 400  # samples, 25 ms: two or three periods of a low voice
HOP = FRAME // 2
SEARCH = 128  # samples, ±8 ms: a period of a voice of 125 Hz


@dataclass(frozen=True)
class Effect:
    """What is done to one clip. noise None: none is added; gain_db is applied last."""

    noise: NoiseKind | None = None
    snr_db: float = 0.0
    gain_db: float = 0.0


def draw(spec: Augmentation, rng: np.random.Generator, noise: bool = True) -> Effect:
    """The effect of one clip, drawn from `spec`. noise=False: gain only; the gain is the same either way."""
    noisy, kind = rng.random() < spec.noise_share, NOISES[rng.integers(len(NOISES))]
    snr_db, gain_db = float(rng.uniform(*spec.snr_db)), float(rng.uniform(*spec.gain_db))
    return Effect(kind, snr_db, gain_db) if noisy and noise else Effect(gain_db=gain_db)


def apply(wave: np.ndarray, effect: Effect, rng: np.random.Generator) -> np.ndarray:
    if effect.noise:
        wave = add_noise(wave, effect.snr_db, effect.noise, rng)
    return gain(wave, effect.gain_db)


def gain(wave: np.ndarray, db: float) -> np.ndarray:
    """`wave` louder by `db`, or as much of it as full scale allows: it never clips."""
    peak = float(np.abs(wave).max(initial=0.0))
    factor = 10 ** (db / 20)
    if factor > 1 and peak:
        factor = max(1.0, min(factor, PEAK / peak))
    return (wave * factor).astype(np.float32)


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


def noise(samples: int, kind: NoiseKind, rng: np.random.Generator) -> np.ndarray:
    """float64 (samples,) of noise at an arbitrary level, not silent."""
    if kind == "white":
        return rng.standard_normal(samples)
    if kind == "pink":
        return _coloured(samples, rng, lambda hz: 1 / np.sqrt(np.maximum(hz, 20.0)))
    if kind == "babble":
        return sum(_murmur(samples, rng) for _ in range(6))  # type: ignore[return-value]
    if kind == "hum":
        return _hum(samples, rng)
    raise ValueError(f"unknown noise {kind!r}; there are {', '.join(NOISES)}")


def _coloured(samples: int, rng: np.random.Generator, amplitude) -> np.ndarray:
    """Gaussian noise whose spectrum has the shape `amplitude(Hz)`."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    return np.fft.irfft(spectrum * amplitude(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE)), samples)


def _murmur(samples: int, rng: np.random.Generator) -> np.ndarray:
    """One distant talker: noise with the long-term spectrum of speech (flat to 500 Hz, then -9 dB an octave), that
    comes and goes three to five times a second as syllables do."""
    centre = rng.uniform(400, 600)
    voice = _coloured(samples, rng, lambda hz: np.where(hz < 80, 0.0, 1 / (1 + (hz / centre) ** 1.5)) + 1e-6)
    phase = 2 * np.pi * rng.uniform(3, 5) * np.arange(samples) / SAMPLE_RATE + rng.uniform(0, 2 * np.pi)
    return voice * (0.15 + 0.85 * np.square(np.sin(phase / 2)))


def _hum(samples: int, rng: np.random.Generator) -> np.ndarray:
    """The mains: 50 or 60 Hz with weaker and weaker harmonics, over a little hiss."""
    base, time = rng.choice([50.0, 60.0]), np.arange(samples) / SAMPLE_RATE
    tones = sum(np.sin(2 * np.pi * base * k * time + rng.uniform(0, 2 * np.pi)) / k for k in range(1, 9))
    return tones + 0.05 * rng.standard_normal(samples)


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
