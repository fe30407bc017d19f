"""Read the turns of a chat in transformers' form: texts, and parts with sound."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np

from models.served import unpacked
from models.sound import NoSound, from_numbers, read
from models.sound.faults import MAX_BYTES

Content = str | Sequence[dict[str, Any]]
"""A text, or {"type": "text", "text": …} and {"type": "audio", one of SOUND: …}."""
SOUND = ("audio", "path", "url")
TIMEOUT = 60  # seconds without an answer from the host of a URL
SHOWN = 60  # characters of a value that a message shows


def parts_of(content: Content) -> list[str | None]:
    """Return the parts of a turn: text, or None for a clip. Raises ValueError for other parts."""
    return [content] if isinstance(content, str) else [None if _is_audio(part) else str(part["text"]) for part in content]


def waves_of(contents: Sequence[Content]) -> list[np.ndarray]:
    """Return the sound (samples,) of each audio part, float32 at 16 kHz, or [] if none has a sound.

    Raises ValueError if only some parts have a sound, and NoSound for a sound that cannot be read.
    """
    parts = [part for content in contents if not isinstance(content, str) for part in content if _is_audio(part)]
    sounds = [next((part[key] for key in SOUND if part.get(key) is not None), None) for part in parts]
    if missing := sum(sound is None for sound in sounds):
        if missing < len(sounds):
            raise ValueError(f"{missing} of {len(sounds)} audio parts have none of {', '.join(SOUND)}")
        return []
    return [wave_of(sound) for sound in sounds]


def wave_of(sound: Any) -> np.ndarray:
    """Return a sound (samples,) as float32 at 16 kHz.

    sound: samples at 16 kHz, a file, its bytes, its base64 or its URL. Files and URLs are read with
        the rights of this process, so a server must not pass on those that a client names.

    Raises NoSound if there is no sound to read.
    """
    if isinstance(sound, bytes):
        return read(sound).wave
    if not isinstance(sound, str | Path):
        return from_numbers(np.asarray(sound)).wave
    if str(sound).startswith(("https://", "http://")):
        return read(_fetched(str(sound))).wave
    if _is_file(sound):
        return read(sound).wave
    try:
        return read(unpacked(str(sound))).wave
    except NoSound as error:
        problem = f"{str(sound)[:SHOWN]!r} is no file, no URL and no base64 of a sound file"
        raise NoSound(error.reason, problem) from error


def _is_audio(part: dict[str, Any]) -> bool:
    if part["type"] not in ("audio", "text"):
        raise ValueError(f"the model takes parts of the types audio and text, and not {part['type']!r}")
    return part["type"] == "audio"


def _is_file(sound: str | Path) -> bool:
    try:
        return Path(sound).is_file()
    except (OSError, ValueError):  # too long a name, a null byte
        return False


def _fetched(url: str) -> bytes:
    """Return what `url` gives. Raises NoSound if the host gives nothing, or too much."""
    try:
        with urlopen(url, timeout=TIMEOUT) as answer:
            data: bytes = answer.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: not a URL
        raise NoSound("missing wav", f"{url[:200]} cannot be fetched ({error})", "Check the address") from error
    if len(data) > MAX_BYTES:
        raise NoSound("too long", f"{url[:200]} has more than the limit of {MAX_BYTES:,} bytes", "Cut the sound into parts")
    return data
