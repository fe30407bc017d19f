"""What every voice can do, and the rate and pitch that any of them can be given."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np

from inserter.audio.clips import SAMPLE_RATE, resample
from inserter.tts.shaping import change_pitch_and_rate, change_rate, warp_formants


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

    def speak_many(self, texts: Sequence[str], rate: float = 1.0) -> Iterator[np.ndarray | CannotSpeak]:
        """For each text, in order, what `speak` returns, or the CannotSpeak that it raises."""
        for text in texts:
            try:
                yield self.speak(text, rate)
            except CannotSpeak as error:
                yield error


class Shaped(Synthesizer):
    """Another voice at its own rate, pitch and warp (factors).

    Pitch is changed by resampling, which also makes speech `pitch` times as fast; the engine speaks slower by as much
    where it can, so that nothing is stretched twice. What is beyond the engine's range is done by time stretch.
    """

    def __init__(self, voice: Synthesizer, rate: float, pitch: float, warp: float = 1.0) -> None:
        self.voice, self.rate, self.pitch, self.warp = voice, rate, pitch, warp
        low, high = voice.rates
        self.engine_rate = min(max(rate / pitch, low), high)

    def synthesize(self, text: str, rate: float = 1.0) -> np.ndarray:
        return self._shape(self.voice.speak(text, self.engine_rate), rate)

    def speak_many(self, texts: Sequence[str], rate: float = 1.0) -> Iterator[np.ndarray | CannotSpeak]:
        for spoken in self.voice.speak_many(texts, self.engine_rate):
            yield spoken if isinstance(spoken, CannotSpeak) else self._shape(spoken, rate)

    def _shape(self, wave: np.ndarray, rate: float) -> np.ndarray:
        left = self.rate * rate / self.engine_rate
        wave = change_rate(wave, left) if self.pitch == 1.0 else change_pitch_and_rate(wave, self.pitch, left)
        return warp_formants(wave, self.warp)
