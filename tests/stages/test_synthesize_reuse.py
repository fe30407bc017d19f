"""What was spoken before is not spoken again, and the bytes are those of a run that began with nothing."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from speech_workspace import VOICES, contents, parameters, spans, workspace

from inserter.files import read_table
from inserter.tables import UTTERANCES
from stages.synthesize.stage import main

Speak = Callable[..., dict[str, Any]]
WORDS = ["good", "plain", "sober", "honest", "quiet", "early", "modern", "humble", "steady", "public"]


def corpus(count: int, first: int = 0) -> list[dict]:
    """`count` spans whose text tells them apart, from number `first` on."""
    rows = []
    for number, row in enumerate(spans(first + count)):
        text = f"It was a {WORDS[number % 10]} and {WORDS[number // 10]} day."
        rows.append(row | {"written": text, "spoken": text, "end": len(text)})
    return rows[first:]


@pytest.fixture
def speak(monkeypatch: pytest.MonkeyPatch) -> Speak:
    """Run the stage in a folder; what DVC does before it (delete the outputs) included."""

    def run(folder: Path, rows: list[dict], **synthesize: Any) -> dict[str, Any]:
        workspace(folder, rows, **synthesize)
        monkeypatch.chdir(folder)
        shutil.rmtree("data/synthesize", ignore_errors=True)
        return main(parameters(folder))["system"]

    return run


def table(folder: Path) -> dict[str, dict]:
    return {row["utt_id"]: row for row in read_table(folder / "data/synthesize/utterances.parquet", UTTERANCES)}


def test_another_weight_speaks_only_what_changed_its_voice(tmp_path, speak):
    assert speak(tmp_path / "a", corpus(30))["originals_made"] == 40
    before = table(tmp_path / "a")
    louder = [voice | {"weight": 4.0} if voice["name"] == "fast" else voice for voice in VOICES]
    system = speak(tmp_path / "a", corpus(30), voices=louder)
    after = table(tmp_path / "a")
    moved = {utt_id for utt_id in before if before[utt_id]["voice"] != after[utt_id]["voice"]}
    assert 0 < len(moved) < 20
    assert (system["originals_made"], system["originals_reused"]) == (len(moved), 40 - len(moved))
    speak(tmp_path / "b", corpus(30), voices=louder)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert len(list((tmp_path / "a/.work/synthesize").iterdir())) == 1, "only the newest is kept"


def test_another_name_licence_or_augmentation_speaks_nothing(tmp_path, speak):
    speak(tmp_path / "a", corpus(12))
    licensed = [voice | {"license": "MIT", "optional": True} for voice in VOICES]
    augmentation = parameters(tmp_path / "a").synthesize.augmentation.model_dump() | {"noise_share": 1.0, "gain_db": (-9.0, -3.0)}
    changed = {"voices": licensed, "augmentation": augmentation, "shard_clips": 4}
    system = speak(tmp_path / "a", corpus(12), **changed)
    assert (system["originals_made"], system["originals_reused"]) == (0, 16)
    speak(tmp_path / "b", corpus(12), **changed)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_second_corpus_speaks_only_the_spans_that_it_does_not_share(tmp_path, speak):
    speak(tmp_path / "a", corpus(18))
    second = [row | {"doc_id": f"new-{row['doc_id']}"} for row in corpus(24, first=12)]
    shared = sum(row["utt_id"] in {r["utt_id"] for r in corpus(18)} for row in second)
    twins = sum(row["level"] == "context" for row in second[:shared])
    system = speak(tmp_path / "a", second)
    assert shared == 6
    assert system["originals_reused"] == shared + twins
    speak(tmp_path / "b", second)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_unfinished_work_is_used_and_damaged_speech_is_spoken_again(tmp_path, speak):
    speak(tmp_path / "a", corpus(18))
    (work,) = (tmp_path / "a/.work/synthesize").iterdir()
    rows = read_table(work / "rows/shard-00001.parquet", UTTERANCES)
    for copy in (work / "out/original-00001.tar", tmp_path / "a/data/synthesize/original-00001.tar"):
        data = bytearray(copy.read_bytes())
        data[rows[0]["original_offset"] + rows[0]["original_size"] // 2] ^= 1
        copy.unlink()
        copy.write_bytes(data)
    (work / "out/shard-00002.json").unlink()  # as if it had been killed before the shard was whole
    system = speak(tmp_path / "a", corpus(18), seed=parameters(tmp_path / "a").synthesize.seed, shard_clips=5)
    assert (system["originals_made"], system["originals_reused"]) == (12, 12)
    speak(tmp_path / "b", corpus(18), shard_clips=5)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_run_again_there_is_nothing_to_do(tmp_path, speak):
    speak(tmp_path / "a", corpus(12))
    before = contents(tmp_path / "a")
    system = speak(tmp_path / "a", corpus(12))
    assert (system["originals_made"], system["originals_reused"]) == (0, 0)
    assert contents(tmp_path / "a") == before
