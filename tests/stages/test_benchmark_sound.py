"""Sound in a copy of SpeechInstructBench: a clip that cannot be opened costs that clip; the same folder gives the same bytes."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from real_copy import adjusted, build, embedded, parquet, put, wav, write

from flows.ask import answer
from inserter.errors import InserterError


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "SpeechInstructBench"


def tone(form: str = "FLAC", value: float | None = None, channels: int = 1, **more: str) -> bytes:
    wave = np.repeat(0.1 * np.sin(np.arange(8_000) / 20)[:, None], channels, axis=1)
    if value is not None:
        wave[4_000] = value
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, 16_000, format=form, **more)
    return buffer.getvalue()


def unknown_length(data: bytes) -> bytes:
    return data[:21] + bytes([data[21] & 0xF0]) + bytes(4) + data[26:]


READ = {
    "flac of unknown length": unknown_length(tone()),
    "wav of placeholder sizes": wav()[:4] + b"\0\x94\x35\x77" + wav()[8:40] + b"\0\x94\x35\x77" + wav()[44:],
    "aiff": tone("AIFF"),
    "opus": tone("OGG", subtype="OPUS"),
}
REFUSED = {
    "undecodable": unknown_length(tone())[:-300],
    "truncated": tone("AIFF")[:-300],
    "not finite": tone("WAV", np.nan, subtype="FLOAT"),
    "out of range": tone("WAV", 20_000, subtype="FLOAT"),
    "zero samples": wav(seconds=0),
}


@pytest.mark.parametrize("stored", ["file", "parquet"])
def test_each_clip_is_read_or_refused_alone(root, stored):
    clips = {**READ, **REFUSED}
    if stored == "file":
        write(root, "adjustment", [adjusted(n) for n in range(len(clips))], sound=False)
        for n, data in enumerate(clips.values()):
            put(root / f"adjustment/adjustment_{n}_en.wav", data)
    else:
        parquet(root / "adjustment_en.parquet", [embedded(adjusted(n), data) for n, data in enumerate(clips.values())])
    rows, quarantine, _ = build(root)
    assert [(row["key"], row["duration"]) for row in rows] == [(str(n), 0.5) for n in range(len(READ))]
    assert [bad["reason"] for bad in quarantine] == list(REFUSED)
    assert "number 4,000, at 0.250 s" in quarantine[2]["detail"]


def test_the_same_clips_give_the_same_bytes_wherever_the_folder_lies(tmp_path, monkeypatch):
    written = []
    for name in ("here", "some/where/else"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        monkeypatch.chdir(folder)
        clips = [*REFUSED.values(), wav()]
        parquet(folder / "copy/adjustment_en.parquet", [embedded(adjusted(n), data) for n, data in enumerate(clips)])
        put(folder / "copy/adjustment_cn.parquet", b"no Parquet at all")
        build(folder / "copy")
        written.append({path.name: path.read_bytes() for path in (folder / "data/benchmark").iterdir()})
    assert written[0] == written[1] and len(written[0]) > 3
    assert not any(word in written[0]["quarantine.jsonl"] for word in (b"0x", str(tmp_path).encode()))


def test_channels_that_cancel_out_are_in_the_items_notes(root, capsys):
    wave = 0.1 * np.sin(np.arange(8_000) / 20)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.stack([wave, -wave], axis=1), 16_000, format="WAV")
    parquet(root / "adjustment_en.parquet", [embedded(adjusted(1), buffer.getvalue()), embedded(adjusted(2), wav())])
    rows, _, _ = build(root)
    notes = [json.loads(row["notes"]) for row in rows]
    assert "only channel " in notes[0]["sound"][0] and "sound" not in notes[1]
    assert "adjustment-en-1: the channels cancel each other out" in capsys.readouterr().err


def test_a_column_of_samples_and_rows_without_audio_cost_those_rows(root):
    write(root, "adjustment", [adjusted(1)])
    columns = {"id": [1, 2], "prompt": ["Open 1.", "Open 2."], "decomposed_questions": [["Is it?"], ["Is it?"]]}
    for name, audio in (("0000", [[0.1, 0.2], None]), ("0001", [None, None])):
        columns["id"] = [int(name) * 2 + 1, int(name) * 2 + 2]
        (root / "open_ended_en").mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({**columns, "audio": audio}), root / f"open_ended_en/{name}.parquet")
    rows, quarantine, _ = build(root)
    assert [row["item_id"] for row in rows] == ["adjustment-en-1"]
    assert [bad["reason"] for bad in quarantine] == ["samples", *["missing wav"] * 3]


def test_ask_says_what_is_wrong_with_a_path(tmp_path):
    put(tmp_path / "cut.flac", REFUSED["undecodable"])
    put(tmp_path / "nan.wav", REFUSED["not finite"])
    told = {"absent.wav": "does not exist", ".": "is a folder", "cut.flac": "damaged or cut off", "nan.wav": "at 0.250 s"}
    for name, problem in told.items():
        with pytest.raises(InserterError, match=problem):
            answer(tmp_path / name)
