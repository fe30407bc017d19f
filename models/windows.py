"""Cut clips that are longer than a recogniser's window, where nobody speaks."""

import numpy as np

from models.sound import SAMPLE_RATE

WINDOW = 30 * SAMPLE_RATE  # samples, for every Whisper
SEARCH_SECONDS = 10  # how far back from the end of a window a pause is searched


def cut(wave: np.ndarray, window: int = WINDOW) -> list[np.ndarray]:
    """Return `wave` (samples,) at 16 kHz in pieces of at most `window` samples.

    A cut is in the middle of the quietest 0.1 s of a window's last 10 s. In windows of less than
    20 s, the cut is in the second half.
    """
    search, frame = min(SEARCH_SECONDS * SAMPLE_RATE, window // 2), SAMPLE_RATE // 10
    pieces = []
    while len(wave) > window:
        tail = np.square(wave[window - search : window])
        loudness = tail[: len(tail) // frame * frame].reshape(-1, frame).mean(axis=1)
        end = window - search + int(np.argmin(loudness)) * frame + frame // 2
        pieces.append(wave[:end])
        wave = wave[end:]
    return [*pieces, wave]
