"""Sound files whose headers do not tell the truth, made from true ones."""

import io
import struct
from collections.abc import Iterator

import numpy as np
import soundfile

RATE = 16_000


def changing(seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Noise, then near silence: an encoder of variable bit rate spends its bits at the start."""
    wave = 0.3 * np.random.default_rng(seed).standard_normal(int(seconds * rate))
    wave[len(wave) // 3 :] *= 1e-4
    return wave.clip(-1, 1)


def encoded(wave: np.ndarray, form: str = "WAV", rate: int = RATE, **more: object) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, rate, format=form, **more)
    return buffer.getvalue()


def mp3(wave: np.ndarray, rate: int = RATE, mode: str = "VARIABLE") -> bytes:
    return encoded(wave, "MP3", rate, bitrate_mode=mode, compression_level=0.5)


def tag_at(data: bytes) -> int:
    return max(data.find(b"Xing"), data.find(b"Info"))


def without_tag(data: bytes) -> bytes:
    """The second frame and what follows: every frame of one file begins with the same two bytes."""
    assert 0 < tag_at(data) < 48
    return data[data.find(data[:2], 48) :]


def put(data: bytes, at: int, form: str, *values: int) -> bytes:
    out = bytearray(data)
    struct.pack_into(form, out, at, *values)
    return bytes(out)


def flac_total(data: bytes, samples: int) -> bytes:
    return put(put(data, 22, ">I", samples & 0xFFFFFFFF), 21, "B", data[21] & 0xF0 | samples >> 32)


def pages(data: bytes) -> Iterator[tuple[int, int]]:
    """(start, size) of the pages of an Ogg file."""
    at = 0
    while at < len(data):
        size = 27 + data[at + 26] + sum(data[at + 27 : at + 27 + data[at + 26]])
        yield at, size
        at += size
