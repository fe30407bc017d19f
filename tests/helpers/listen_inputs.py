"""What the listen stage reads, small and real: sentences that hibari speaks, joined and disturbed by the stages' functions."""

from pathlib import Path
from typing import Any

import numpy as np

from inserter.audio.clips import SAMPLE_RATE, flac, write_shard
from inserter.audio.effects import add_noise
from inserter.files import write_table
from inserter.params import Voice
from inserter.seeds import np_rng
from inserter.tables import SEQUENCES, VERIFIED
from inserter.training.sequences import text_part
from inserter.tts import load_voice
from stages.interleave.build import interleaved, sequence, speech_task

Row = dict[str, Any]
TEXT = (
    "Our roads are good. The harbor sleeps, and a lantern burns above the pier. We have built forty schools. "
    "The army came home in the spring, glad and tired. Good work is never lost, nor is it forgotten."
)
SPOKEN = ["Our roads are good.", "a lantern burns above the pier", "We have built forty schools.", "glad and tired"]
HOSTILE = "</script><script>alert('in')</script> \"quoted\" & <img src=x onerror=alert(1)>"
VOICES = ["heart", "heart-slow"]
SHARD, ORIGINAL = "shard-00000.tar", "-original"


def speak(text: str) -> np.ndarray:
    return load_voice(Voice(name="heart", engine="hibari", voice="heart")).speak(text)


def write(root: Path, quarantined: bool = True, hostile: bool = False) -> tuple[Path, Path]:
    """(data, reports) below `root`. Clips 0 to 3 are in the interleaved sequence; quarantined: five reasons, one without a clip."""
    data, reports = root / "data", root / "reports"
    waves = [speak(text) for text in SPOKEN]
    clips: dict[str, bytes] = {}
    clean = [_clean(n, waves[n % len(waves)], clips) for n in range(12)]
    bad = _quarantined(waves, clips, hostile) if quarantined else []
    originals = {name: clips.pop(name) for name in list(clips) if name.endswith(ORIGINAL)}
    index = write_shard(data / "synthesize" / SHARD, clips.items())
    before = write_shard(data / "synthesize" / "original-00000.tar", originals.items())
    for row in [*clean, *bad]:
        _locate(row, index, before)
    write_table(data / "verify" / "clean.parquet", clean, VERIFIED)
    write_table(data / "verify" / "quarantine.parquet", bad, VERIFIED)
    write_table(data / "interleave" / "sequences.parquet", _sequences(clean), SEQUENCES)
    return data, reports


def _row(utt_id: str, spoken: str, wave: np.ndarray, voice: str) -> Row:
    """A row of VERIFIED: a clip that was heard as it should be. Its columns that are not named here are null."""
    return {
        "utt_id": utt_id,
        "doc_id": "d",
        "split": "train",
        "language": "en",
        "written": spoken,
        "spoken": spoken,
        "engine": "hibari",
        "voice": voice,
        "license": "Apache-2.0",
        "effect": "{}",
        "sample_rate": SAMPLE_RATE,
        "n_samples": len(wave),
        "duration": len(wave) / SAMPLE_RATE,
        "heard": spoken.lower().strip("."),
        "wer": 0.0,
        "level_db": -21.5,
        "clipping": 0.0,
        "silence": 0.12,
        "pace": len(spoken) * SAMPLE_RATE / len(wave),
        "reason": None,
    }


def _clean(n: int, wave: np.ndarray, clips: dict[str, bytes]) -> Row:
    """Every other one has noise, and its original beside it; the later, the more word errors."""
    row = _row(f"d-{n:03d}", SPOKEN[n % len(SPOKEN)], wave, VOICES[n % 2])
    if n % 2:
        row["effect"] = '{"noise": "babble", "snr_db": 12.5}'
        clips[row["utt_id"] + ORIGINAL] = flac(wave)
        wave = add_noise(wave, 12.5, "babble", rng=np_rng(0, "noise", n))
    if n >= 6:
        row |= {"wer": 0.02 * n, "heard": row["heard"].replace("good", "wood").replace("glad", "plaid")}
    clips[row["utt_id"]] = flac(wave)
    return row


def _quarantined(waves: list[np.ndarray], clips: dict[str, bytes], hostile: bool) -> list[Row]:
    text, wave = SPOKEN[1], waves[1]
    silent = np.concatenate([wave[:8000], np.zeros(2 * SAMPLE_RATE, np.float32), wave[8000:]])
    found = [
        ("q-wer", waves[2], {"reason": "wer 1.00 > 0.35", "wer": 1.0, "heard": "we have built forty schools"}),
        ("q-wer-2", waves[0], {"reason": "wer 0.83 > 0.35", "wer": 0.83, "heard": ""}),
        ("q-level", wave * 1e-3, {"reason": "level -81.4 dB < -45.0", "level_db": -81.4}),
        ("q-silence", silent, {"reason": "silence 2.00 s > 1.5", "silence": 2.0}),
    ]
    rows = []
    for name, sound, values in found:
        rows.append(_row(name, text, sound, "heart") | values)
        clips[name] = flac(sound)
    damaged = _row("q-audio", text, wave, "heart") | {"reason": "audio: it cannot be decoded", "heard": None, "wer": None}
    clips["q-audio"] = b"this is no FLAC"
    never = damaged | {"utt_id": "q-synthesis", "reason": "synthesis: no word of it", "error": "no word of it", "duration": 0.0}
    if hostile:
        rows[0] |= {"heard": HOSTILE, "spoken": HOSTILE, "voice": HOSTILE, "reason": f"wer {HOSTILE}"}
    return [*rows, damaged, never]


def _locate(row: Row, index: dict[str, tuple[int, int]], originals: dict[str, tuple[int, int]]) -> None:
    if row["utt_id"] not in index:
        row |= {"shard": None, "offset": 0, "size": 0, "original_shard": None, "original_offset": 0, "original_size": 0}
        return
    offset, size = index[row["utt_id"]]
    row |= {"shard": SHARD, "offset": offset, "size": size}
    before = originals.get(row["utt_id"] + ORIGINAL)
    tar, (offset, size) = ("original-00000.tar", before) if before else (SHARD, (offset, size))
    row |= {"original_shard": tar, "original_offset": offset, "original_size": size}


def _sequences(clean: list[Row]) -> list[Row]:
    document = {"doc_id": "d", "text": TEXT}
    spans = []
    for row in clean[: len(SPOKEN)]:
        start = TEXT.index(row["written"])
        spans.append({**row, "start": start, "end": start + len(row["written"])})
    return [
        sequence(document, "d-i", "interleaved", parts=interleaved(document, spans)),
        sequence(document, "few-i", "interleaved", parts=interleaved(document, spans[:1])),
        speech_task(document, spans[1], 1, transcribe_share=1.0, words=10),
        speech_task(document, spans[1], 1, transcribe_share=0.0, words=10),
        sequence(document, "d-x", "text", parts=[text_part(TEXT)]),
    ]
