"""Clips that are longer than a recogniser's window, cut where nobody speaks."""

import numpy as np

from models.sound import SAMPLE_RATE

WINDOW = 30 * SAMPLE_RATE  # of every Whisper
SEARCH_SECONDS = 10  # how far back from the end of a window a pause is looked for


def cut(wave: np.ndarray, window: int = WINDOW) -> list[np.ndarray]:
    """`wave` (samples,) 16 kHz in pieces of at most `window` samples, cut at the quietest 0.1 s of the last 10 s of each."""
    search, frame = min(SEARCH_SECONDS * SAMPLE_RATE, window // 2), SAMPLE_RATE // 10
    pieces = []
    while len(wave) > window:
        tail = np.square(wave[window - search : window])
        loudness = tail[: len(tail) // frame * frame].reshape(-1, frame).mean(axis=1)
        end = window - search + int(np.argmin(loudness)) * frame + frame // 2
        pieces.append(wave[:end])
        wave = wave[end:]
    return [*pieces, wave]
