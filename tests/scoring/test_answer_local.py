"""`inserter answer --hf`: models that transformers loads hear or read the items in batches, ours or another's."""

import json
import shutil
from pathlib import Path

import pytest
import tiny_audio_lm
import transformers.models.auto.configuration_auto as registry
from click.testing import CliRunner, Result
from lively import lively
from own_answers import own_answers
from stranger import benchmark, rows_of
from transformers import dynamic_module_utils

from inserter import registration
from inserter.answering.items import load
from inserter.answering.local import LocalModel, LocalSettings
from inserter.cli import new_app
from inserter.release.card import Facts
from inserter.release.folder import export
from inserter.scoring import closed


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return benchmark(tmp_path_factory.mktemp("items"), growing=0.05)


@pytest.fixture(scope="module")
def another(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_audio_lm.save(tiny_lm, tmp_path_factory.mktemp("another"))


@pytest.fixture(scope="module")
def ours(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that `inserter export` wrote, and beside it the model inside."""
    folder = tmp_path_factory.mktemp("ours")
    export(lively(tiny_model, folder / "inside"), folder / "exported", Facts(name="ours"), max_new_tokens=4)
    return folder / "exported"


@pytest.fixture
def stranger_to_us(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """transformers does not know our classes, as where a wheel of `inserter` is installed."""
    monkeypatch.setattr(registration, "_register", lambda function: None)
    monkeypatch.delitem(registry.CONFIG_MAPPING._extra_content, "inserter", raising=False)
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))


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
    assert all("<|" not in row["response"] and "Compose" not in row["response"] for row in rows), "the answer alone"


def test_a_batch_gives_the_answers_of_its_items_alone(another: Path, items: Path) -> None:
    model = LocalModel(LocalSettings(str(another), max_tokens=6))
    some = [item for item in load(items) if item["shard"]][:3]
    for form in ("heard", "read"):
        chats = [model.chat(items, item, form) for item in some]
        assert model.answers(chats) == [text for chat in chats for text in model.answers([chat])]


@pytest.mark.parametrize("form", ["heard", "read"])
def test_our_export_answers_as_the_model_inside(ours: Path, items: Path, tmp_path: Path, form: str) -> None:
    answer(ours, items, tmp_path / "a.jsonl", "--form", form, "--limit", "8")
    found = {row["item_id"]: row["response"] for row in rows_of(tmp_path / "a.jsonl")}
    assert found == own_answers(ours.parent / "inside", items, found, form=form, tokens=6, precision="fp32")
    assert len(set(found.values())) > 3


@pytest.mark.usefixtures("stranger_to_us")
def test_our_export_answers_by_its_own_code_where_the_user_trusts_it(ours: Path, items: Path, tmp_path: Path) -> None:
    result = answer(ours, items, tmp_path / "a.jsonl", "--limit", "4")
    assert result.exit_code == 1 and "Give --trust-remote-code" in str(result.exception) and not (tmp_path / "a.jsonl").exists()
    answer(ours, items, tmp_path / "a.jsonl", "--limit", "4", "--trust-remote-code")
    found = {row["item_id"]: row["response"] for row in rows_of(tmp_path / "a.jsonl")}
    assert len(found) == 4 and list((tmp_path / "modules").rglob("modeling.py"))
    assert found == own_answers(ours.parent / "inside", items, found, form="heard", tokens=6, precision="fp32")


def test_a_text_model_reads(tiny_lm: Path, items: Path, tmp_path: Path) -> None:
    found = json.loads(answer(tiny_lm, items, tmp_path / "a.jsonl", "--form", "read", "--limit", "8").stdout.splitlines()[0])
    assert found["answered"] == 8
    assert len({row["response"] for row in rows_of(tmp_path / "a.jsonl")}) > 1


def test_an_item_that_a_model_cannot_take_fails_alone(another: Path, items: Path, tmp_path: Path) -> None:
    shutil.copytree(another, tmp_path / "picky")
    refusal = "{% if 'harbor' in messages[0]['content'][0]['text'] %}{{ raise_exception('no harbors') }}{% endif %}"
    template = tmp_path / "picky/chat_template.jinja"
    template.write_text(refusal + template.read_text())
    found = json.loads(answer(tmp_path / "picky", items, tmp_path / "a.jsonl", "--form", "read", "--limit", "12").stdout)
    failed = [row for row in rows_of(tmp_path / "a.jsonl") if "error" in row]
    assert 0 < len(failed) == sum(found["failed"].values()) == 12 - found["answered"]
    assert all("no harbors" in row["error"] and "harbor" in row["prompt"] for row in failed)


def test_a_model_of_text_alone_is_not_asked_to_hear(tiny_lm: Path, items: Path, tmp_path: Path) -> None:
    result = answer(tiny_lm, items, tmp_path / "a.jsonl", "--limit", "4")
    assert result.exit_code == 1 and "cannot hear. Give --form read" in str(result.exception)
    assert not (tmp_path / "a.jsonl").exists()


@pytest.mark.parametrize(
    ("file", "content"), [("config.json", b"{}"), ("model.safetensors", b"cut"), ("config.json", None), ("tokenizer.json", b"{")]
)
def test_what_cannot_be_loaded_is_one_line(ours: Path, items: Path, tmp_path: Path, file: str, content: bytes | None) -> None:
    shutil.copytree(ours, tmp_path / "model")
    config = (ours / "config.json").read_bytes().replace(b'"hidden_size": 32', b'"hidden_size": 64')
    (tmp_path / "model" / file).write_bytes(config if content is None else content)
    result = answer(tmp_path / "model", items, tmp_path / "a.jsonl")
    assert result.exit_code == 1 and "transformers cannot load" in str(result.exception) and "\n" not in str(result.exception)
    assert not (tmp_path / "a.jsonl").exists()
