"""The verdict on a block of clips."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from stages.common.asr import BATCH, WINDOW, Transcriber
from stages.common.audio import SAMPLE_RATE, read, read_clip_bytes
from stages.common.errors import InserterError
from stages.common.params import Verify
from stages.verify.packing import join, pack
from stages.verify.signal import clipping, level_db, longest_silence
from stages.verify.words import share_out, word_error_rate, words

ADDED = ("heard", "wer", "level_db", "clipping", "silence", "pace", "reason")


def check(rows: Iterable[dict], clips: Path, transcriber: Transcriber, limits: Verify) -> list[dict]:
    """`rows` (schema UTTERANCES) as rows of schema VERIFIED, in their order; the audio is in the folder `clips`.

    Clips are heard packed. One that has too many word errors then, and nothing else wrong, is heard again alone, and
    that counts: packing costs no good clip.
    """
    checked = [row | dict.fromkeys(ADDED) for row in rows]
    for row in checked:
        if row["error"] is not None:
            row["reason"] = f"synthesis: {row['error']}"
    _hear_packed([row for row in checked if row["error"] is None], clips, transcriber)
    for row in checked:
        if row["reason"] is None:
            row["reason"] = broken_limit(row, limits)
        if row["reason"] and kind(row["reason"]) == "wer":
            _hear_alone(row, clips, transcriber)
            row["reason"] = broken_limit(row, limits)
    return checked


def kind(reason: str) -> str:
    """What reports count by: the first word of a reason."""
    return reason.split(maxsplit=1)[0].rstrip(":")


def broken_limit(row: dict, limits: Verify) -> str | None:
    """The first limit that a measured clip breaks, with the figure, or None."""
    if row["level_db"] < limits.min_level_db:
        return f"level {row['level_db']:.1f} dB < {limits.min_level_db}"
    if row["clipping"] > limits.max_clipping:
        return f"clipping {row['clipping']:.4f} > {limits.max_clipping}"
    if row["silence"] > limits.max_silence:
        return f"silence {row['silence']:.2f} s > {limits.max_silence}"
    if not limits.min_pace <= row["pace"] <= limits.max_pace:
        return f"pace {row['pace']:.1f} characters a second, not {limits.min_pace} to {limits.max_pace}"
    if row["wer"] > limits.max_wer:
        return f"wer {row['wer']:.2f} > {limits.max_wer}"
    return None


def _hear_packed(rows: list[dict], clips: Path, transcriber: Transcriber) -> None:
    """Measure all rows; those that fit into a window are heard in company."""
    windows = pack([row["n_samples"] for row in rows])
    for start in range(0, len(windows), BATCH):  # the audio of 8 windows at a time: 15 MB
        loaded = [_load([rows[i] for i in window], clips) for window in windows[start : start + BATCH]]
        loaded = [window for window in loaded if window]
        texts = transcriber.transcribe([join([wave for _, wave in window]) for window in loaded])
        for window, text in zip(loaded, texts, strict=True):
            shares = share_out([words(row["spoken"]) for row, _ in window], words(text))
            for (row, wave), heard in zip(window, shares, strict=True):
                _measure(row, wave, heard)
    for row in rows:
        if row["n_samples"] > WINDOW:
            _hear_alone(row, clips, transcriber)


def _hear_alone(row: dict, clips: Path, transcriber: Transcriber) -> None:
    for _, wave in _load([row], clips):
        _measure(row, wave, words(transcriber.transcribe_alone(wave)))


def _load(rows: list[dict], clips: Path) -> list[tuple[dict, np.ndarray]]:
    """(row, its wave) of the clips that can be decoded; the others get their reason. A lost shard ends the run."""
    loaded = []
    for row in rows:
        data = read_clip_bytes(clips, row)
        try:
            wave = read(data)
        except InserterError as error:
            row["reason"] = f"audio: {error}"
            continue
        if len(wave) != row["n_samples"]:
            row["reason"] = f"audio: {len(wave)} samples, the table says {row['n_samples']}"
            continue
        loaded.append((row, wave))
    return loaded


def _measure(row: dict, wave: np.ndarray, heard: list[str]) -> None:
    row["heard"] = " ".join(heard)
    row["wer"] = word_error_rate(words(row["spoken"]), heard)
    row["level_db"] = level_db(wave)
    row["clipping"] = clipping(wave)
    row["silence"] = longest_silence(wave)
    row["pace"] = len(row["spoken"]) * SAMPLE_RATE / len(wave)
