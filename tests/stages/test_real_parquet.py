"""SpeechInstructBench as Parquet files: the same items as from jsonl; what is damaged costs no more than its rows."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from real_copy import BULLETS, adjusted, build, closed, embedded, opened, parquet, put, wav, write

from inserter.audio.clips import read_clip_bytes


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "SpeechInstructBench"


def test_parquet_gives_the_same_items_as_jsonl(root):
    bullets = {"instruction_id_list": ["detectable_format:number_bullet_lists", "punctuation:no_comma"]}
    records = {
        "closed": [closed(1), closed(2, **bullets, kwargs=[{"num_bullets": 3}, {}])],
        "open": [opened(1), opened(2, decomposed_questions=["One?"])],
        "adjustment": [adjusted(1), adjusted(2), adjusted(3)],
    }
    sounds = {1: wav(0.5), 2: wav(0.75), 3: wav(1.0)}
    names = {
        "closed": "closed_standard_en/train-00000-of-00001",
        "open": "data/open_ended_en-00000-of-00001",
        "adjustment": "adjustment/en",
    }
    for task, rows in records.items():
        file = write(root, task, rows)
        for row in rows:
            key = row.get("key") or row["id"]
            place = row.get("audio_path") or row["audio"]
            put(file.parent / (place["path"] if isinstance(place, dict) else place), sounds[key])
            row["gender"] = row.get("gender")
        inside = [embedded(row, sounds[row.get("key") or row["id"]]) for row in rows]
        parquet(root.parent / f"hub/{names[task]}.parquet", inside)
    target = root.parent / "data/benchmark"
    from_jsonl, _, _ = build(root)
    clips = [read_clip_bytes(target, row) for row in from_jsonl]
    from_parquet, quarantine, metrics = build(root.parent / "hub")
    assert quarantine == [] and len(from_jsonl) == 7
    assert from_parquet == from_jsonl
    assert [read_clip_bytes(target, row) for row in from_parquet] == clips
    assert json.loads(from_parquet[1]["kwargs"]) == [{"num_bullets": 3}, {}]
    assert metrics["not_read"] == {}


def test_parquet_with_paths_or_without_audio(root):
    put(root / "wavs/1.wav", wav())
    put(root / "wavs/2.wav", wav(seconds=2))
    parquet(root / "open-ended/en.parquet", [opened(1, audio="wavs/1.wav")])
    rows = [embedded(adjusted(2, audio="wavs/2.wav"), None), embedded(adjusted(3), None), embedded(adjusted(4), wav(1))]
    parquet(root / "adjustment_en.parquet", rows)
    items, (found,), _ = build(root)
    assert {row["item_id"]: row["duration"] for row in items} == {"open-en-1": 0.5, "adjustment-en-2": 2.0, "adjustment-en-4": 1.0}
    assert (found["reason"], found["key"], found["line"]) == ("missing wav", "3", 2)


def test_samples_in_place_of_a_file_are_named_and_a_file_beside_them_is_read(root):
    samples = {"array": [0.1, -0.1], "sampling_rate": 8_000}
    write(root, "open", [opened(1)])
    put(root / "2.wav", wav(2))
    records = [adjusted(number, audio={**samples, "path": path}) for number, path in ((1, None), (2, "2.wav"))]
    parquet(root / "adjustment_en.parquet", records)
    rows, (found,), _ = build(root)
    assert {row["item_id"]: row["duration"] for row in rows} == {"open-en-1": 0.5, "adjustment-en-2": 2.0}
    assert (found["item_id"], found["reason"]) == ("adjustment-en-1", "samples")
    assert found["detail"] == "audio is a list of numbers: give a wav file, or the bytes of a file in Parquet"


def test_a_truncated_parquet_file_is_quarantined(root):
    write(root, "open", [opened(1)])
    file = parquet(root / "adjustment/adjustment_en.parquet", [embedded(adjusted(n), wav()) for n in range(4)])
    file.write_bytes(file.read_bytes()[:-100])
    rows, (found,), _ = build(root)
    assert [row["item_id"] for row in rows] == ["open-en-1"]
    assert (found["reason"], found["file"]) == ("unreadable Parquet", "adjustment/adjustment_en.parquet")


@pytest.mark.parametrize("column", ["prompt", "audio.bytes"])
def test_a_damaged_part_of_a_parquet_file_costs_its_rows_only(root, column):
    file = parquet(root / "adjustment_en.parquet", [embedded(adjusted(n), wav()) for n in range(6)], rows=2)
    group = pq.read_metadata(file).row_group(1)
    damaged = next(c for c in map(group.column, range(group.num_columns)) if c.path_in_schema == column)
    data = bytearray(file.read_bytes())
    start = damaged.dictionary_page_offset or damaged.data_page_offset
    data[start : start + damaged.total_compressed_size] = b"\xff" * damaged.total_compressed_size
    file.write_bytes(data)
    rows, quarantine, _ = build(root)
    assert [row["key"] for row in rows] == ["0", "1", "4", "5"]
    assert [(bad["reason"], bad["line"]) for bad in quarantine] == [("unreadable Parquet", 3), ("unreadable Parquet", 4)]


def test_shards_cross_files_and_row_groups_and_workers_change_nothing(root):
    rng = np.random.default_rng(0)
    lengths = rng.uniform(0.05, 0.1, 150)
    records = [embedded(adjusted(n), wav(length)) for n, length in enumerate(lengths)]
    parquet(root / "adjustment/en-00000-of-00002.parquet", records[:100], rows=40)
    parquet(root / "adjustment/en-00001-of-00002.parquet", records[100:], rows=40)
    rows, _, _ = build(root, workers=1)
    assert [row["duration"] for row in rows] == pytest.approx([int(16_000 * length) / 16_000 for length in lengths])
    target = root.parent / "data/benchmark"
    before = {path.name: path.read_bytes() for path in target.iterdir()}
    assert {"shard-00000.tar", "shard-00001.tar"} <= set(before)
    for tar in Path(".work").rglob("shard-*.tar"):
        tar.unlink()
    build(root, workers=2)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == before


def test_a_record_may_say_what_its_file_does_not(root):
    in_text = {**BULLETS, "kwargs": '[{"num_bullets": 3}]'}  # Parquet has no column of objects that differ
    rows = [embedded(closed(1, variant, lang, **in_text), wav()) for variant, lang in (("accent", "cn"), ("standard", "en"))]
    parquet(root / "closed-ended/0000.parquet", rows)
    items, _, metrics = build(root)
    assert [(row["item_id"], row["kwargs"]) for row in items] == [
        ("accent-cn-1", '[{"num_bullets": 3}]'),
        ("standard-en-1", '[{"num_bullets": 3}]'),
    ]
    assert {"cn/standard", "en/accent"} <= set(metrics["absent"])
