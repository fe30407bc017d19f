"""Define the interface of every voice, and give any voice a rate, a pitch and a warp."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np

from inserter.audio.clips import SAMPLE_RATE, resample
from inserter.tts.shaping import change_pitch_and_rate, change_rate, warp_formants


class CannotSpeak(Exception):
    """The voice cannot speak this text; `str(error)` says why. Another text may succeed."""


class Synthesizer(ABC):
    """A voice. Engines implement `synthesize`; all other code calls `speak`."""

    sample_rate: int = SAMPLE_RATE
    """Sample rate in Hz of the wave that `synthesize` returns."""
    rates: tuple[float, float] = (1.0, 1.0)
    """Lowest and highest speed factor that the engine itself offers."""

    @abstractmethod
    def synthesize(self, text: str, rate: float) -> np.ndarray:
        """Return mono float (samples,) at `sample_rate`, spoken `rate` times as fast.

        The same text gives the same samples.
        """

    def speak(self, text: str, rate: float = 1.0) -> np.ndarray:
        """Return mono float32 (samples,) at 16 kHz.

        Raises CannotSpeak on text that gives no sound.
        """
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
        """Yield, per text in order, what `speak` returns, or the CannotSpeak that it raises."""
        for text in texts:
            try:
                yield self.speak(text, rate)
            except CannotSpeak as error:
                yield error


class Shaped(Synthesizer):
    """Another voice at a given rate, pitch and warp, which are factors.

    Resampling changes the pitch, and also makes speech `pitch` times as fast. Where the engine can,
    it speaks slower by the same factor, so that nothing is stretched twice. Time stretching covers
    what is beyond the engine's range.
    """

    def __init__(self, voice: Synthesizer, rate: float, pitch: float, *, warp: float = 1.0) -> None:
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
