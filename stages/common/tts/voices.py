"""From a voice in `params.yaml` to one that speaks."""

from collections.abc import Iterable
from functools import lru_cache

from stages.common.errors import InserterError
from stages.common.params import Voice
from stages.common.tts import coqui, hibari, piper, processes
from stages.common.tts.base import Shaped, Synthesizer


def available(voice: Voice) -> str | None:
    """None when `voice` can be used here, else why not and what to do. Loads no model."""
    match voice.engine:
        case "hibari":
            return hibari.missing(voice.voice)
        case "coqui":
            return coqui.missing(voice.voice)
        case "piper":
            return piper.missing(voice.voice)
        case "espeak-ng":
            return processes.missing_espeak(voice.voice)
        case "flite":
            return processes.missing_flite(voice.voice)


def usable(voices: Iterable[Voice]) -> tuple[list[Voice], dict[str, str]]:
    """(the voices that can be used, {name: why} of the optional ones that cannot).

    Raises InserterError when a voice that is not optional cannot be used, when two have one name, or when none is left.
    """
    found: list[Voice] = []
    left_out: dict[str, str] = {}
    for voice in voices:
        if voice.name in left_out or any(voice.name == other.name for other in found):
            raise InserterError(f"two voices are named {voice.name}", "Give each its own name")
        reason = available(voice)
        if reason is None:
            found.append(voice)
        elif voice.optional:
            left_out[voice.name] = reason
        else:
            raise InserterError(f"voice {voice.name}: {reason}, or set `optional: true`")
    if not found:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise InserterError(f"no voice can be used ({reasons or 'none is named'})", "Name the hibari voice heart")
    return found, left_out


@lru_cache(maxsize=64)
def load_voice(voice: Voice) -> Synthesizer:
    """The voice at its rate and pitch, loaded once a process. Raises InserterError when it cannot be used here."""
    reason = available(voice)
    if reason:
        raise InserterError(f"voice {voice.name}: {reason}")
    plain = _engine(voice.engine, voice.voice, voice.speaker, voice.language)
    return plain if voice.rate == voice.pitch == 1.0 else Shaped(plain, voice.rate, voice.pitch)


@lru_cache(maxsize=8)
def _engine(engine: str, voice: str, speaker: str | None, language: str) -> Synthesizer:
    """Loaded once a process: voices that differ in rate and pitch share it."""
    match engine:
        case "hibari":
            return hibari.HibariVoice(voice)
        case "coqui":
            return coqui.CoquiVoice(voice, speaker, language)
        case "piper":
            return piper.PiperVoice(voice, speaker)
        case "espeak-ng":
            return processes.EspeakVoice(voice)
        case _:
            return processes.FliteVoice(voice)
