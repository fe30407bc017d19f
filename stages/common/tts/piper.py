"""Piper voices (ONNX). `piper-tts` is GPL-3.0: an extra that the user chooses, imported only when a voice names it."""

import importlib.util
from pathlib import Path

import numpy as np

from stages.common.tts.base import Synthesizer

EXTRA = "Piper is not installed. Install it with `pip install 'inserter[piper]'`; piper-tts is GPL-3.0"


class PiperVoice(Synthesizer):
    """One .onnx voice with its .onnx.json beside it, spoken without the noise that would make no two runs the same."""

    rates = (0.5, 2.0)

    def __init__(self, voice: str, speaker: str | None) -> None:
        from piper import PiperVoice as Engine

        self.model = Engine.load(voice)
        self.sample_rate = self.model.config.sample_rate
        self.speaker = int(speaker) if speaker else None

    def synthesize(self, text: str, rate: float) -> np.ndarray:
        from piper import SynthesisConfig

        config = SynthesisConfig(speaker_id=self.speaker, length_scale=1 / rate, noise_scale=0.0, noise_w_scale=0.0)
        parts = [chunk.audio_float_array for chunk in self.model.synthesize(text, syn_config=config)]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def missing(voice: str) -> str | None:
    """Why `voice` cannot be used here, or None."""
    if importlib.util.find_spec("piper") is None:
        return EXTRA
    absent = [path for path in (Path(voice), Path(f"{voice}.json")) if not path.is_file()]
    if absent:
        return f"Piper's voice file {absent[0]} is not there. Give the path of an .onnx voice with its .onnx.json"
    return None
