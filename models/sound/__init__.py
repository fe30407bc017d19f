"""The one reader of sound: a file, its bytes or a list of numbers become float32 mono.

Stages, commands and served records use this reader. The reader is part of `models`, because a
served model has this package alone, and the stages may import `models`. The reader never trusts a
length in a header: `streams` corrects the length, and the sound is decoded to its end in blocks.
"""

import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from models.sound.faults import MAX_BYTES, NoSound
from models.sound.streams import streams

__all__ = ["MAX_SECONDS", "SAMPLE_RATE", "NoSound", "Sound", "from_numbers", "read", "resample"]

SAMPLE_RATE = 16_000
MAX_SECONDS = 3_600  # 230 MB in memory at 16 kHz
RATES = (1_000, 768_000)  # Hz: lowest and highest accepted sample rate
# Hz. Sound of a higher rate may last less: a few kB of FLAC can say hours of silence, and samples
# take memory before they are resampled.
FULL_LENGTH = 192_000
# Largest accepted magnitude of a sample. Decoders overshoot 1 by less than 2, while 16-bit numbers
# that were written as floats reach 32,768.
FULL_SCALE = 8.0
# Channels cancel out if their mean keeps less than this share of the energy that the mean of
# uncorrelated channels keeps.
CANCELLED = 0.1
# Formats whose true length `streams` knows.
KINDS = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "CAF", "AU", "NIST", "FLAC", "OGG", "MP3")
BLOCK = 1 << 14  # samples decoded at a time, of all channels together
SAMPLES = "Give floats from -1 to 1, or whole numbers of 16-bit PCM, at 16 kHz"
ANOTHER, PARTS = "Give a file with sound in it", "Cut the sound into parts"


@dataclass(frozen=True, eq=False)
class Sound:
    """A mono sound."""

    wave: np.ndarray
    """(samples,) float32."""
    notes: tuple[str, ...] = ()
    """What the reader did to the sound that the owner of the sound should know."""


class _Budget:
    """How much of a file's sound may still be decoded."""

    def __init__(self, seconds: float) -> None:
        self.seconds = self.left = seconds

    def check(self, samples: int, rate: int) -> None:
        """Raise NoSound if `samples` at `rate` Hz are more than is left."""
        if samples > self.left * min(rate, FULL_LENGTH):
            most = self.seconds * min(1, FULL_LENGTH / rate)
            raise NoSound("too long", f"lasts more than {f'{most / 60:.3g} minutes' if most >= 60 else f'{most:.3g} s'}", PARTS)


class _Forward(soundfile.SoundFile):
    """A sound file that is only read forward.

    soundfile seeks after each block, which fails where the length is unknown.
    """

    def seekable(self) -> bool:
        return False


def resample(wave: np.ndarray, rate: int, to: int = SAMPLE_RATE) -> np.ndarray:
    """Return mono float32 `wave` (samples,) resampled from `rate` to `to` Hz."""
    wave = np.asarray(wave, dtype=np.float32)
    if rate == to:
        return wave
    import soxr

    return soxr.resample(wave, rate, to, quality="HQ").astype(np.float32)


def read(source: str | Path | bytes, rate: int = SAMPLE_RATE, seconds: float = MAX_SECONDS) -> Sound:
    """Return the sound of a file, or of the bytes of a file, at `rate` Hz.

    The sound is the mean of the channels. If the channels cancel out, the sound is the loudest
    channel. Raises NoSound if the file cannot be read completely.

    seconds: the most sound of a file. Of a longer file, no more than this is decoded.
    """
    data = source if isinstance(source, bytes) else _file_bytes(Path(source))
    budget, waves, notes = _Budget(seconds), [], []
    try:
        for stream in streams(data):
            wave, own, note = _decode(stream, budget)
            budget.left -= len(wave) / own
            waves.append(resample(wave, own, rate))
            notes.append(note)
    except NoSound:
        raise
    except Exception as error:  # a decoder may raise anything for bytes from outside
        raise NoSound("undecodable", f"cannot be decoded ({_why(error)})") from error
    if not any(map(len, waves)):
        raise NoSound("zero samples", "has no samples", ANOTHER)
    return Sound(np.concatenate(waves) if len(waves) > 1 else waves[0], tuple(dict.fromkeys(filter(None, notes))))


def from_numbers(values: object) -> Sound:
    """Return the sound of samples at 16 kHz.

    values: floats, where 1 is full scale, or whole numbers, which are 16-bit PCM. If all whole
    numbers are from -1 to 1, they count as floats. Raises NoSound for other types, shapes and
    ranges.
    """
    try:
        wave = np.asarray(values)
    except ValueError:  # lists of different lengths
        wave = np.asarray(None)
    if wave.ndim != 1 or wave.dtype.kind not in "if" or wave.dtype == np.int8:
        raise NoSound("undecodable", f"is not a one-dimensional list of numbers (shape {wave.shape})", SAMPLES)
    if not wave.size:
        raise NoSound("zero samples", "has no samples", ANOTHER)
    _Budget(MAX_SECONDS).check(wave.size, SAMPLE_RATE)
    if wave.dtype.kind == "i" and np.abs(wave.astype(np.int64)).max() > 1:
        if wave.min() < -32_768 or wave.max() > 32_767:
            raise NoSound("out of range", "has whole numbers outside the range of 16 bits", SAMPLES)
        return Sound(wave.astype(np.float32) / 32_768, ("whole numbers were read as 16-bit PCM",))
    block = wave.astype(np.float32)
    _check_samples(block[:, None], 0, SAMPLE_RATE)
    return Sound(block)


def _file_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            if not (stat.S_ISREG(about.st_mode) or stat.S_ISFIFO(about.st_mode)):
                raise NoSound("undecodable", "is not a file")
            if about.st_size > MAX_BYTES:
                raise NoSound("too long", f"has {about.st_size:,} bytes, more than the limit of {MAX_BYTES:,}", PARTS)
            return file.read()
    except NoSound:
        raise
    except FileNotFoundError as error:
        raise NoSound("missing wav", "does not exist", "Give the path of a file") from error
    except IsADirectoryError as error:
        raise NoSound("undecodable", "is a folder", "Give the path of a file") from error
    except PermissionError as error:
        raise NoSound("undecodable", "is not readable: permission denied", "Make the file readable") from error
    except OSError as error:
        raise NoSound("undecodable", f"cannot be opened ({error.strerror})") from error
    except ValueError as error:  # a null byte in the path
        raise NoSound("undecodable", f"cannot be opened ({error})") from error


def _decode(stream: io.BytesIO, budget: _Budget) -> tuple[np.ndarray, int, str]:
    """Return mono samples, their rate in Hz, and a note, which may be empty."""
    wave, rate, energies = _mono(stream, budget)
    mixed = float(np.square(wave, dtype=np.float64).sum())
    if len(energies) == 1 or mixed >= CANCELLED * energies.mean() / len(energies):
        return wave, rate, ""
    loudest = int(energies.argmax())
    note = f"the channels cancel each other out in the mean; only channel {loudest + 1} was read"
    return _mono(stream, budget, loudest)[0], rate, note


def _mono(stream: io.BytesIO, budget: _Budget, channel: int | None = None) -> tuple[np.ndarray, int, np.ndarray]:
    """Return the channels' mean or `channel` alone, the rate in Hz, and each channel's energy."""
    stream.seek(0)
    with _Forward(stream) as file:
        if super(_Forward, file).seekable():
            # As soundfile.read does: without this seek, samples of MP3 differ by 1e-7.
            file.seek(0)
        if file.format not in KINDS:
            problem = f"is {file.format_info}, a format in which a cut file cannot be detected"
            raise NoSound("undecodable", problem, "Convert the file to wav or flac")
        rate = file.samplerate
        if not RATES[0] <= rate <= RATES[1]:
            raise NoSound(
                "undecodable",
                f"has a sample rate of {rate:,} Hz, outside {RATES[0]:,} to {RATES[1]:,} Hz",
                "Correct the file's header",
            )
        mono, energies, done = [np.zeros(0, np.float32)], np.zeros(file.channels), 0
        for block in _blocks(file):
            _check_samples(block, done, rate)
            done += len(block)
            budget.check(done, rate)
            energies += np.square(block, dtype=np.float64).sum(axis=0)
            mono.append(block.mean(axis=1) if channel is None else block[:, channel].copy())
    return np.concatenate(mono), rate, energies


def _blocks(file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    """Yield blocks (samples, channels) until the decoder returns nothing.

    All blocks share one buffer. Raises NoSound if the decoder fails before the end of the stream.
    """
    block = np.empty((max(1, BLOCK // file.channels), file.channels), dtype=np.float32)
    done = 0
    while True:
        try:
            count = file.buffer_read_into(block, "float32")
        except soundfile.LibsndfileError as error:
            where = f"is damaged or cut off after about {done / file.samplerate:.1f} s"
            raise NoSound("undecodable", f"{where} ({_why(error)})") from error
        if not count:
            return
        done += count
        yield block[:count]


def _check_samples(block: np.ndarray, before: int, rate: int) -> None:
    """Raise NoSound if a sample is not finite, or far beyond full scale.

    before: number of samples of the file before this block.
    """
    peak = float(np.abs(block).max())
    if not np.isfinite(peak):
        frame = int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
        what = "not a number (NaN)" if np.isnan(block[frame]).any() else "infinite"
        raise NoSound(
            "not finite", f"has a sample that is {what}: number {before + frame:,}, at {(before + frame) / rate:.3f} s", ANOTHER
        )
    if peak > FULL_SCALE:
        frame = int(np.abs(block).max(axis=1).argmax())
        where = f"{peak:,.0f} at {(before + frame) / rate:.3f} s"
        raise NoSound("out of range", f"has samples up to {where}, where 1 is full scale", "Scale the samples to -1 to 1")


def _why(error: Exception) -> str:
    """Return the error in one line, without the file object's address, which differs per run."""
    message = str(getattr(error, "error_string", error)).removeprefix("Error : ").rstrip(". ")
    return " ".join(message.split()) or type(error).__name__
