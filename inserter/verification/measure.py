"""Measure a block of clips. Nothing here depends on a limit: `verdict` applies the limits."""

from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path
from typing import cast

import numpy as np

from inserter.audio.clips import SAMPLE_RATE, read, read_clip_bytes
from inserter.errors import InserterError
from inserter.tables import UTTERANCES, VERIFIED, Utterance, Verified
from inserter.verification import signal
from inserter.verification.hear import Clip, Ears, hear
from inserter.verification.words import words

ADDED = [name for name in VERIFIED.names if name not in UTTERANCES.names]


def measure(rows: Iterable[Utterance], clips: Path, ears: Callable[[str], Ears]) -> list[Verified]:
    """Return `rows` (schema UTTERANCES) as rows of schema VERIFIED, in the same order.

    clips: the folder with the audio. ears: returns the recognisers of a language.

    Only a clip that cannot be measured gets a `reason`. No clip gets a `duration_z`, which needs
    the whole run. Raise InserterError if a shard is lost or truncated.
    """
    measured = [cast(Verified, row | dict.fromkeys(ADDED)) for row in rows]
    loaded = [clip for row in measured for clip in _load(row, clips)]
    for clip in loaded:
        found = signal.measure(clip.wave)
        clip.row.update(
            {
                "level_db": found.level_db,
                "clipping": found.clipping,
                "silence": found.silence,
                "dc": found.dc,
                "snr_db": found.snr_db,
                "tail_db": found.tail_db,
            }
        )
        clip.row["pace"] = len(clip.row["spoken"]) * SAMPLE_RATE / len(clip.wave)
    for language, spoken in groupby(sorted(loaded, key=_language), _language):
        hear(list(spoken), ears(language))
    return measured


def _language(clip: Clip) -> str:
    return clip.row["language"]


def _load(row: Verified, clips: Path) -> list[Clip]:
    """Return the clip in a list; if it cannot be measured, return [] and set the row's reason."""
    if row["error"] is not None:
        row["reason"] = f"synthesis: {row['error']}"
        return []
    data = read_clip_bytes(clips, row)
    try:
        wave = read(data)
    except InserterError as error:
        row["reason"] = f"audio: {error}"
        return []
    if len(wave) != row["n_samples"]:
        row["reason"] = f"audio: {len(wave)} samples instead of {row['n_samples']} as in the table"
    elif not np.isfinite(wave).all():
        row["reason"] = "audio: samples are not finite"
    else:
        return [Clip(row, wave, words(row["spoken"], row["language"]))]
    return []
