"""WebDataset and Lhotse read the shards, as docs/SCALE.md says."""

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
from spoken_shards import QUARANTINED, documented, publish

from inserter.audio.clips import read_clip
from inserter.tables import Utterance


@pytest.fixture
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Utterance]:
    monkeypatch.chdir(tmp_path)
    return publish(tmp_path)


def test_webdataset_has_the_clean_clips(clean):
    found = {sample["__key__"]: sample for sample in documented("import webdataset")["clips"]}
    assert found.keys() == clean.keys()
    for name, row in clean.items():
        sample = found[name]
        assert {key for key in sample if not key.startswith("__")} == {"flac", "json", "txt"}
        assert sample["txt"] == row["written"] and sample["json"]["spoken"] == row["spoken"]
        wave, rate = soundfile.read(io.BytesIO(sample["flac"]), dtype="float32")
        assert rate == 16_000 and np.array_equal(wave, read_clip("data/synthesize", row))


def test_webdataset_has_all_clips_and_shuffles_them(clean):
    import webdataset

    shards = [str(path) for path in sorted(Path("data/synthesize").glob("shard-*.tar"))]
    names = [sample["__key__"] for sample in webdataset.WebDataset(shards, shardshuffle=2, seed=1).shuffle(4)]
    assert sorted(names) == sorted([*clean, QUARANTINED])


def test_lhotse_has_the_clean_clips(clean):
    from lhotse import validate

    cuts = documented("lhotse")["clips"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Lhotse warns where it would read more than it needs
        validate(cuts, read_data=True)
        found = {cut.id: cut for cut in cuts}
        assert found.keys() == clean.keys()
        for name, row in clean.items():
            (supervision,) = found[name].supervisions
            assert (supervision.text, supervision.speaker, supervision.language) == (row["written"], "heart", "en")
            assert (supervision.spoken, supervision.license, supervision.effect) == (row["spoken"], "Apache-2.0", row["effect"])
            assert np.array_equal(found[name].load_audio()[0], read_clip("data/synthesize", row))


def test_lhotse_copies_the_clean_clips_to_its_own_shards(clean):
    """For sequential reading without a process per clip."""
    from lhotse import CutSet

    Path("shar").mkdir()
    documented("to_shar")
    found = {cut.id: cut for cut in CutSet.from_shar(in_dir="shar")}
    assert found.keys() == clean.keys()
    for name, row in clean.items():
        assert np.array_equal(found[name].load_audio()[0], read_clip("data/synthesize", row))
        assert found[name].supervisions[0].text == row["written"]


def _decodes() -> bool:
    try:
        import torchcodec.decoders  # noqa: F401
    except (ImportError, RuntimeError):
        return False
    return True


@pytest.mark.skipif(not _decodes(), reason="torchcodec, which `datasets` decodes with, finds no FFmpeg")
def test_all_clips_and_their_originals_load_by_one_call(clean, tmp_path):
    """Without `streaming` and `features`, with the quarantined clip."""
    from datasets import load_dataset

    options = {"split": "train", "cache_dir": str(tmp_path / "cache")}
    clips = load_dataset("webdataset", data_files="data/synthesize/shard-*.tar", **options)
    assert sorted(clips["__key__"]) == sorted([*clean, QUARANTINED])
    for sample in clips:
        samples = sample["flac"].get_all_samples()
        assert samples.sample_rate == 16_000 and samples.data.shape == (1, sample["json"]["n_samples"])
    originals = load_dataset("webdataset", data_files="data/synthesize/original-*.tar", **options)
    assert list(originals["__key__"]) == ["u-1", "u-3", "u-5", "u-9"]
