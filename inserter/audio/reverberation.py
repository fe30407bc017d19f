"""Simulate speech in a room, on mono waves at 16 kHz.

The image source method (Allen and Berkley, 1979) gives the impulse responses.
"""

import numpy as np

from inserter.audio.clips import SAMPLE_RATE

SOUND = 343.0  # metres per second
SIZES = ((3.0, 8.0), (3.0, 6.0), (2.4, 3.5))  # metres: length, width, height
WALL = 0.5  # metres: least distance of the talker and the microphone from the walls
DISTANCES = (0.3, 2.0)  # metres between the talker and the microphone
# A box of parallel walls rings longer than Eyring's formula says, by this factor (measured from
# 0.1 to 0.9 s).
PARALLEL = 1.16
KEPT_DB = 40.0  # dB of the decay that is kept; weaker reflections are cut off
# Metres. The distances of images deviate by up to this much from those in a perfect box, so that
# the regular echoes of the box do not ring (De Sena, 2015).
SHIFT = 0.08


def reverberant(wave: np.ndarray, rt60: float, rng: np.random.Generator) -> np.ndarray:
    """Return `wave` as it sounds in a room with a reverberation time of `rt60` seconds.

    The result is float32 and has the length and the level of `wave`. The direct sound stays where
    it was, so nothing is late. Reverberation after the last sample is cut off.
    """
    from scipy.signal import fftconvolve  # the import takes 0.3 s, and few processes need it

    wet = fftconvolve(wave, impulse_response(rt60, rng))[: len(wave)]
    power, before = np.mean(wet**2), np.mean(np.square(wave, dtype=np.float64))
    return (wet * np.sqrt(before / power)).astype(np.float32) if power else np.asarray(wave, dtype=np.float32)


def impulse_response(rt60: float, rng: np.random.Generator) -> np.ndarray:
    """Return the impulse response of a random room, float64 (samples,).

    The response starts at the direct sound, which is 1. `rng` draws the room's size and the places
    of the talker and the microphone. Walls absorb what Eyring's formula requires for `rt60`
    seconds. The sign of each reflection is drawn too. If all reflections were positive, as between
    rigid walls, the room would boom at low frequencies.
    """
    size, talker, microphone = _places(rng)
    volume, surface = size.prod(), 2 * (size[0] * size[1] + size[1] * size[2] + size[2] * size[0])
    # The share of the pressure that is left after each reflection.
    kept = np.exp(-0.161 * volume / (surface * rt60 / PARALLEL) / 2)
    reach = SOUND * rt60 * KEPT_DB / 60
    (x, nx), (y, ny), (z, nz) = (_images(*axis, reach=reach) for axis in zip(size, talker, microphone, strict=True))
    square = (x**2)[:, None, None] + (y**2)[None, :, None] + (z**2)[None, None, :]
    reflections = nx[:, None, None] + ny[None, :, None] + nz[None, None, :]
    near = (square < reach**2) & (reflections > 0)
    direct = float(np.linalg.norm(talker - microphone))
    distance = np.sqrt(square[near])
    distance = np.maximum(distance + rng.uniform(-SHIFT, SHIFT, len(distance)), direct)
    level = kept ** reflections[near] * direct / distance * rng.choice((-1.0, 1.0), len(distance))
    late = ((distance - direct) * (SAMPLE_RATE / SOUND)).astype(np.int64)
    response = np.bincount(late, level, minlength=1)
    response[0] += 1.0
    return response


def _places(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the room's size and the places of the talker and the microphone, each (3,) metres."""
    size = np.array([rng.uniform(*one) for one in SIZES])
    talker = rng.uniform(WALL, size - WALL)
    towards = rng.standard_normal(3)
    microphone = talker + towards / np.linalg.norm(towards) * rng.uniform(*DISTANCES)
    return size, talker, np.clip(microphone, WALL, size - WALL)


def _images(size: float, talker: float, microphone: float, *, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of the talker along one axis.

    The first array has their offsets from the microphone in metres, the second has their numbers of
    reflections.
    """
    # The numbers of the mirrored rooms in a row.
    number = np.arange(-int(reach / size) - 2, int(reach / size) + 3)
    place = number * size + np.where(number % 2, size - talker, talker)
    return place - microphone, np.abs(number)
