"""Read the records of a request to a served model, and check them one by one."""

import base64
import binascii
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np

from models.sound import NoSound, Sound, from_numbers, read
from models.sound.streams import is_file

AUDIO_DIR = "INSERTER_SERVE_AUDIO_DIR"
SHOWN = 60  # characters of a value that a message shows
SHORT = 255  # characters; a value that is no longer may have been meant as a path
LONGEST_PATH = 4_096  # characters
_DATA_URI = re.compile(r"data:([^,]*),", re.IGNORECASE)
_URL_SAFE = str.maketrans("-_", "+/")


class BadRecord(ValueError):
    """A record that cannot be answered. `str(error)` says why in one line."""


@dataclass(frozen=True, eq=False)
class Question:
    """What a record asks. At least one of text and audio is there."""

    text: str | None
    audio: np.ndarray | None
    """(samples,) at 16 kHz."""
    note: str | None = None
    """How the audio was read, where that is not obvious."""


def read_record(record: Mapping[object, object]) -> Question:
    """Return what a record asks. Raises BadRecord if the record cannot be answered."""
    audio, text = (None if _missing(record.get(name)) else record[name] for name in ("audio", "text"))
    if text is not None and not isinstance(text, str):
        raise BadRecord(f"text must be a string and has the type {type(text).__name__}")
    if text is not None and not _writable(text):
        raise BadRecord("text has half a surrogate pair; give whole characters")
    if audio is None:
        if not text or not text.strip():
            raise BadRecord("the record has neither audio nor text; give `audio` (base64, bytes or samples) or `text`")
        return Question(text, None)
    try:
        sound = read_audio(audio)
    except NoSound as error:
        raise BadRecord(f"audio {error.detail}. {error.remedy}") from error
    return Question(text, sound.wave, "; ".join(sound.notes) or None)


def decode_audio(value: object) -> np.ndarray:
    """Return the samples (samples,) float32 at 16 kHz that `read_audio` reads."""
    return read_audio(value).wave


def read_audio(value: Any) -> Sound:
    """Return the sound of base64, bytes, samples at 16 kHz, or the path of a file.

    The file has to be below the folder that the operator names in INSERTER_SERVE_AUDIO_DIR. Raises
    NoSound if there is no sound to read.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        return read(bytes(value))
    if isinstance(value, str | Path):
        return _from_text(str(value))
    if _is_file(value):
        return read(bytes(value))
    return from_numbers(value)


def _is_file(value: object) -> bool:
    """Return whether `value` lists a file's bytes, as JavaScript gives them, and not samples."""
    if not isinstance(value, list) or not all(type(one) is int and 0 <= one <= 255 for one in value):
        return False
    return is_file(bytes(value[:8]))


def _from_text(value: str) -> Sound:
    if path := _named_file(value):
        return read(path)
    try:
        return read(unpacked(value))
    except NoSound as error:
        if error.reason != "undecodable" or len(value) > SHORT:
            raise
        raise NoSound("undecodable", f"{value[:SHOWN]!r} is neither base64 of audio nor a readable file", _remedy()) from error


def _named_file(value: str) -> Path | None:
    """Return the file that `value` names below the folder in INSERTER_SERVE_AUDIO_DIR, or None.

    Links and `..` cannot lead out of the folder.
    """
    folder = os.environ.get(AUDIO_DIR)
    if not folder or len(value) > LONGEST_PATH:
        return None
    try:
        root = Path(folder).resolve(strict=True)
        path = (root / value).resolve()
        return path if path.is_relative_to(root) and path.is_file() else None
    except (OSError, ValueError, RuntimeError):  # too long a name, a null byte, circular links
        return None


def unpacked(value: str) -> bytes:
    """Return the bytes that `value` holds in base64, or in a data URI.

    Base64 may have line breaks and either alphabet, and may lack padding. Raises NoSound for text
    that is not base64.
    """
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
    where = f"only below the folder in {AUDIO_DIR}" if folder else f"only if the server was started with {AUDIO_DIR}=FOLDER"
    return f"Give the file in base64; a path is read {where}"


def _writable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _missing(value: object) -> bool:
    """Return whether `value` is None, or the NaN that pandas puts where a column is absent."""
    pandas = sys.modules.get("pandas")  # only a caller that has it can give its NA
    return value is None or (pandas is not None and value is pandas.NA) or (isinstance(value, float) and np.isnan(value))
