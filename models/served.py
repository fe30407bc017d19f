"""The records of a request to a served model: what stands in them, checked one by one."""

import base64
import binascii
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np
import pandas as pd

from models.sound import NoSound, Sound, from_numbers, read
from models.sound.streams import is_file

AUDIO_DIR = "INSERTER_SERVE_AUDIO_DIR"
SHOWN = 60  # characters of a value in a message
SHORT = 255  # characters; what is no longer may have been meant as a path
LONGEST_PATH = 4_096
# How sound files begin
_DATA_URI = re.compile(r"data:([^,]*),", re.IGNORECASE)
_URL_SAFE = str.maketrans("-_", "+/")


class BadRecord(ValueError):
    """A record that has no answer. `str(error)` is one line that says why."""


@dataclass(frozen=True, eq=False)
class Question:
    """text and audio (samples,) 16 kHz: at least one of them; note: how the audio was taken, where that is not plain."""

    text: str | None
    audio: np.ndarray | None
    note: str | None = None


def read_record(record: Mapping[Any, Any]) -> Question:
    """What a record asks. Raises BadRecord."""
    audio, text = (None if _missing(record.get(name)) else record[name] for name in ("audio", "text"))
    if text is not None and not isinstance(text, str):
        raise BadRecord(f"text must be a string, and is of type {type(text).__name__}")
    if text is not None and not _writable(text):
        raise BadRecord("text has half a surrogate pair in it; give whole characters")
    if audio is None:
        if not text or not text.strip():
            raise BadRecord("neither audio nor text is there; give `audio` (base64, bytes or samples) or `text`")
        return Question(text, None)
    try:
        sound = read_audio(audio)
    except NoSound as error:
        raise BadRecord(f"audio {error.detail}. {error.remedy}") from error
    return Question(text, sound.wave, "; ".join(sound.notes) or None)


def decode_audio(value: Any) -> np.ndarray:
    """(samples,) float32 at 16 kHz, as `read_audio` reads it."""
    return read_audio(value).wave


def read_audio(value: Any) -> Sound:
    """From base64, bytes, samples at 16 kHz, or the path of a file below the folder that the operator names. Raises NoSound."""
    if isinstance(value, bytes | bytearray | memoryview):
        return read(bytes(value))
    if isinstance(value, str | Path):
        return _from_text(str(value))
    if _is_file(value):
        return read(bytes(value))
    return from_numbers(value)


def _is_file(value: Any) -> bool:
    """Whether a list of numbers is the bytes of a file, as JavaScript gives them, and not its samples."""
    if not isinstance(value, list) or not all(type(one) is int and 0 <= one <= 255 for one in value):
        return False
    return is_file(bytes(value[:8]))


def _from_text(value: str) -> Sound:
    if path := _named_file(value):
        return read(path)
    try:
        return read(_unpacked(value))
    except NoSound as error:
        if error.reason != "undecodable" or len(value) > SHORT:
            raise
        raise NoSound(
            "undecodable", f"{value[:SHOWN]!r} is neither base64 of audio nor a file that may be read", _remedy()
        ) from error


def _named_file(value: str) -> Path | None:
    """The file that `value` names below the folder in INSERTER_SERVE_AUDIO_DIR; links and `..` lead nowhere else."""
    folder = os.environ.get(AUDIO_DIR)
    if not folder or len(value) > LONGEST_PATH:
        return None
    try:
        root = Path(folder).resolve(strict=True)
        path = (root / value).resolve()
        return path if path.is_relative_to(root) and path.is_file() else None
    except (OSError, ValueError, RuntimeError):  # too long a name, a null byte, links in a circle
        return None


def _unpacked(value: str) -> bytes:
    """The bytes that are written in base64: with line breaks, of either alphabet, without padding, or in a data URI."""
    value = value.strip()
    uri = _DATA_URI.match(value)
    packed = value[uri.end() :] if uri else value
    if uri and not uri[1].lower().endswith(";base64"):
        return unquote_to_bytes(packed)
    packed = "".join(packed.split()).translate(_URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError) as error:  # ValueError: letters beyond ASCII
        raise NoSound("undecodable", f"{value[:SHOWN]!r}… is not base64 ({error})") from error


def _remedy() -> str:
    folder = os.environ.get(AUDIO_DIR)
    where = f"in the folder that {AUDIO_DIR} names" if folder else f"once the server is started with {AUDIO_DIR}=FOLDER"
    return f"Give base64 of the file; a path is read {where}"


def _writable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _missing(value: Any) -> bool:
    """None, or the NaN that pandas puts where a record lacks a column."""
    return value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))
