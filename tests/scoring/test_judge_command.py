"""`inserter judge`: where the judge comes from, where its key goes (nowhere), and what an ended run leaves."""

import json
import re
import signal
from dataclasses import asdict
from pathlib import Path

import pytest
from checkout import ROOT
from judge_runs import run, start
from judge_server import (
    COMPLETION_TOKENS,
    KEY,
    OPEN,
    PROMPT_TOKENS,
    JudgeServer,
    bare_workspace,
    every,
    hang,
    record,
    refuse,
    say,
)

from inserter.chat import Secret
from inserter.cli.judge import judge_app
from inserter.errors import InserterError
from inserter.files import read_jsonl, write_jsonl
from inserter.scoring.judge import JudgeSettings


@pytest.fixture(autouse=True)
def _workspace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare_workspace(monkeypatch, tmp_path)


def test_no_endpoint_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert JudgeSettings.from_environment() is None and JudgeSettings.from_environment(model="m") is None
    monkeypatch.setenv("INSERTER_JUDGE_BASE_URL", "http://localhost:8000/v1/")
    assert JudgeSettings.from_environment() is None
    monkeypatch.setenv("INSERTER_JUDGE_MODEL", "m")
    found = JudgeSettings.from_environment(n=2)
    assert found and found.url == "http://localhost:8000/v1/chat/completions"
    assert (found.model, found.key, found.n) == ("m", "", 2)


def test_openais_key_goes_to_openais_address_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "https://proxy.example/v1")
    for base, key in ((None, KEY), ("https://api.openai.com/v1", KEY), ("http://elsewhere.example/v1", "")):
        found = JudgeSettings.from_environment("m", base)
        assert found and found.key == key
    monkeypatch.setenv("INSERTER_JUDGE_API_KEY", " own\n")
    found = JudgeSettings.from_environment("m", "http://elsewhere.example/v1")
    assert found and found.key == "own"


def test_an_address_keeps_its_query_and_shows_none_of_it() -> None:
    found = JudgeSettings("https://Azure.example/openai/v1/?api-version=7", "m")
    assert found.url == "https://Azure.example/openai/v1/chat/completions?api-version=7"
    assert found.endpoint == "https://azure.example/openai/v1"
    assert JudgeSettings("http://h/v1/chat/completions", "m").url == "http://h/v1/chat/completions"
    for wrong in ("localhost:8000", "ftp://h/v1", "http://", "http://h:port/v1", f"https://user:{KEY}@h/v1"):
        with pytest.raises(InserterError, match="base URL") as error:
            JudgeSettings(wrong, "m")
        assert KEY not in str(error.value)


def test_a_key_that_no_header_can_carry_is_refused_without_being_shown() -> None:
    with pytest.raises(InserterError, match="INSERTER_JUDGE_API_KEY has a character") as error:
        JudgeSettings("http://h/v1", "m", Secret(f"{KEY}…"))
    assert KEY not in str(error.value)


def test_the_settings_do_not_show_the_key() -> None:
    found = JudgeSettings("http://h/v1", "m", Secret(KEY))
    assert KEY not in repr(found) and KEY not in str(asdict(found))
    assert KEY not in json.dumps(asdict(found), default=str)


def test_without_an_endpoint_the_command_says_what_to_set() -> None:
    write_jsonl("answers.jsonl", [record()])
    code, out, err = run("open", "answers.jsonl", "--out", "judged.jsonl")
    assert code == 1 and out == "" and len(err.splitlines()) == 1
    assert "INSERTER_JUDGE_BASE_URL" in err and "INSERTER_JUDGE_MODEL" in err
    assert [path.name for path in Path().iterdir()] == ["answers.jsonl"]


def test_the_command_judges_a_file_and_counts_what_it_took() -> None:
    lines = [json.dumps(record(0)), "{broken", "", json.dumps(record(1))]
    Path("answers.jsonl").write_text("\n".join(lines), encoding="utf-8")
    prices = ("--price-in", "2", "--price-out", "10")
    with JudgeServer(refuse(500)) as server:
        code, out, _ = run("open", "answers.jsonl", "--out", "new/judged.jsonl", *prices, "--json", server=server)
    found = json.loads(out)
    assert code == 0 and found["reasons"] == {"not a JSON object": 1}
    assert found["cost"] == pytest.approx(2 * (PROMPT_TOKENS * 2 + 4 * COMPLETION_TOKENS * 10) / 1e6)
    assert {name: found[name] for name in ("records", "judged", "failed", "calls", "retries", "cached")} == {
        "records": 3,
        "judged": 2,
        "failed": 1,
        "calls": 2,
        "retries": 1,
        "cached": 0,
    }
    first, broken, last = read_jsonl("new/judged.jsonl")
    assert first == {**record(0), "pred_score": [OPEN] * 4} and last["id"] == "r1"
    assert broken == {"id": 2, "pred_score": [], "judge_error": "not a JSON object"}


def test_when_nothing_could_be_judged_the_command_fails() -> None:
    write_jsonl("answers.jsonl", [record()])
    with JudgeServer(usual=refuse(403, {"message": "not in your country"})) as server:
        code, out, err = run("adjustment", "answers.jsonl", "--out", "judged.jsonl", server=server)
    assert code == 1 and "not in your country" in err and "judged 0 of 1" in out and "cost" not in out
    assert next(read_jsonl("judged.jsonl"))["pred_score"] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("none.jsonl", "--out", "o.jsonl"), "none.jsonl cannot be read"),
        (("empty.jsonl", "--out", "o.jsonl"), "empty.jsonl has no records"),
        (("answers.jsonl", "--out", "answers.jsonl"), "is also the input file"),
        (("answers.jsonl", "--out", "answers.jsonl/o.jsonl"), "cannot write"),
        (("answers.jsonl", "--out", "o.jsonl", "--price-in", "1"), "the cost needs both prices"),
    ],
)
def test_a_wrong_file_is_reported_before_any_request(arguments: tuple[str, ...], words: str) -> None:
    write_jsonl("answers.jsonl", [record()])
    Path("empty.jsonl").write_text("\n\n")
    with JudgeServer() as server:
        code, _, err = run("open", *arguments, server=server)
    assert code == 1 and words in err and len(err.splitlines()) == 1
    assert not server.requests and not Path("o.jsonl").exists()


def test_the_guides_python_example_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/JUDGE.md").read_text(encoding="utf-8"), re.DOTALL)
    with JudgeServer() as server:
        monkeypatch.setenv("INSERTER_JUDGE_BASE_URL", server.url)
        monkeypatch.setenv("INSERTER_JUDGE_MODEL", "judge-1")
        exec(example, {"records": [record()]})
    assert "'judged': 1" in capsys.readouterr().out and server.requests[0].authorization is None


def test_the_guide_names_every_option() -> None:
    guide = (ROOT / "docs/JUDGE.md").read_text(encoding="utf-8")
    for command in judge_app.commands.values():
        options = {name for parameter in command.params for name in parameter.opts if name.startswith("--")}
        assert len(options) > 8 and {name for name in options if name not in guide} == set()


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT])
def test_no_paid_call_is_lost_when_the_run_is_ended_midway(kind: signal.Signals) -> None:
    """Two workers: when requests 8 and 9 are there, the replies to the first seven are on disk."""
    write_jsonl("answers.jsonl", [record(n) for n in range(20)])
    arguments = ("open", "answers.jsonl", "--out", "judged.jsonl", "--concurrency", "2")
    with JudgeServer(*[every(OPEN)] * 7, usual=hang) as server:
        process = start(*arguments, server=server)
        server.wait_for(9)
        process.send_signal(kind)
        _, err = process.communicate(timeout=60)
        assert not Path("judged.jsonl").exists()
        if kind == signal.SIGINT:
            assert process.returncode == 130 and "run the same command again" in err and "Traceback" not in err
        paid = {request.text for request in server.requests[:7]}
        server.usual = every(OPEN)
        code, out, _ = run(*arguments, "--json", server=server)
    assert code == 0 and json.loads(out)["calls"] == 13 and json.loads(out)["cached"] == 28
    asked = [request.text for request in server.requests[9:]]
    assert len(asked) == len(set(asked)) == 13 and not paid & set(asked)
    assert [row["pred_score"] for row in read_jsonl("judged.jsonl")] == [[OPEN] * 4] * 20


def test_the_key_is_in_no_output_and_no_file() -> None:
    """Also where the server repeats it: in an error, in a reply, and in the refusal that ends a run."""
    write_jsonl("answers.jsonl", [record(n) for n in range(3)])
    echo = f"Your key is {KEY}"
    acts = (refuse(400, {"message": echo}), say(echo, echo, echo, echo), refuse(500, {"message": echo}))
    with JudgeServer(*acts) as server:
        one_by_one = ("--concurrency", "1", "--reask", "0")
        first = run("open", "answers.jsonl", "--out", "judged.jsonl", *one_by_one, server=server)
        server.usual = refuse(401, {"message": echo})
        refused = run("open", "answers.jsonl", "--out", "again.jsonl", server=server)
    assert first[0] == 0 and refused[0] == 1 and "does not take the key (401)" in refused[2]
    assert server.requests[0].authorization == f"Bearer {KEY}"
    assert KEY not in "".join(map(str, first + refused))
    files = [path for path in Path().rglob("*") if path.is_file()]
    assert Path(".work/judge/replies.sqlite") in files and "[key]" in Path("judged.jsonl").read_text()
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
