"""Pack several clips into one window: alone, a clip of 5 s would waste five sixths of its 30 s."""

from collections.abc import Sequence

import numpy as np

from inserter.audio.clips import SAMPLE_RATE
from models.windows import WINDOW

PAUSE = SAMPLE_RATE  # 1 s between clips


def pack(lengths: Sequence[int]) -> list[list[int]]:
    """Return the indices of the clips in each window: best fit, longest first.

    lengths: samples of each clip. A clip over 30 s is in no window.
    """
    room: list[int] = []
    windows: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        need = lengths[index] + PAUSE
        if lengths[index] > WINDOW:
            continue
        fitting = [(space, w) for w, space in enumerate(room) if space >= need]
        if fitting:
            _, window = min(fitting)
        else:
            window = len(windows)
            windows.append([])
            room.append(WINDOW + PAUSE)  # no pause after the last
        windows[window].append(index)
        room[window] -= need
    return windows


def join(waves: Sequence[np.ndarray]) -> np.ndarray:
    """Return one wave of all `waves`, with a pause of silence between them."""
    pause = np.zeros(PAUSE, dtype=np.float32)
    parts = [part for wave in waves for part in (wave, pause)]
    return np.concatenate(parts[:-1])
