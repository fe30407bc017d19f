"""Apply effects to a finished clip: whisper, room, noise, loudness and gain.

All functions are pure and take mono float32 waves (samples,) at 16 kHz. All randomness comes from
the generator that the caller passes.
"""

import json
from dataclasses import asdict, dataclass, replace

import numpy as np

from inserter.audio.noise import HEARD_IN_TRAINING, NOISES, NoiseKind, noise
from inserter.params import Augmentation

__all__ = ["NOISES", "Effect", "NoiseKind", "add_noise", "apply", "draw", "gain", "loudness"]
PEAK = 0.99  # no sample of a wave that is made louder exceeds this


@dataclass(frozen=True)
class Effect:
    """The effects on one clip, applied in the order whisper, room, noise, loudness, gain."""

    noise: NoiseKind | None = None
    """Kind of noise to add; None for no noise."""
    snr_db: float = 0.0
    """Signal-to-noise ratio in dB; it counts only where there is `noise`."""
    gain_db: float = 0.0
    """Gain in dB. A wave is never amplified beyond full scale."""
    loudness_db: float = 0.0
    """Change of the RMS level in dB, 0 for none. A limiter rounds off peaks beyond full scale."""
    whisper: bool = False
    """Whether breath replaces the vocal cords."""
    rt60: float = 0.0
    """Reverberation time of the room in seconds; 0 for no room."""

    @property
    def nothing(self) -> bool:
        """Whether the effect leaves every sample as it is."""
        return self == Effect()

    def to_json(self) -> str:
        """Return the fields that differ from `Effect()` as JSON with sorted keys."""
        plain = asdict(Effect())
        return json.dumps({key: value for key, value in asdict(self).items() if value != plain[key]}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Effect":
        return cls(**json.loads(text or "{}"))


def draw(spec: Augmentation, rng: np.random.Generator, noise: bool = True) -> Effect:
    """Draw the effect of one clip from `spec`.

    noise=False gives neither noise nor room; the gain is the same as with noise=True. Every value
    is drawn even where it is not used. So a change of a share alters only the clips that the share
    adds or removes. Values are rounded so that a table holds them in few digits.
    """
    noisy, kind = rng.random() < spec.noise_share, HEARD_IN_TRAINING[rng.integers(len(HEARD_IN_TRAINING))]
    snr_db, gain_db = (round(float(rng.uniform(*bounds)), 2) for bounds in (spec.snr_db, spec.gain_db))
    roomy, rt60 = rng.random() < spec.room_share, round(float(rng.uniform(*spec.rt60)), 3)
    effect = Effect(gain_db=gain_db, rt60=rt60 if roomy and noise else 0.0)
    return replace(effect, noise=kind, snr_db=snr_db) if noisy and noise else effect


def apply(wave: np.ndarray, effect: Effect, rng: np.random.Generator) -> np.ndarray:
    """Return `wave` with `effect` applied.

    Raises ValueError when noise is to be added to a silent wave.
    """
    if effect.whisper:
        from inserter.audio.whispering import whispered

        wave = whispered(wave, rng)
    if effect.rt60:
        from inserter.audio.reverberation import reverberant

        wave = reverberant(wave, effect.rt60, rng)
    if effect.noise:
        wave = add_noise(wave, effect.snr_db, effect.noise, rng=rng)
    if effect.loudness_db:
        wave = loudness(wave, effect.loudness_db)
    return gain(wave, effect.gain_db)


def gain(wave: np.ndarray, db: float) -> np.ndarray:
    """Return `wave` amplified by `db`, or by less where it would exceed full scale."""
    peak = float(np.abs(wave).max(initial=0.0))
    factor = 10 ** (db / 20)
    if factor > 1 and peak:
        factor = max(1.0, min(factor, PEAK / peak))
    return (wave * factor).astype(np.float32)


def loudness(wave: np.ndarray, db: float) -> np.ndarray:
    """Return `wave` with its RMS level changed by exactly `db`.

    Where peaks would exceed full scale, a tanh limiter rounds them off. The limiter adds at most
    24 dB of gain to make up for its loss. Where this gain is not enough, the level stays below the
    target.
    """
    factor = 10 ** (db / 20)
    if factor * float(np.abs(wave).max(initial=0.0)) <= PEAK:
        return (wave * factor).astype(np.float32)
    target = float(np.sqrt(np.mean(np.square(wave, dtype=np.float64)))) * factor
    low, high = factor, 16 * factor
    # The limiter lowers the level. Bisection finds the gain that makes the level right to 1e-6.
    for _ in range(24):
        middle = (low + high) / 2
        level = float(np.sqrt(np.mean(np.square(PEAK * np.tanh(middle / PEAK * wave), dtype=np.float64))))
        low, high = (middle, high) if level < target else (low, middle)
    return (PEAK * np.tanh(high / PEAK * wave)).astype(np.float32)


def add_noise(wave: np.ndarray, snr_db: float, kind: NoiseKind, *, rng: np.random.Generator) -> np.ndarray:
    """Mix speech and noise at a ratio of `snr_db` in mean power over the whole clip.

    Where the sum would exceed full scale, speech and noise are turned down together, so the ratio
    stays exact. Raises ValueError on a silent wave, for which no ratio is defined, and on an
    unknown kind.
    """
    power = float(np.mean(np.square(wave, dtype=np.float64))) if len(wave) else 0.0
    if power == 0.0:
        raise ValueError("a silent wave has no signal-to-noise ratio")
    sound = noise(len(wave), kind, rng)
    sound *= np.sqrt(power / 10 ** (snr_db / 10) / np.mean(sound**2))
    mixed = wave + sound
    return (mixed * min(1.0, PEAK / np.abs(mixed).max())).astype(np.float32)
