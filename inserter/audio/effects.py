"""What is done to a finished clip: whisper, a room, noise, loudness, on mono float32 waves (samples,) at 16 kHz.

Pure functions: what is random comes from the generator they are given.
"""

import json
from dataclasses import asdict, dataclass, replace

import numpy as np

from inserter.audio.noise import HEARD_IN_TRAINING, NOISES, NoiseKind, noise
from inserter.params import Augmentation

__all__ = ["NOISES", "Effect", "NoiseKind", "add_noise", "apply", "draw", "gain", "loudness"]
PEAK = 0.99  # nothing that we make louder goes beyond it


@dataclass(frozen=True)
class Effect:
    """What is done to one clip, in this order: whispered, heard in a room that rings for rt60 seconds (0: none), noise added (None:
    none), louder by loudness_db, gain_db."""

    noise: NoiseKind | None = None
    snr_db: float = 0.0
    gain_db: float = 0.0
    loudness_db: float = 0.0
    whisper: bool = False
    rt60: float = 0.0

    @property
    def nothing(self) -> bool:
        """Does it leave every sample as it is?"""
        return self == Effect()

    def to_json(self) -> str:
        """What differs from doing nothing, keys sorted: `{}` for nothing."""
        plain = asdict(Effect())
        return json.dumps({key: value for key, value in asdict(self).items() if value != plain[key]}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Effect":
        return cls(**json.loads(text or "{}"))


def draw(spec: Augmentation, rng: np.random.Generator, noise: bool = True) -> Effect:
    """The effect of one clip, drawn from `spec`. noise=False: neither noise nor room; the gain is the same either way.

    A share moves only the clips that it adds or takes: all is drawn always, and rounded to what a table can hold in few digits.
    """
    noisy, kind = rng.random() < spec.noise_share, HEARD_IN_TRAINING[rng.integers(len(HEARD_IN_TRAINING))]
    snr_db, gain_db = (round(float(rng.uniform(*bounds)), 2) for bounds in (spec.snr_db, spec.gain_db))
    roomy, rt60 = rng.random() < spec.room_share, round(float(rng.uniform(*spec.rt60)), 3)
    effect = Effect(gain_db=gain_db, rt60=rt60 if roomy and noise else 0.0)
    return replace(effect, noise=kind, snr_db=snr_db) if noisy and noise else effect


def apply(wave: np.ndarray, effect: Effect, rng: np.random.Generator) -> np.ndarray:
    if effect.whisper:
        from inserter.audio.whispering import whispered

        wave = whispered(wave, rng)
    if effect.rt60:
        from inserter.audio.reverberation import reverberant

        wave = reverberant(wave, effect.rt60, rng)
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
