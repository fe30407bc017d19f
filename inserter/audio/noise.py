"""Synthesize noises as float64 waves (samples,) at 16 kHz.

All randomness comes from the generator that the caller passes.
"""

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from inserter.audio.clips import SAMPLE_RATE

NoiseKind = Literal["white", "pink", "babble", "hum", "street", "music"]
NOISES: tuple[NoiseKind, ...] = get_args(NoiseKind)
# Training clips are mixed with these kinds only. The other kinds occur in the benchmark alone.
HEARD_IN_TRAINING = NOISES[:4]


def noise(samples: int, kind: NoiseKind, rng: np.random.Generator) -> np.ndarray:
    """Return float64 (samples,) of noise at an arbitrary level, never silent.

    Raises ValueError on an unknown kind.
    """
    if kind == "white":
        return rng.standard_normal(samples)
    if kind == "pink":
        return _coloured(samples, rng, lambda hz: 1 / np.sqrt(np.maximum(hz, 20.0)))
    if kind == "babble":
        return sum(_murmur(samples, rng) for _ in range(6))  # type: ignore[return-value]
    if kind == "hum":
        return _hum(samples, rng)
    if kind == "street":
        return _street(samples, rng)
    if kind == "music":
        return _music(samples, rng)
    raise ValueError(f"unknown noise {kind!r}; choose one of {', '.join(NOISES)}")


def _coloured(samples: int, rng: np.random.Generator, amplitude: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return Gaussian noise whose spectrum has the shape `amplitude(Hz)`."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    return np.fft.irfft(spectrum * amplitude(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE)), samples)


def _murmur(samples: int, rng: np.random.Generator) -> np.ndarray:
    """Return one distant talker: noise with the long-term spectrum of speech.

    The spectrum is flat to about 500 Hz, then falls by 9 dB per octave. The level rises and falls
    three to five times per second, as syllables do.
    """
    centre = rng.uniform(400, 600)
    voice = _coloured(samples, rng, lambda hz: np.where(hz < 80, 0.0, 1 / (1 + (hz / centre) ** 1.5)) + 1e-6)
    phase = 2 * np.pi * rng.uniform(3, 5) * np.arange(samples) / SAMPLE_RATE + rng.uniform(0, 2 * np.pi)
    return voice * (0.15 + 0.85 * np.square(np.sin(phase / 2)))


def _hum(samples: int, rng: np.random.Generator) -> np.ndarray:
    """Return mains hum: 50 or 60 Hz with harmonics that grow weaker, over a little hiss."""
    base, time = rng.choice([50.0, 60.0]), np.arange(samples) / SAMPLE_RATE
    tones = sum(np.sin(2 * np.pi * base * k * time + rng.uniform(0, 2 * np.pi)) / k for k in range(1, 9))
    return tones + 0.05 * rng.standard_normal(samples)


def _street(samples: int, rng: np.random.Generator) -> np.ndarray:
    """Return traffic noise.

    A rumble below 200 Hz swells and fades. One to two knocks or hisses per second die away.
    """
    time = np.arange(samples) / SAMPLE_RATE
    rumble = _coloured(samples, rng, lambda hz: 1 / (1 + (hz / 200) ** 2))
    rumble /= np.sqrt(np.mean(rumble**2))
    wave = rumble * (0.7 + 0.3 * np.sin(2 * np.pi * rng.uniform(0.1, 0.3) * time + rng.uniform(0, 2 * np.pi)))
    for _ in range(int(samples / SAMPLE_RATE * 1.5) + 1):
        start, decay = int(rng.integers(samples)), rng.uniform(0.02, 0.2)  # decay: seconds to 37 %
        length = min(samples - start, int(5 * decay * SAMPLE_RATE))
        wave[start : start + length] += rng.uniform(1, 4) * rng.standard_normal(length) * np.exp(-time[:length] / decay)
    return wave


def _music(samples: int, rng: np.random.Generator) -> np.ndarray:
    """Return plucked chords of a major scale, two per second, over no other sound.

    Each chord has three notes, and each note has five harmonics that die away.
    """
    beat = SAMPLE_RATE // 2
    time = np.arange(2 * beat) / SAMPLE_RATE
    wave = np.zeros(samples + len(time))
    scale, root = np.array([0, 2, 4, 5, 7, 9, 11]), 110 * 2 ** rng.uniform(0, 1)
    for start in range(0, samples, beat):
        degree = int(rng.integers(7))
        for step in (0, 2, 4):
            semitone = scale[(degree + step) % 7] + 12 * ((degree + step) // 7)
            hertz = root * 2 ** (semitone / 12)
            tones = sum(np.sin(2 * np.pi * hertz * k * time) / k for k in range(1, 6))
            wave[start : start + len(time)] += rng.uniform(0.5, 1) * np.exp(-3 * time) * tones
    return wave[:samples] + 1e-6 * rng.standard_normal(samples)
