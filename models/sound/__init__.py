"""The one reader of sound: a file, its bytes or a list of numbers become float32 mono, for stages, commands and served records.

It stands in `models`, because a served model has this package alone, and the stages may import it.
A length in a header is never believed: `streams` mends it, and what is there is read to its end, block by block.
"""

import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from models.sound.faults import MAX_BYTES, NoSound
from models.sound.streams import streams

__all__ = ["MAX_SECONDS", "SAMPLE_RATE", "NoSound", "Sound", "from_numbers", "read", "resample"]

SAMPLE_RATE = 16_000
MAX_SECONDS = 3_600  # 230 MB in memory at 16 kHz
RATES = (1_000, 768_000)  # Hz, the lowest and the highest that are taken for sound
FULL_SCALE = 8.0  # decoders overshoot 1 by less than 2; 16-bit numbers written as floats reach 32,768
CANCELLED = 0.1  # of the energy that channels without anything in common keep in their mean
KINDS = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "CAF", "AU", "NIST", "FLAC", "OGG", "MP3")  # of which `streams` knows the length
BLOCK = 1 << 14  # samples of all channels that are decoded at a time
SAMPLES = "Give floats from -1 to 1, or whole numbers of 16-bit PCM, at 16 kHz"
ANOTHER, PARTS = "Give a file with sound in it", "Cut it into parts"


@dataclass(frozen=True, eq=False)
class Sound:
    """wave: (samples,) float32; notes: what was done to get it that its owner should know."""

    wave: np.ndarray
    notes: tuple[str, ...] = ()


class _Forward(soundfile.SoundFile):
    """A file that is only read forward: soundfile seeks after each block, which fails where the length is not known."""

    def seekable(self) -> bool:
        return False


def resample(wave: np.ndarray, rate: int, to: int = SAMPLE_RATE) -> np.ndarray:
    """Mono float32 `wave` (samples,) from `rate` to `to` Hz."""
    wave = np.asarray(wave, dtype=np.float32)
    return wave if rate == to else soxr.resample(wave, rate, to, quality="HQ").astype(np.float32)


def read(source: str | Path | bytes, rate: int = SAMPLE_RATE) -> Sound:
    """The sound of a file, or of the bytes of one, at `rate` Hz: the mean of its channels.

    Raises NoSound for whatever keeps it from being read whole.
    """
    data = source if isinstance(source, bytes) else _file_bytes(Path(source))
    try:
        decoded = [_decode(stream) for stream in streams(data)]
        waves = [resample(wave, own, rate) for wave, own, _ in decoded]
    except NoSound:
        raise
    except Exception as error:  # whatever a decoder makes of bytes from outside
        raise NoSound("undecodable", f"cannot be decoded ({_why(error)})") from error
    if not any(map(len, waves)):
        raise NoSound("zero samples", "has no samples", ANOTHER)
    _check_length(sum(map(len, waves)), rate)
    return Sound(np.concatenate(waves) if len(waves) > 1 else waves[0], tuple(dict.fromkeys(note for *_, note in decoded if note)))


def from_numbers(values: Any) -> Sound:
    """Samples at 16 kHz: floats, where 1 is full scale, or whole numbers, which are 16-bit PCM. Raises NoSound."""
    try:
        wave = np.asarray(values)
    except ValueError:  # lists of different lengths
        wave = np.asarray(None)
    if wave.ndim != 1 or wave.dtype.kind not in "if" or wave.dtype == np.int8:
        raise NoSound("undecodable", f"is no list of numbers in one dimension (shape {wave.shape})", SAMPLES)
    if not wave.size:
        raise NoSound("zero samples", "has no samples", ANOTHER)
    _check_length(wave.size, SAMPLE_RATE)
    if wave.dtype.kind == "i" and np.abs(wave.astype(np.int64)).max() > 1:
        if wave.min() < -32_768 or wave.max() > 32_767:
            raise NoSound("out of range", "has whole numbers beyond 16 bits", SAMPLES)
        return Sound(wave.astype(np.float32) / 32_768, ("whole numbers are taken as 16-bit PCM",))
    block = wave.astype(np.float32)
    _check_samples(block[:, None], 0, SAMPLE_RATE)
    return Sound(block)


def _file_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            if not (stat.S_ISREG(about.st_mode) or stat.S_ISFIFO(about.st_mode)):
                raise NoSound("undecodable", "is no file")
            if about.st_size > MAX_BYTES:
                raise NoSound("too long", f"has {about.st_size:,} bytes, and at most {MAX_BYTES:,} are read", PARTS)
            return file.read()
    except NoSound:
        raise
    except FileNotFoundError as error:
        raise NoSound("missing wav", "is not there", "Give the path of a file") from error
    except IsADirectoryError as error:
        raise NoSound("undecodable", "is a folder", "Give the path of a file") from error
    except PermissionError as error:
        raise NoSound("undecodable", "may not be read: permission denied", "Give yourself the right to read it") from error
    except OSError as error:
        raise NoSound("undecodable", f"cannot be opened ({error.strerror})") from error
    except ValueError as error:  # a null byte in its name
        raise NoSound("undecodable", f"cannot be opened ({error})") from error


def _decode(stream: io.BytesIO) -> tuple[np.ndarray, int, str]:
    """(mono samples, their rate, a note or "")."""
    wave, rate, energies = _mono(stream)
    mixed = float(np.square(wave, dtype=np.float64).sum())
    if len(energies) == 1 or mixed >= CANCELLED * energies.mean() / len(energies):
        return wave, rate, ""
    loudest = int(energies.argmax())
    note = f"its channels are of opposite phase and cancel out in their mean: channel {loudest + 1} alone is taken"
    return _mono(stream, loudest)[0], rate, note


def _mono(stream: io.BytesIO, channel: int | None = None) -> tuple[np.ndarray, int, np.ndarray]:
    """(mean of the channels or `channel` alone, sample rate, energy of each channel)."""
    stream.seek(0)
    with _Forward(stream) as file:
        if super(_Forward, file).seekable():
            file.seek(0)  # as soundfile.read does: a decoder of mp3 that was not sent there gives samples that differ by 1e-7
        if file.format not in KINDS:
            problem = f"is {file.format_info}, and whether that is whole cannot be told"
            raise NoSound("undecodable", problem, "Convert it to wav or flac")
        rate = file.samplerate
        if not RATES[0] <= rate <= RATES[1]:
            raise NoSound(
                "undecodable", f"says {rate:,} samples a second; {RATES[0]:,} to {RATES[1]:,} are read", "Mend its header"
            )
        mono, energies, done = [np.zeros(0, np.float32)], np.zeros(file.channels), 0
        for block in _blocks(file):
            _check_samples(block, done, rate)
            done += len(block)
            _check_length(done, rate)
            energies += np.square(block, dtype=np.float64).sum(axis=0)
            mono.append(block.mean(axis=1) if channel is None else block[:, channel].copy())
    return np.concatenate(mono), rate, energies


def _blocks(file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    """(samples, channels) until nothing comes. Raises NoSound when the decoder stops before the end of the stream."""
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
    """Raises NoSound for what no sound has; `before`: samples of the file that came earlier."""
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
        raise NoSound("out of range", f"has samples of {where}, where 1 is full scale", "Scale it to -1 to 1")


def _check_length(samples: int, rate: int) -> None:
    if samples > MAX_SECONDS * rate:
        raise NoSound("too long", f"lasts more than {MAX_SECONDS / 60:.0f} minutes", PARTS)


def _why(error: Exception) -> str:
    """Without the address of what was read, which no run has twice."""
    told = str(getattr(error, "error_string", error)).removeprefix("Error : ").rstrip(". ")
    return " ".join(told.split()) or type(error).__name__
