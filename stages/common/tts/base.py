"""What every voice can do, and the rate and pitch that any of them can be given."""

from abc import ABC, abstractmethod

import numpy as np

from stages.common.audio import SAMPLE_RATE, resample
from stages.common.augment import change_pitch_and_rate, change_rate


class CannotSpeak(Exception):
    """This text cannot be spoken by this voice; `str(error)` says why. Another text may well be."""


class Synthesizer(ABC):
    """A voice. Engines implement `synthesize`; everyone else calls `speak`."""

    sample_rate: int = SAMPLE_RATE  # of what `synthesize` returns
    rates: tuple[float, float] = (1.0, 1.0)  # the factors of speed that the engine itself offers

    @abstractmethod
    def synthesize(self, text: str, rate: float) -> np.ndarray:
        """Mono float (samples,) at `sample_rate`, `rate` times as fast. The same text gives the same samples."""

    def speak(self, text: str, rate: float = 1.0) -> np.ndarray:
        """Mono float32 (samples,) at 16 kHz. Raises CannotSpeak on text that gives no sound."""
        if not text.strip():
            raise CannotSpeak("empty text")
        wave = np.asarray(self.synthesize(text, rate), dtype=np.float32).reshape(-1)
        if not len(wave):
            raise CannotSpeak("the engine gave zero samples")
        if not np.isfinite(wave).all():
            raise CannotSpeak("the engine gave samples that are not finite")
        if not wave.any():
            raise CannotSpeak("the engine gave only silence")
        return resample(wave, self.sample_rate)


class Shaped(Synthesizer):
    """Another voice at its own rate and pitch (factors).

    Pitch is changed by resampling, which also makes speech `pitch` times as fast; the engine speaks slower by as much
    where it can, so that nothing is stretched twice. What is beyond the engine's range is done by time stretch.
    """

    def __init__(self, voice: Synthesizer, rate: float, pitch: float) -> None:
        self.voice, self.rate, self.pitch = voice, rate, pitch
        low, high = voice.rates
        self.engine_rate = min(max(rate / pitch, low), high)

    def synthesize(self, text: str, rate: float = 1.0) -> np.ndarray:
        wave = self.voice.speak(text, self.engine_rate)
        if self.pitch == 1.0:
            return change_rate(wave, self.rate * rate / self.engine_rate)
        return change_pitch_and_rate(wave, self.pitch, self.rate * rate / self.engine_rate)
