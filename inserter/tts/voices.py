"""Load the voices of `params.yaml`, check which of them can be used, and identify them."""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from inserter.errors import InserterError
from inserter.files import fingerprint, sha256
from inserter.params import Voice
from inserter.run.closure import deciding
from inserter.tts import coqui, espeak, flite, hibari, http, piper, recorded
from inserter.tts.base import Shaped, Synthesizer

# The fields of a voice that change its samples.
DECIDING = ("engine", "voice", "speaker", "language", "rate", "pitch", "warp", "model", "url")


class Engine(Protocol):
    """The functions that the module of an engine has."""

    __name__: str

    def missing(self, voice: Voice, /) -> str | None:
        """Return why `voice` cannot be used here and what to do, or None, and load no model."""

    def load(self, voice: Voice, /) -> Synthesizer:
        """Return `voice` at its engine's own rate and pitch.

        Raises InserterError when the voice cannot be loaded.
        """

    def files(self, voice: Voice, /) -> list[Path]:
        """Return the files whose bytes decide how `voice` sounds."""

    def version(self, voice: Voice, /) -> str:
        """Return the version of the program that speaks; "" where it cannot be known."""


ENGINES: dict[str, Engine] = {
    "hibari": hibari,
    "coqui": coqui,
    "piper": piper,
    "espeak-ng": espeak,
    "flite": flite,
    "http": http,
    "recorded": recorded,
}

READ_SOUND = {"espeak-ng", "flite", "http", "coqui", "recorded"}  # engines that read sound files


def available(voice: Voice) -> str | None:
    """Return None when `voice` can be used here, else why not and what to do. Load no model."""
    return ENGINES[voice.engine].missing(voice)


def deciding_files(voice: Voice) -> list[Path]:
    """Return the files whose bytes decide how `voice` sounds.

    The files are local models, and the recordings that the voice imitates.
    """
    return ENGINES[voice.engine].files(voice)


def identity(voice: Voice) -> str:
    """Return 16 hex digits that are equal for two voices only if both speak a text identically.

    The digits depend on the fields in DECIDING, the engine's version, our code for the engine and
    the bytes of `deciding_files`. The digits do not depend on the voice's name, weight, licence,
    `optional` or `heldout`. The engine must be installed.
    """
    engine = ENGINES[voice.engine]
    files = [(path.name, _sha256(path, path.stat().st_mtime_ns)) for path in deciding_files(voice)]
    fields = voice.model_dump(include=set(DECIDING))
    for key in ("voice", "speaker"):
        # A file counts by its contents, not by its path: a moved model speaks the same.
        if fields[key] and Path(fields[key]).exists():
            fields[key] = "a file"
    return fingerprint(
        fields,
        engine.version(voice),
        files,
        files=deciding(engine.__name__, without=() if voice.engine in READ_SOUND else ["models/sound"]),
    )


@lru_cache(maxsize=256)
def _sha256(path: Path, _changed: int) -> str:
    """Return the SHA-256 of a file, computed once for all voices that share the file."""
    return sha256(path)


def usable(voices: Iterable[Voice]) -> tuple[list[Voice], dict[str, str]]:
    """Return (the voices that can be used, {name: why} of the optional voices that cannot).

    Raises InserterError when a voice that is not optional cannot be used, when two voices have the
    same name, or when no voice is left.
    """
    found: list[Voice] = []
    left_out: dict[str, str] = {}
    for voice in voices:
        if voice.name in left_out or any(voice.name == other.name for other in found):
            raise InserterError(f"two voices are named {voice.name}", "Give each voice its own name")
        reason = available(voice)
        if reason is None:
            found.append(voice)
        elif voice.optional:
            left_out[voice.name] = reason
        else:
            raise InserterError(f"voice {voice.name}: {reason}, or set `optional: true`")
    if not found:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise InserterError(f"no voice can be used ({reasons or 'none is named'})", "Add the hibari voice heart to the voices")
    return found, left_out


@lru_cache(maxsize=256)
def load_voice(voice: Voice) -> Synthesizer:
    """Return a voice at its rate, pitch and warp, loaded once per process.

    Raises InserterError when the voice cannot be used here.
    """
    reason = available(voice)
    if reason:
        raise InserterError(f"voice {voice.name}: {reason}")
    plain = _engine(Voice(name="", **voice.model_dump(include={"engine", "voice", "speaker", "language", "model", "url"})))
    return Shaped(plain, voice.rate, voice.pitch, warp=voice.warp) if _shaped(voice) else plain


def _shaped(voice: Voice) -> bool:
    return (voice.rate, voice.pitch, voice.warp) != (1.0, 1.0, 1.0)


@lru_cache(maxsize=64)
def _engine(voice: Voice) -> Synthesizer:
    """Load a voice once per process; voices that differ in rate, pitch and warp share it."""
    return ENGINES[voice.engine].load(voice)
