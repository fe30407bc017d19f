"""Tar shards: random access, a stream, samples of WebDataset, originals in tars of their own, and damage that is named."""

import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from inserter.audio.clips import (
    SAMPLE_RATE,
    check_shards,
    decode,
    flac,
    quantise,
    read_clip,
    read_clip_bytes,
    read_original,
    stream_shard,
    write_shard,
)
from inserter.audio.effects import Effect, apply
from inserter.errors import InserterError
from inserter.files import read_json, read_table
from inserter.params import Voice
from inserter.seeds import np_rng
from inserter.tables import SHARDS
from inserter.tts import Job, load_voice, speak_all

HEART = Voice(name="heart", engine="hibari", voice="heart", license="Apache-2.0")
TEXTS = ["Good morning.", "How are you today?", "Fine, and you?", "The state of the Union is strong."]
NOISE = Effect("babble", 15.0, -3.0)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """(folder of two shards of four clips, its rows): every other clip with noise."""
    folder = tmp_path_factory.mktemp("shards")
    jobs = [Job(f"u{i}", "d", "train", TEXTS[i % 4], TEXTS[i % 4], "heart", NOISE if i % 2 else None) for i in range(8)]
    options = {"workers": 1, "shard_clips": 4, "keep_originals": True, "fingerprint": "f00d"}
    return folder / "out", speak_all(jobs, [HEART], folder / "out", rows=folder / "rows", seed=3, **options)


def test_a_clip_and_its_original_are_read_at_random(spoken):
    folder, rows = spoken
    for row in reversed(rows):
        heard, original = read_clip(folder, row), read_original(folder, row)
        assert len(heard) == row["n_samples"] and row["duration"] == len(heard) / SAMPLE_RATE
        assert np.array_equal(original, read_original(folder, rows[int(row["utt_id"][1:]) % 4])), "the same speech"
        plain = quantise(load_voice(HEART).speak(row["spoken"]))
        assert np.array_equal(original, plain / np.float32(32768))
        if row["utt_id"] in ("u1", "u3", "u5", "u7"):
            assert row["effect"] == NOISE.to_json()
            assert row["original_shard"] == row["shard"].replace("shard", "original")
            noisy = apply(original, NOISE, np_rng(3, "noise", row["utt_id"]))
            assert np.abs(heard - noisy).max() < 1e-4
        else:
            assert row["effect"] == Effect().to_json()
            assert row["original_shard"] == row["shard"]
            assert (row["original_offset"], row["original_size"]) == (row["offset"], row["size"])
    assert {(row["license"], row["language"]) for row in rows} == {("Apache-2.0", "en")}
    assert len({row["content"] for row in rows}) == 4


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def test_a_shard_is_streamed_in_order_and_its_record_is_beside_it(spoken):
    folder, rows = spoken
    clips, originals = (dict(stream_shard(folder / f"{name}-00000.tar")) for name in ("shard", "original"))
    assert list(clips) == ["u0", "u1", "u2", "u3"] and list(originals) == ["u1", "u3"]
    for row in rows[:4]:
        assert clips[row["utt_id"]] == read_clip_bytes(folder, row)
    table = read_table(folder / "shards.parquet", SHARDS)
    assert [(row["shard"], row["clips"], row["fingerprint"]) for row in table] == [
        ("shard-00000.tar", 4, "f00d"),
        ("original-00000.tar", 2, "f00d"),
        ("shard-00001.tar", 4, "f00d"),
        ("original-00001.tar", 2, "f00d"),
    ]
    assert read_json(folder / "shard-00001.json") == {"index": 1, "fingerprint": "f00d", "tars": table[2:]}
    assert check_shards(folder) == 4


def test_every_sample_has_the_same_files_with_its_text_and_what_it_is(spoken):
    folder, rows = spoken
    found = members(folder / "shard-00000.tar")
    assert list(found) == [f"u{n}.{kind}" for n in range(4) for kind in ("flac", "json", "txt")]
    for row in rows[:4]:
        about = json.loads(found[f"{row['utt_id']}.json"])
        assert about == {name: row[name] for name in about}
        assert row.keys() - about.keys() == {
            *("shard", "offset", "size", "original_shard", "original_offset", "original_size", "error")
        }
        assert found[f"{row['utt_id']}.txt"].decode() == row["written"]
    assert list(members(folder / "original-00000.tar")) == ["u1.flac", "u3.flac"]


def test_a_shard_without_a_clip_has_no_tar(tmp_path):
    jobs = [Job(f"u{n}", "d", "train", "日本語", "日本語", "heart") for n in range(2)]
    rows = speak_all(jobs, [HEART], tmp_path / "out", rows=tmp_path / "rows", workers=1)
    assert all(row["error"] and row["shard"] is None for row in rows)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["shard-00000.json", "shards.parquet"]
    assert check_shards(tmp_path / "out") == 0
    made = (tmp_path / "out/shard-00000.json").stat().st_mtime_ns
    assert speak_all(jobs, [HEART], tmp_path / "out", rows=tmp_path / "rows", workers=1) == rows
    assert (tmp_path / "out/shard-00000.json").stat().st_mtime_ns == made, "it is not made again"


def test_a_name_that_webdataset_would_cut_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"has a dot: a\.b"):
        write_shard(tmp_path / "shard.tar", [("a.b", b"")])
    assert not list(tmp_path.iterdir())


@pytest.fixture
def copied(spoken, tmp_path):
    folder, rows = spoken
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path, rows


def test_a_truncated_shard_is_named(copied):
    folder, rows = copied
    path = folder / "shard-00001.tar"
    os.truncate(path, rows[6]["offset"] - 512)  # between two members: a tar that ends early is no error to tar itself
    with pytest.raises(InserterError, match=r"shard-00001.tar is damaged or truncated .*Delete that shard and run `dvc repro`"):
        list(stream_shard(path))
    with pytest.raises(InserterError, match=r"shard-00001.tar is truncated"):
        check_shards(folder)
    with pytest.raises(InserterError, match=r"shard-00001.tar is truncated"):
        read_clip(folder, rows[7])
    os.truncate(path, rows[5]["offset"] + 100)
    with pytest.raises(InserterError, match=r"shard-00001.tar is damaged or truncated \(unexpected end of data\)"):
        list(stream_shard(path))


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["shard-00000.tar", "original-00000.tar"])
def test_one_flipped_bit_anywhere_is_noticed(copied, name):
    folder, _ = copied
    whole = (folder / name).read_bytes()
    for place in np.random.default_rng(0).integers(len(whole), size=20):
        flip(folder / name, place)
        with pytest.raises(InserterError, match=rf"{name} is damaged: its SHA-256 is not"):
            check_shards(folder)
        (folder / name).write_bytes(whole)
    assert check_shards(folder) == 4


def test_a_flipped_bit_in_a_header_stops_the_stream(copied):
    folder, rows = copied
    flip(folder / "shard-00000.tar", rows[1]["offset"] - 512 + 130)  # in the size
    with pytest.raises(InserterError, match=r"shard-00000.tar is damaged or truncated \(bad checksum\)"):
        list(stream_shard(folder / "shard-00000.tar"))


def test_a_damaged_shard_is_named(copied):
    folder, rows = copied
    flip(folder / "shard-00000.tar", rows[2]["offset"] + rows[2]["size"] // 2)
    with pytest.raises(InserterError, match=r"shard-00000.tar is damaged: its SHA-256 is not .* run `dvc repro`"):
        check_shards(folder)
    (folder / "shard-00000.tar").unlink()
    with pytest.raises(InserterError, match=r"shard-00000.tar is missing"):
        check_shards(folder)
    with pytest.raises(InserterError, match=r"shard-00000.tar is missing"):
        list(stream_shard(folder / "shard-00000.tar"))


def test_without_originals_the_rows_say_so(tmp_path):
    jobs = [Job("a", "d", "train", "Good.", "Good.", "heart", NOISE), Job("b", "d", "train", "Good.", "Good.", "heart")]
    noisy, clean = speak_all(jobs, [HEART], tmp_path / "out", rows=tmp_path / "rows", workers=1)
    assert noisy["original_shard"] is None and clean["original_shard"] == clean["shard"]
    assert [name for name, _ in stream_shard(tmp_path / "out" / "shard-00000.tar")] == ["a", "b"]
    assert not (tmp_path / "out" / "original-00000.tar").exists()
    with pytest.raises(InserterError, match=r"the original of a was not kept"):
        read_original(tmp_path / "out", noisy)


def test_the_same_clips_give_the_same_bytes_and_flac_keeps_16_bits(tmp_path):
    wave = np.random.default_rng(1).uniform(-1, 1, 4000).astype(np.float32)
    assert np.array_equal(decode(flac(wave)), quantise(wave))
    assert flac(quantise(wave)) == flac(wave)
    for name in ("a", "b"):
        assert write_shard(tmp_path / name, [("x", flac(wave))]) == {"x": (512, len(flac(wave)))}
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
