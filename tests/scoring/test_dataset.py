"""`inserter dataset`: `datasets` loads the folder with every field and the sound, and its rows with answers are scored."""

import io
from pathlib import Path

import pytest
import real_copy
import soundfile
from checkout import ROOT
from click.testing import CliRunner, Result
from datasets import Audio, Dataset, load_dataset
from stranger import SAID, benchmark

from flows.cli import app
from inserter.answering.items import load, wav
from inserter.scoring import closed


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return benchmark(tmp_path_factory.mktemp("items"), copies=3)


def write(out: Path, items: Path) -> Result:
    return CliRunner().invoke(app, ["dataset", str(out), "--items", str(items)])


@pytest.fixture(autouse=True)
def _in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module")
def loaded(items: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("dataset")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        result = write(root / "set", items)
    assert result.exit_code == 0, result.output
    found = load_dataset(str(root / "set"), split="test", cache_dir=str(root / "cache"))
    assert isinstance(found.features["audio"], Audio) and found.features["audio"].sampling_rate == 16_000
    return found.cast_column("audio", Audio(decode=False))  # decoding needs FFmpeg


def test_every_field_and_clip_is_there(items: Path, loaded: Dataset) -> None:
    wanted = load(items)
    assert len(loaded) == len(wanted)
    for row, item in zip(loaded, wanted, strict=True):
        assert {name: value for name, value in row.items() if name != "audio"} == {
            name: value for name, value in item.items() if name not in ("shard", "offset", "size")
        }
        assert (row["audio"] is None) == (item["shard"] is None)
    heard, rate = soundfile.read(io.BytesIO(loaded[0]["audio"]["bytes"]), dtype="int16")
    assert rate == 16_000 and (heard == soundfile.read(io.BytesIO(wav(items, wanted[0])), dtype="int16")[0]).all()


def test_rows_with_answers_are_scored(loaded: Dataset, tmp_path: Path) -> None:
    rows = loaded.remove_columns("audio").filter(lambda row: row["task"] == "closed").map(lambda _: {"response": SAID})
    rows.to_json(tmp_path / "answers.jsonl")
    found = closed.score_file(tmp_path / "answers.jsonl")
    assert found["n_prompts"] == len(rows) and not found["n_dropped"]


def test_the_card_states_counts_and_licences(items: Path, tmp_path: Path) -> None:
    write(tmp_path / "set", items)
    card = (tmp_path / "set" / "README.md").read_text()
    assert "| heart | 96 | Apache-2.0 |" in card and "97 items, 96 of them spoken" in card
    assert "| closed | cn | standard | 1 |" in card and "license: apache-2.0" in card


def test_a_copy_of_the_benchmark_keeps_its_own_licence(tmp_path: Path) -> None:
    """The items say whose they are, whatever params.yaml says now."""
    real_copy.write(tmp_path / "SpeechInstructBench", "open", [real_copy.opened(1)])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        real_copy.build(tmp_path / "SpeechInstructBench")
    raw = write(tmp_path / "set", tmp_path / "SpeechInstructBench")
    assert raw.exit_code == 1 and "first set benchmark.path in params.yaml to it" in str(raw.exception)
    assert write(tmp_path / "set", tmp_path / "data/benchmark").exit_code == 0
    card = (tmp_path / "set" / "README.md").read_text()
    assert "license: other" in card and "Apache" not in card and "| SpeechInstructBench | 1 | not stated |" in card


def test_a_folder_with_other_files_is_left_alone_and_an_earlier_one_is_replaced(items: Path, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    assert write(tmp_path / "set", items).exit_code == write(tmp_path / "set", items).exit_code == 0
    (tmp_path / "set" / "thesis.txt").write_text("mine")
    result = write(tmp_path / "set", items)
    assert result.exit_code == 1 and "has other files" in str(result.exception)
    assert (tmp_path / "set" / "thesis.txt").read_text() == "mine"


def test_an_odd_place_and_damaged_items_are_one_line_and_a_link_stays_a_link(items: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk")
    (tmp_path / "file").touch()
    assert write(tmp_path / "link", items).exit_code == 0 and (tmp_path / "link").is_symlink()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/items.parquet").write_bytes(b"PAR1")
    for out, source, words in (
        ("x" * 300, items, "name too long. Give a new folder"),
        ("file/below", items, "Not a directory. Give a new folder"),
        ("set", tmp_path / "broken", "items.parquet is damaged"),
    ):
        result = write(tmp_path / out, source)
        assert result.exit_code == 1 and words in str(result.exception) and "\n" not in str(result.exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "disk", "file", "link"]
