"""Speak with hibari: small English voices in plain ONNX at 24 kHz.

On one core hibari speaks about 150 times as fast as real time.
"""

from importlib.metadata import version as version_of
from pathlib import Path

import numpy as np

from inserter.params import Voice
from inserter.seeds import derive
from inserter.tts.base import Synthesizer


class HibariVoice(Synthesizer):
    """One hibari voice.

    The text seeds the voice's noise component, so the same text gives the same samples.
    """

    rates = (0.5, 2.0)

    def __init__(self, voice: str) -> None:
        from hibari import Hibari

        self.model = Hibari(voice=voice, threads=1)  # one thread in each of many processes
        self.sample_rate = Hibari.sample_rate

    def synthesize(self, text: str, rate: float) -> np.ndarray:
        return self.model(text, speed=rate, seed=derive(0, text))


def load(voice: Voice) -> HibariVoice:
    return HibariVoice(voice.voice)


def missing(voice: Voice) -> str | None:
    """Return why `voice` cannot be used here, or None.

    A voice that is not in the package is never downloaded silently.
    """
    from hibari import voices

    if voice.voice not in voices.VOICES:
        return f"hibari has no voice {voice.voice!r}. Choose one of {', '.join(voices.VOICES)}"
    try:
        voices.voice_path(voice.voice, download_missing=False)
    except FileNotFoundError as error:
        source = voices.BASE_URL + Path(str(error)).name
        return f"hibari's voice {voice.voice!r} is not on this machine. Save {source} as {error}"
    return None


def files(voice: Voice) -> list[Path]:
    """Return the voice's model; the package's version stands for the other files."""
    from hibari import voices

    return [Path(voices.voice_path(voice.voice, download_missing=False))]


def version(_voice: Voice) -> str:
    return version_of("hibari-tts")
