"""The package `datasets` reads the shards, as docs/SCALE.md says."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from spoken_shards import documented, publish

from inserter.audio.clips import read_clip
from inserter.tables import Described, Utterance


@pytest.fixture
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Utterance]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return publish(tmp_path)


def test_datasets_has_the_clean_clips_with_their_sound_text_and_description(clean):
    found = {sample["__key__"]: sample for sample in documented("load_dataset")["clips"]}
    assert found.keys() == clean.keys() == {"u-0", "u-1", "u-3", "u-5", "u-6", "u-8", "u-9"}
    for name, row in clean.items():
        sample = found[name]
        assert sample.keys() == {"__key__", "__url__", "flac", "json", "txt"}
        assert sample["txt"] == row["written"] == sample["json"]["written"]
        assert sample["json"] == {key: row[key] for key in sample["json"]}
        wave, rate = soundfile.read(io.BytesIO(sample["flac"]), dtype="float32")
        assert rate == 16_000 and np.array_equal(wave, read_clip("data/synthesize", row))


def test_every_sample_has_the_files_of_the_first(clean):
    """`datasets` refuses the shards if they differ; the types of the JSON fields are found by the first samples."""
    from datasets import Audio, load_dataset

    clips = load_dataset("webdataset", data_files="data/synthesize/shard-*.tar", split="train", streaming=True)
    assert set(clips.features) == {"__key__", "__url__", "flac", "json", "txt"}
    assert clips.features["flac"] == Audio() and clips.features["json"].keys() == Described.__annotations__.keys()
    originals = load_dataset("webdataset", data_files="data/synthesize/original-*.tar", split="train", streaming=True)
    assert set(originals.features) == {"__key__", "__url__", "flac"}
