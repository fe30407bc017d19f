"""`inserter answer --hf`: models that transformers loads hear or read the items in batches, ours or another's."""

import json
from pathlib import Path

import pytest
import tiny_audio_lm
from click.testing import CliRunner, Result
from stranger import benchmark, rows_of

from inserter.answering.items import load
from inserter.answering.local import LocalModel, LocalSettings
from inserter.cli import new_app
from inserter.scoring import closed


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return benchmark(tmp_path_factory.mktemp("items"))


@pytest.fixture(scope="module")
def another(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_audio_lm.save(tiny_lm, tmp_path_factory.mktemp("another"))


def answer(model: Path, items: Path, out: Path, *more: str) -> Result:
    given = ["closed", "--hf", str(model), "--items", str(items), "--out", str(out), "--max-tokens", "6", "--json"]
    return CliRunner().invoke(new_app(), ["answer", *given, *more])


def test_another_model_hears_and_the_rest_is_asked_later(another: Path, items: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    first = json.loads(answer(another, items, out, "--limit", "4").stdout.splitlines()[0])
    found = json.loads(answer(another, items, out, "--limit", "12").stdout.splitlines()[0])
    assert first["answered"] == 4 - sum(first["not_asked"].values()) and found["earlier"] == first["answered"]
    assert found["answered"] == 12 - sum(found["not_asked"].values()) and not found["failed"], found
    rows = rows_of(out)
    assert closed.score_file(out)["n_prompts"] == len(rows) > 8
    assert len({row["response"] for row in rows if row["variant"] == "standard"}) == 1, "these items sound the same"
    assert all("<|" not in row["response"] and "Compose" not in row["response"] for row in rows), "the answer alone"


def test_a_batch_gives_the_answers_of_its_items_alone(another: Path, items: Path) -> None:
    model = LocalModel(LocalSettings(str(another), max_tokens=6))
    some = [item for item in load(items) if item["shard"]][:3]
    for form in ("heard", "read"):
        chats = [model.chat(items, item, form) for item in some]
        assert model.answers(chats) == [text for chat in chats for text in model.answers([chat])]


def test_a_text_model_reads(tiny_lm: Path, items: Path, tmp_path: Path) -> None:
    found = json.loads(answer(tiny_lm, items, tmp_path / "a.jsonl", "--form", "read", "--limit", "8").stdout.splitlines()[0])
    assert found["answered"] == 8
    assert len({row["response"] for row in rows_of(tmp_path / "a.jsonl")}) > 1


def test_an_item_that_a_model_cannot_take_fails_alone(tiny_lm: Path, items: Path, tmp_path: Path) -> None:
    result = answer(tiny_lm, items, tmp_path / "a.jsonl", "--limit", "4")
    assert result.exit_code == 1 and "none of the 4 items was answered" in str(result.exception)
    assert all(row["error"] for row in rows_of(tmp_path / "a.jsonl"))


def test_what_cannot_be_loaded_is_one_line(items: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    result = answer(tmp_path / "model", items, tmp_path / "a.jsonl")
    assert result.exit_code == 1 and "transformers cannot load" in str(result.exception) and "\n" not in str(result.exception)
    assert not (tmp_path / "a.jsonl").exists()
