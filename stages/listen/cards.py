"""Describe a clip for the page: its sound, waveform, transcripts and measurements."""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np

from inserter.audio.clips import read, read_clip_bytes
from inserter.errors import InserterError
from inserter.page.audio import audio_name
from inserter.tables import InShard, Verified
from stages.listen.diff import compared

Row = dict[str, Any]
BINS = 160  # vertical lines of a waveform thumbnail
HEIGHT = 40
Measure = Literal["wer", "second_wer", "extra", "ending", "duration_z", "pace", "silence", "level_db", "clipping", "dc", "snr_db"]
# Column of VERIFIED: its label and its format. A null column is left out.
MEASURES: dict[Measure, tuple[str, str]] = {
    "wer": ("word error rate", "{:.2f}"),
    "second_wer": ("word error rate, second opinion", "{:.2f}"),
    "extra": ("extra words", "{:d}"),
    "ending": ("similarity of the last words", "{:.2f}"),
    "duration_z": ("duration, z-score", "{:+.1f}"),
    "pace": ("pace", "{:.1f} characters/s"),
    "silence": ("longest silence", "{:.2f} s"),
    "level_db": ("level", "{:.1f} dB"),
    "clipping": ("clipping", "{:.2%}"),
    "dc": ("DC offset", "{:+.3f}"),
    "snr_db": ("signal to noise", "{:.0f} dB"),
}
UNITS = {"snr_db": " dB", "gain_db": " dB", "loudness_db": " dB", "rt60": " s"}


def card(row: Verified, folder: Path, sounds: dict[str, bytes]) -> Row:
    """Return a row of VERIFIED as the page shows it, and add its FLAC files to `sounds` by name.

    folder: the folder of the shards.
    audio, original: file names in `sounds`, or None. `original` is what the voice said before it
    was changed, if that was kept.
    unplayable: why there is no audio, or None.
    wave: an SVG path, or None.
    said, heard, second: [(word, whether the other text has it)], or None.
    """
    found: Row = {
        "id": row["utt_id"],
        "voice": row["voice"],
        "engine": row["engine"],
        "license": row["license"],
        "reason": row["reason"],
        "language": row["language"],
        "seconds": row["duration"],
        "written": row["written"],
        "spoken": row["spoken"],
        "measures": _measures(row),
        "effect": _effect(row),
        "audio": None,
        "original": None,
        "wave": None,
        "unplayable": None,
        "said": None,
        "heard": None,
        "second": None,
    }
    _add_sound(found, row, folder, sounds=sounds)
    if row["heard"] is not None:
        found["said"], found["heard"] = compared(row["spoken"], row["heard"])
    if row["second_heard"] is not None:
        found["second"] = compared(row["spoken"], row["second_heard"])[1]
    return found


def _add_sound(found: Row, row: Verified, folder: Path, *, sounds: dict[str, bytes]) -> None:
    if row["shard"] is None:
        found["unplayable"] = row["error"] or "the clip was not synthesized"
        return
    data = read_clip_bytes(folder, row)
    try:
        found["wave"] = wave(read(data))
    except InserterError:
        found["unplayable"] = f"its {len(data):,} bytes are not sound"
        return
    found["audio"] = _keep(row["utt_id"], data, sounds)
    if row["original_shard"] not in (None, row["shard"]):
        place: InShard = {"shard": row["original_shard"], "offset": row["original_offset"], "size": row["original_size"]}
        found["original"] = _keep(f"{row['utt_id']}-original", read_clip_bytes(folder, place), sounds)


def _keep(name: str, data: bytes, sounds: dict[str, bytes]) -> str:
    file = audio_name(name)
    sounds[file] = data
    return file


def wave(samples: np.ndarray) -> str:
    """Return an SVG path of `samples` (n,) in a box of BINS x HEIGHT.

    Each line shows the peak of one of BINS stretches. Full scale fills the height.
    """
    peaks = [float(np.abs(part).max(initial=0.0)) for part in np.array_split(samples, BINS)]
    heights = [max(0.5, min(1.0, peak) * HEIGHT / 2) for peak in peaks]
    middle = HEIGHT / 2
    return "".join(f"M{place + 0.5} {middle - high:.1f}V{middle + high:.1f}" for place, high in enumerate(heights))


def _measures(row: Verified) -> list[tuple[str, str]]:
    if row["heard"] is None:  # the clip was not measured
        return []
    return [(name, form.format(row[key])) for key, (name, form) in MEASURES.items() if row.get(key) is not None]


def _effect(row: Verified) -> list[str]:
    """Return in words what changed the voice's own samples: ["noise babble", "snr 12.5 dB"]."""
    effect = json.loads(row["effect"] or "{}")
    return [_said(key, value) for key, value in effect.items() if value not in (None, False, 0, 0.0)]


def _said(key: str, value: object) -> str:
    shown = f"{value:.3g}" if isinstance(value, float) else "" if value is True else str(value)
    return f"{key.removesuffix('_db').replace('_', ' ')} {shown}{UNITS.get(key, '')}".strip()
