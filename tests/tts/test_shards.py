"""Tar shards: random access, a stream, originals beside clips with an effect, and damage that is named."""

import os

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
    read_note,
    read_original,
    stream_shard,
    write_shard,
)
from inserter.audio.effects import Effect, apply
from inserter.errors import InserterError
from inserter.files import read_table
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
            assert row["original_offset"] > row["offset"]
            noisy = apply(original, NOISE, np_rng(3, "noise", row["utt_id"]))
            assert np.abs(heard - noisy).max() < 1e-4
        else:
            assert row["effect"] == Effect().to_json()
            assert (row["original_offset"], row["original_size"]) == (row["offset"], row["size"])
    assert {(row["license"], row["language"]) for row in rows} == {("Apache-2.0", "en")}
    assert len({row["content"] for row in rows}) == 4


def test_a_shard_is_streamed_in_order_and_says_what_it_was_made_from(spoken):
    folder, rows = spoken
    members = dict(stream_shard(folder / "shard-00000.tar"))
    assert list(members) == ["u0", "u1", "u1.original", "u2", "u3", "u3.original"]
    for row in rows[:4]:
        assert members[row["utt_id"]] == read_clip_bytes(folder, row)
    assert read_note(folder / "shard-00001.tar") == {"clips": 4, "fingerprint": "f00d", "index": 1, "members": 6}
    table = read_table(folder / "shards.parquet", SHARDS)
    assert [(row["shard"], row["clips"], row["fingerprint"]) for row in table] == [
        ("shard-00000.tar", 4, "f00d"),
        ("shard-00001.tar", 4, "f00d"),
    ]
    assert check_shards(folder) == 2


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
    with pytest.raises(InserterError, match=r"shard-00001.tar is truncated: 3 of 6 clips. Delete that shard and run `dvc repro`"):
        list(stream_shard(path))
    with pytest.raises(InserterError, match=r"shard-00001.tar is truncated"):
        check_shards(folder)
    with pytest.raises(InserterError, match=r"shard-00001.tar is truncated"):
        read_clip(folder, rows[7])
    os.truncate(path, rows[5]["offset"] + 100)
    with pytest.raises(InserterError, match=r"shard-00001.tar is damaged"):
        list(stream_shard(path))


def test_a_damaged_shard_is_named(copied):
    folder, rows = copied
    with (folder / "shard-00000.tar").open("r+b") as file:
        file.seek(rows[2]["offset"] + rows[2]["size"] // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))
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
    assert noisy["original_size"] == 0 and clean["original_size"] == clean["size"]
    assert [name for name, _ in stream_shard(tmp_path / "out" / "shard-00000.tar")] == ["a", "b"]
    with pytest.raises(InserterError, match=r"the original of a was not kept"):
        read_original(tmp_path / "out", noisy)


def test_the_same_clips_give_the_same_bytes_and_flac_keeps_16_bits(tmp_path):
    wave = np.random.default_rng(1).uniform(-1, 1, 4000).astype(np.float32)
    assert np.array_equal(decode(flac(wave)), quantise(wave))
    assert flac(quantise(wave)) == flac(wave)
    for name in ("a", "b"):
        assert write_shard(tmp_path / name, [("x", flac(wave))], {"k": 1}) == {"x": (1536, len(flac(wave)))}
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
