"""Speech in a room: impulse responses by the image source method (Allen and Berkley, 1979), on mono waves at 16 kHz."""

import numpy as np

from inserter.audio.clips import SAMPLE_RATE

SOUND = 343.0  # metres a second
SIZES = ((3.0, 8.0), (3.0, 6.0), (2.4, 3.5))  # metres: length, width, height
WALL = 0.5  # metres that talker and microphone keep from the walls
DISTANCES = (0.3, 2.0)  # metres between them
PARALLEL = 1.16  # so much longer does a box of parallel walls ring than Eyring's formula says (measured, 0.1 to 0.9 s)
KEPT_DB = 40.0  # of the decay: what is weaker is cut off
SHIFT = 0.08  # metres: images are not quite where a perfect box has them, so that its regular echoes do not ring (De Sena, 2015)


def reverberant(wave: np.ndarray, rt60: float, rng: np.random.Generator) -> np.ndarray:
    """`wave` as it sounds in a room with a reverberation time of `rt60` seconds: float32, as many samples, the same level.

    The direct sound stays where it was, so that nothing is late; what rings on after the last sample is cut off.
    """
    from scipy.signal import fftconvolve  # 0.3 s that few processes need

    wet = fftconvolve(wave, impulse_response(rt60, rng))[: len(wave)]
    power, before = np.mean(wet**2), np.mean(np.square(wave, dtype=np.float64))
    return (wet * np.sqrt(before / power)).astype(np.float32) if power else np.asarray(wave, dtype=np.float32)


def impulse_response(rt60: float, rng: np.random.Generator) -> np.ndarray:
    """float64 (samples,) of a room and two places in it drawn by `rng`, from the direct sound on, which is 1.

    Walls absorb what Eyring's formula asks for. The sign of each reflection is drawn too: with all of them positive, as
    between rigid walls, a room booms at low frequencies.
    """
    size, talker, microphone = _places(rng)
    volume, surface = size.prod(), 2 * (size[0] * size[1] + size[1] * size[2] + size[2] * size[0])
    kept = np.exp(-0.161 * volume / (surface * rt60 / PARALLEL) / 2)  # of the pressure at each reflection
    reach = SOUND * rt60 * KEPT_DB / 60
    (x, nx), (y, ny), (z, nz) = (_images(*axis, reach) for axis in zip(size, talker, microphone, strict=True))
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
    """(3,) metres each: the room's size, the talker's and the microphone's place."""
    size = np.array([rng.uniform(*one) for one in SIZES])
    talker = rng.uniform(WALL, size - WALL)
    towards = rng.standard_normal(3)
    microphone = talker + towards / np.linalg.norm(towards) * rng.uniform(*DISTANCES)
    return size, talker, np.clip(microphone, WALL, size - WALL)


def _images(size: float, talker: float, microphone: float, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Along one axis: how far the images of the talker are from the microphone (metres), and how often they were reflected."""
    number = np.arange(-int(reach / size) - 2, int(reach / size) + 3)  # of the mirrored rooms in a row
    place = number * size + np.where(number % 2, size - talker, talker)
    return place - microphone, np.abs(number)
