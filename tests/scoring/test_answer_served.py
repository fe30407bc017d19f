"""`inserter answer` asks `inserter serve`: the answers are the model's own, and the other commands read them."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from lively import lively
from own_answers import own_answers
from serving import running
from stranger import benchmark, rows_of

from flows.cli import app
from inserter.params import load
from inserter.tables import TASKS

TOKENS = 8
LIMIT = 8  # of the 30 closed items; the others are one item each


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return benchmark(tmp_path_factory.mktemp("items"), growing=0.05)


@pytest.fixture(scope="module")
def model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lively(tiny_model, tmp_path_factory.mktemp("lively"))


@pytest.fixture(scope="module")
def answers(model: Path, items: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of answers to all tasks, by form."""
    folders = {form: tmp_path_factory.mktemp(form) for form in ("heard", "read")}
    with running(model) as (client, service, _):
        where = ["--endpoint", f"{client.base_url}/v1", "--model", service.served.name, "--items", str(items)]
        for form, folder in folders.items():
            how = ["--form", form, "--out", str(folder), "--max-tokens", str(TOKENS), "--limit", str(LIMIT), "--json"]
            result = call("answer", "all", *where, *how)
            counts = [json.loads(line) for line in result.stdout.splitlines()]
            assert [one["task"] for one in counts] == [*TASKS] and not any(one["failed"] for one in counts), result.output
    return folders


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments])


@pytest.mark.parametrize("form", ["heard", "read"])
def test_the_answers_are_the_models_own(model: Path, items: Path, answers: dict[str, Path], form: str) -> None:
    found = {row["item_id"]: row["response"] for task in TASKS for row in rows_of(answers[form] / f"{task}.jsonl")}
    own = own_answers(model, items, found, form=form, tokens=TOKENS, precision=load().evaluate.precision)
    assert found == own and len(set(found.values())) > 3


def test_the_other_commands_read_them(items: Path, answers: dict[str, Path], tmp_path: Path) -> None:
    heard, read = (answers[form] / "closed.jsonl" for form in ("heard", "read"))
    scored = call("score", "closed", str(heard), "--json", "--intervals")
    assert json.loads(scored.stdout)["n_prompts"] == len(rows_of(heard)) == LIMIT
    (line,) = json.loads(call("compare", str(heard), str(read), "--json").stdout)["rows"]
    assert line["n"] == len({row["key"] for row in rows_of(heard)}), line
    page = call("page", str(answers["heard"]), str(answers["read"]), "--items", str(items), "--out", str(tmp_path / "page.html"))
    assert "2 systems, 10 items, 20 answers, 10 with sound" in page.stdout, page.output
