"""`inserter answer`: every item of a set is answered once by any model, failed with a reason, or counted as not asked."""

import json
from pathlib import Path

import pytest
from checkout import ROOT
from click.testing import CliRunner, Result
from judge_server import JudgeServer, bare_workspace, refuse
from stranger import SAID, benchmark, heard, rows_of, speak, stranger

from inserter.answering.items import choose, load
from inserter.cli import new_app
from inserter.files import read_jsonl
from inserter.scoring import closed

KEY = "sk-stranger-0123456789"


@pytest.fixture
def items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    bare_workspace(monkeypatch, tmp_path)
    return benchmark(tmp_path)


def answer(server: JudgeServer, items: Path, *more: str, task: str = "closed", **environment: str) -> Result:
    where = ["--endpoint", server.url, "--model", "stranger", "--items", str(items)]
    return CliRunner().invoke(new_app(), ["answer", task, *where, *more], env={**environment})


def counts(result: Result) -> dict:
    """The counts, which reconcile."""
    found = json.loads(result.stdout.splitlines()[0])
    assert found["items"] == found["answered"] + sum(found["failed"].values()) + sum(found["not_asked"].values())
    return found


def test_answers_are_what_the_scorer_reads(items: Path) -> None:
    with stranger() as server:
        result = answer(server, items, "--json")
    found = counts(result)
    assert found["answered"] == 30 and found["not_asked"] == {"the item has no sound": 1}
    assert {heard(request) for request in server.requests} == {1.2}
    rows = rows_of(Path("answers/stranger/closed.jsonl"))
    assert [row["item_id"] for row in rows] == [item["item_id"] for item in load(items) if item["task"] == "closed"][:30]
    assert {row["response"] for row in rows} == {SAID} and {row["form"] for row in rows} == {"heard"}
    assert closed.score_file("answers/stranger/closed.jsonl")["n_prompts"] == 30


def test_reading_sends_the_words_to_the_items_without_sound_too(items: Path) -> None:
    with stranger() as server:
        found = counts(answer(server, items, "--json", "--form", "read", "--out", "read.jsonl"))
    assert found["answered"] == 31 and not found["not_asked"] and {heard(request) for request in server.requests} == {None}
    assert {row["prompt"] for row in rows_of(Path("read.jsonl"))} == {request.text for request in server.requests}


def test_a_second_call_asks_only_for_what_is_missing(items: Path) -> None:
    with stranger() as server:
        assert counts(answer(server, items, "--json", "--limit", "5"))["items"] == 5
        first = {row["item_id"] for row in rows_of(Path("answers/stranger/closed.jsonl"))}
        found = counts(answer(server, items, "--json"))
        assert (found["earlier"], found["answered"]) == (len(first), 30) and len(server.requests) == 30
        before = Path("answers/stranger/closed.jsonl").read_bytes()
        assert counts(answer(server, items, "--json"))["earlier"] == 30 and len(server.requests) == 30
        assert Path("answers/stranger/closed.jsonl").read_bytes() == before


def test_a_line_that_a_killed_process_left_is_asked_again(items: Path) -> None:
    path = Path("answers/stranger/closed.jsonl")
    with stranger() as server:
        answer(server, items)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        found = counts(answer(server, items, "--json"))
    assert 0 < found["earlier"] < 30 == found["answered"] and path.read_bytes() == whole


def test_an_item_fails_alone_and_the_next_call_asks_it_again(items: Path) -> None:
    path = Path("answers/stranger/closed.jsonl")
    with stranger(
        speak(), refuse(400, {"message": "this sound is too odd"}), refuse(503), refuse(429, "slow", RETRY_AFTER="0.1")
    ) as server:
        result = answer(server, items, "--json", "--concurrency", "1")
        found = counts(result)
        assert found["failed"] == {"400: the server refused the request (this sound is too odd)": 1} and found["answered"] == 29
        assert [row["error"] for row in rows_of(path) if "error" in row] == list(found["failed"])
        assert closed.score_file(path)["dropped"] == {"no response": 1}
        again = counts(answer(server, items, "--json"))
    assert (again["earlier"], again["answered"]) == (29, 30) and not again["failed"] and len(rows_of(path)) == 30


def test_a_model_that_fails_again_and_again_is_asked_no_more(items: Path) -> None:
    with JudgeServer(usual=refuse(422, "no")) as server:
        result = answer(server, items, "--json", "--concurrency", "1")
    found = counts(result)
    assert result.exit_code == 1 and sum(found["failed"].values()) == 10 == len(server.requests)
    assert found["not_asked"] == {"the item has no sound": 1, "the model failed on 10 items in a row": 20}
    assert "stopped early: the model failed on 10 items in a row" in str(result.exception)


def test_at_most_so_many_requests_are_open(items: Path) -> None:
    with stranger() as server:
        answer(server, items, "--concurrency", "3")
    assert server.max_in_flight <= 3


def test_the_key_comes_from_the_environment_and_is_nowhere_else(items: Path) -> None:
    with stranger(refuse(400, {"message": f"the key {KEY} cannot hear"})) as server:
        result = answer(server, items, INSERTER_ANSWER_API_KEY=KEY, OPENAI_API_KEY="another's")
    assert {request.authorization for request in server.requests} == {f"Bearer {KEY}"}
    assert KEY not in result.output and KEY not in Path("answers/stranger/closed.jsonl").read_text()
    with stranger() as server:
        answer(server, items, "--out", "b.jsonl", OPENAI_API_KEY=KEY)
    assert {request.authorization for request in server.requests} == {None}, "it is only for OpenAI's own address"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--max-tokens", "7"), "another system"),
        (("--form", "read", "--out", "answers/stranger/closed.jsonl"), "another form"),
        (("--items", "nowhere"), "nowhere has no items.parquet"),
        (("--hf", "folder"), "name two models"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(items: Path, more: tuple[str, ...], words: str) -> None:
    with stranger() as server:
        answer(server, items, "--limit", "3")
        before = Path("answers/stranger/closed.jsonl").read_bytes()
        result = answer(server, items, *more)
    assert result.exit_code == 1 and words in str(result.exception) and "\n" not in str(result.exception)
    assert Path("answers/stranger/closed.jsonl").read_bytes() == before and len(server.requests) == 3


def test_an_absent_server_leaves_no_file(items: Path) -> None:
    with stranger() as server:
        pass
    result = answer(server, items)
    assert (
        result.exit_code == 1 and "no model answers at http" in str(result.exception) and not list(Path("answers").rglob("*.jsonl"))
    )


def test_all_tasks_have_a_file_each(items: Path) -> None:
    with stranger() as server:
        result = answer(server, items, "--out", "mine", task="all")
    assert result.exit_code == 0, result.output
    assert {path.name: len(list(read_jsonl(path))) for path in Path("mine").iterdir()} == {
        "closed.jsonl": 30,
        "open.jsonl": 1,
        "adjustment.jsonl": 1,
    }
    assert rows_of(Path("mine/open.jsonl"))[0]["questions"]


def test_a_limit_draws_the_same_items_and_more(items: Path) -> None:
    every = load(items)
    few, more = (choose(every, "closed", limit) for limit in (4, 9))
    assert len(few) == 4 and len(more) == 9 and all(item in more for item in few)


def test_the_readmes_three_commands_score_a_strangers_model(items: Path) -> None:
    block = (ROOT / "README.md").read_text().partition("## Measure your own model")[2].split("```")[1]
    made, *commands = [line for line in block.splitlines() if line.startswith("inserter")]
    assert made.partition("#")[0].rstrip() == "inserter run benchmark" and items == Path.cwd() / "data" / "benchmark"
    with stranger() as server:
        for command in commands:
            typed = command.replace("http://localhost:8000/v1", server.url).replace("NAME", "stranger").split()
            result = CliRunner().invoke(new_app(), typed[1:])
            assert result.exit_code == 0, result.output
    assert "en standard heard" in result.stdout and "above chance" in result.stdout
