"""Judges that think: thoughts are no verdict, what cannot be read is soon not paid for, refused parameters are changed."""

import json
from pathlib import Path
from typing import Any

import pytest
from judge_runs import run
from judge_server import KEY, OPEN, JudgeServer, Request, bare_workspace, every, record, refuse, settings

from inserter.chat.completions import body_of, completions
from inserter.errors import InserterError
from inserter.files import read_jsonl, write_jsonl
from inserter.scoring import open_ended
from inserter.scoring.judge import judge
from inserter.scoring.thoughts import said

NO = '["NO", "NO"]'


@pytest.fixture(autouse=True)
def _workspace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare_workspace(monkeypatch, tmp_path)


def answer(message: dict[str, Any], finish: str = "stop", **headers: str) -> Any:
    """n choices with this message."""

    def act(request: Request) -> None:
        choices = [{"index": n, "message": message, "finish_reason": finish} for n in range(request.body.get("n", 1))]
        usage = {"prompt_tokens": 100, "completion_tokens": 50 * len(choices)}
        request.send(200, json.dumps({"choices": choices, "usage": usage}).encode(), headers)

    return act


WHOLE = [
    f"<think>A draft: {NO}. No, better.</think>\n{OPEN}",
    f"The template opened the thoughts: {NO}</think>{OPEN}",
    f"<thinking>outer <thinking>inner {NO}</thinking> {NO}</thinking>{OPEN}",
    f"[THINK]先想一想：{NO}[/THINK]{OPEN}",
    f"<思考>可能是 {NO}</思考>{OPEN}",
    f"<|channel|>analysis<|message|>Maybe {NO}<|end|><|start|>assistant<|channel|>final<|message|>{OPEN}<|return|>",
    f"analysisThe user wants {NO}assistantfinal{OPEN}",
    f"◁think▷{NO}◁/think▷```json\n{OPEN}\n```",
]
UNFINISHED = [
    f"<think>A draft: {NO}, but",
    f"<reasoning>so far {NO}",
    f"<think>outer <think>inner</think> and {NO}",
    f"done</think> <think>once more: {NO}",
    f"[THINK]也许 {NO}",
    f"<|channel|>analysis<|message|>Maybe {NO}",
    f"analysisThe user wants {NO}",
]


@pytest.mark.parametrize("text", WHOLE)
def test_a_verdict_after_the_thoughts_counts_and_a_draft_inside_them_does_not(text: str) -> None:
    row = open_ended.score_record({"pred_score": [text], "decomposed_questions": ["a?", "b?"]})
    assert row["votes"] == ["YES", "NO"]


@pytest.mark.parametrize("text", UNFINISHED)
def test_thoughts_that_do_not_end_hold_no_vote(text: str) -> None:
    assert said(text) is None
    assert open_ended.score_record({"pred_score": [text] * 4})["reason"] == "no usable reply"


def test_a_text_without_thoughts_is_left_as_it_is() -> None:
    for text in (OPEN, "Analysis: fine. [YES]", "I think <b>so</b>", "思考：可以", ""):
        assert said(text) == text


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (answer({"content": None, "reasoning_content": f"I would say {NO}"}), "the reply has only thoughts"),
        (answer({"content": f"Let me see. A draft: {NO}. But"}, "length"), "the reply was cut off before a verdict"),
        (answer({"content": "", "refusal": "I cannot help with that."}), "the judge refused"),
        (answer({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": NO}]}]}), "the reply is empty"),
        (answer({"content": ""}, "content_filter"), "the judge refused"),
        (answer({"content": "Both are fine."}), "the reply is not in the requested form"),
    ],
    ids=["reasoning field", "draft cut off", "refusal", "thinking part", "filter", "prose"],
)
def test_a_judge_with_unreadable_replies_soon_gets_no_more_requests(act: Any, why: str) -> None:
    with JudgeServer(usual=act) as server:
        judged, usage = judge([record(n) for n in range(200)], "open", settings(server, reask=0))
        assert len(server.requests) == 3 and usage.completions == 12 and usage.judged == 0 and usage.failed == 200
        assert usage.stopped and why in usage.stopped
        assert judged[0]["judge_error"] == f"no verdict: {why}" and judged[-1]["judge_error"].startswith("not asked: ")
        judge([record(n) for n in range(200)], "open", settings(server, reask=0))
        assert len(server.requests) == 3, "what is known not to be readable costs nothing more"
    assert all(not open_ended.score_record(row)["counted"] for row in judged)


def test_a_content_of_parts_is_read_and_a_whole_list_counts_though_the_length_is_used_up() -> None:
    parts = [{"type": "reasoning", "text": NO}, {"type": "text", "text": OPEN[:7]}, {"type": "text", "text": OPEN[7:]}]
    with JudgeServer(answer({"content": parts}), answer({"content": OPEN}, "length")) as server:
        judged, _ = judge([record(1), record(2)], "open", settings(server))
    assert [row["pred_score"] for row in judged] == [[OPEN] * 4] * 2


def test_a_few_records_that_cannot_be_read_do_not_end_a_run_that_goes_well() -> None:
    good, bad = every(OPEN), answer({"content": "<think>hm"})
    with JudgeServer(good, *[bad] * 5, good, *[bad] * 5, usual=good) as server:
        _, usage = judge([record(n) for n in range(20)], "open", settings(server, reask=0))
    assert usage.stopped is None and (usage.judged, usage.failed) == (10, 10)
    assert usage.reasons == {"no verdict: the reply was cut off before a verdict": 10}


def test_the_command_keeps_what_was_judged_and_says_what_was_paid() -> None:
    write_jsonl("answers.jsonl", [record(n) for n in range(60)])
    options = ("--out", "judged.jsonl", "--concurrency", "1", "--reask", "0")
    cut = answer({"content": "<think>The first question asks"}, "length")
    with JudgeServer(*[every(OPEN)] * 2, usual=cut) as server:
        code, out, err = run("open", "answers.jsonl", *options, server=server)
        asked = len(server.requests)
        assert asked == 12 and code == 1 and "judged 2 of 60 records" in out
        last = err.strip().splitlines()[-1]
        assert "48 paid completions with " in last and "--max-tokens" in last and "1024" in last
        assert [bool(row.get("judge_error")) for row in read_jsonl("judged.jsonl")] == [False] * 2 + [True] * 58
        server.usual = every(OPEN)
        code, out, _ = run("open", "answers.jsonl", *options, "--max-tokens", "4000", server=server)
    assert code == 0 and "judged 60 of 60" in out
    assert server.requests[-1].body["max_tokens"] == 4000


def test_the_sampling_is_an_option_or_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    write_jsonl("answers.jsonl", [record()])
    monkeypatch.setenv("INSERTER_JUDGE_MAX_TOKENS", "3000")
    monkeypatch.setenv("INSERTER_JUDGE_TOP_P", "0.5")
    with JudgeServer() as server:
        run("open", "answers.jsonl", "--out", "o.jsonl", "--temperature", "0.25", "--top-p", "0.75", server=server)
    (request,) = server.requests
    assert {name: request.body[name] for name in ("temperature", "top_p", "max_tokens")} == {
        "temperature": 0.25,
        "top_p": 0.75,
        "max_tokens": 3000,
    }


def strict(refused: dict[str, Any]) -> Any:
    """Refuses each parameter with its error as long as it is sent."""

    def act(request: Request) -> None:
        found = next((name for name in refused if name in request.body and (name != "n" or request.body["n"] > 1)), None)
        (refuse(400, refused[found]) if found else every(OPEN))(request)

    return act


OPENAI = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
WORDINGS = [
    ({"max_tokens": {"message": OPENAI, "param": "max_tokens", "code": "unsupported_parameter"}}, {"max_completion_tokens"}),
    ({"temperature": {"message": "Unsupported value: 'temperature' does not support 0.5 with this model."}}, set()),
    ({"top_p": {"message": "`temperature` and `top_p` cannot both be specified for this model."}}, {"temperature"}),
    ({"top_p": {"message": "top_p: Extra inputs are not permitted", "type": "invalid_request_error"}}, {"temperature"}),
    ({"n": {"message": "Unknown field n, expected one of model, messages, temperature, top_p"}}, {"temperature", "top_p"}),
    (
        {
            "max_tokens": {"message": "Unrecognized request argument supplied: max_tokens"},
            "max_completion_tokens": {"message": "Unrecognized request argument supplied: max_completion_tokens"},
        },
        {"temperature", "top_p"},
    ),
]


@pytest.mark.parametrize(("refused", "kept"), WORDINGS, ids=[f"{n} {next(iter(row[0]))}" for n, row in enumerate(WORDINGS)])
def test_a_parameter_refused_by_name_is_replaced_and_remembered(refused: dict, kept: set[str]) -> None:
    with JudgeServer(usual=strict(refused)) as server:
        judged, usage = judge([record(n) for n in range(5)], "open", settings(server))
    assert all(row["pred_score"] == [OPEN] * 4 for row in judged) and usage.judged == 5
    last = server.requests[-1].body
    assert not refused.keys() & last.keys() - {"n"} and kept <= last.keys()
    assert usage.retries <= len(refused) and usage.changes


@pytest.mark.parametrize(
    "body",
    [
        b'{"detail": [{"type": "extra_forbidden", "loc": ["body", "top_p"], "msg": "Extra inputs are not permitted"}]}',
        b'{"object": "error", "message": {"detail": [{"type": "extra_forbidden", "loc": ["body", "top_p"], "msg": "Extra"}]}}',
        b'{"message": "Validation: unrecognized field top_p"}',
        b"unexpected keyword argument top_p",
    ],
    ids=["pydantic", "message of details", "bare", "text"],
)
def test_errors_of_other_servers_are_read_too(body: bytes) -> None:
    def act(request: Request) -> None:
        request.send(422, body) if "top_p" in request.body else every(OPEN)(request)

    with JudgeServer(usual=act) as server:
        judged, usage = judge([record()], "open", settings(server))
    assert judged[0]["pred_score"] == [OPEN] * 4 and usage.changes == ["without top_p (the server uses its own value)"]


def test_a_prompt_that_is_too_long_fails_alone_and_changes_nothing_for_the_others() -> None:
    """vLLM names max_tokens when the prompt leaves no room for it."""
    long = "'max_tokens' is too large: 1024. This model's maximum context length is 2048 tokens and your request has 1500"
    filtered = {"message": "Blocked: the prompt speaks of temperature and top_p"}

    def act(request: Request) -> None:
        found = {"Rain 1.": {"message": long, "param": "max_tokens"}, "Rain 3.": filtered}
        error = next((error for text, error in found.items() if text in request.text), None)
        (refuse(400, error) if error else every(OPEN))(request)

    with JudgeServer(usual=act) as server:
        judged, usage = judge([record(n) for n in range(5)], "open", settings(server))
    assert [row.get("judge_error") is None for row in judged] == [True, False, True, False, True]
    assert "context length" in judged[1]["judge_error"] and "Blocked" in judged[3]["judge_error"]
    assert usage.changes == [] and {"temperature", "top_p", "max_tokens"} <= server.requests[-1].body.keys()


def events(*texts: str, done: bool = True) -> bytes:
    parts = [(n, part) for n, text in enumerate(texts) for part in (text[:4], text[4:])]
    chunks: list[dict] = [{"choices": [{"index": n, "delta": {"content": part}}]} for n, part in parts]
    chunks += [{"choices": [{"index": 0, "delta": {"reasoning_content": NO}}]}]
    chunks += [{"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 9}}]
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return "".join([": hello\n\n", *lines, "data: [DONE]\n\n" if done else ""]).encode()


def test_a_server_that_only_streams_is_read() -> None:
    def act(request: Request) -> None:
        if not request.body.get("stream"):
            refuse(400, {"message": "This model only supports stream mode, please enable the stream parameter"})(request)
        else:
            request.send(200, events(*[OPEN] * request.body["n"]), {"Content-Type": "text/event-stream"})

    with JudgeServer(usual=act) as server:
        judged, usage = judge([record(1), record(2)], "open", settings(server))
        assert [row["pred_score"] for row in judged] == [[OPEN] * 4] * 2 and len(server.requests) == 3
    assert usage.changes == ["streamed"] and usage.prompt_tokens == 14
    cut = [lambda request: request.send(200, events(OPEN, done=False))]
    with JudgeServer(*cut) as server:
        judged, usage = judge([record(3)], "open", settings(server))
    assert usage.retries == 1 and judged[0]["pred_score"] == [OPEN] * 4, "a stream without its end is asked again"


def stream_of(text: str, finish: str | None) -> str:
    """A stream of one reply without the mark [DONE], in UTF-8 as it is."""
    chunks = [{"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}]
    chunks += [{"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}]
    return "".join(f"data: {json.dumps(chunk, ensure_ascii=False)}\r\n\r\n" for chunk in chunks)


def test_a_stream_may_end_with_a_reason_in_place_of_its_mark() -> None:
    found = completions(body_of(stream_of(OPEN, "stop")), 1)
    assert found and [reply.text for reply in found.replies] == [OPEN]
    with pytest.raises(ValueError, match="cut short"):
        body_of(stream_of(OPEN, None))


@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\x85"], ids=ascii)
def test_a_line_separator_in_a_reply_does_not_cut_its_event(sign: str) -> None:
    """JSON may hold these as they are. Between events only CR and LF end a line."""
    found = completions(body_of(stream_of(f"One.{sign}{OPEN}", "stop")), 1)
    assert found and [reply.text for reply in found.replies] == [f"One.{sign}{OPEN}"]


def test_a_web_page_and_an_absent_server_end_the_run_in_one_line() -> None:
    page = lambda request: request.send(200, f"<html>Log in, {KEY}</html>".encode(), {"Content-Type": "text/html"})  # noqa: E731
    with JudgeServer(page) as server:
        (judged,), _ = judge([record()], "open", settings(server))
        assert judged["pred_score"] == [OPEN] * 4, "once is no reason to end"
    with JudgeServer(usual=page) as server, pytest.raises(InserterError, match=r"web page\. Check INSERTER_JUDGE_BASE_URL"):
        judge([record(n) for n in range(9)], "open", settings(server, tries=2))
    with pytest.raises(InserterError, match="no judge answers at"):
        judge([record(7)], "open", settings(server))


def test_records_with_one_id_and_of_another_task_are_kept_apart() -> None:
    records = [record(1, id="same"), record(2, id="same"), record(3, task="closed"), record(4, task="open")]
    with JudgeServer() as server:
        judged, usage = judge(records, "open", settings(server))
    assert [row["id"] for row in judged] == ["same", "same", "r3", "r4"] and len(server.requests) == 3
    assert usage.reasons == {"a record of task closed": 1}


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": 400, "message": "Only one completion choice is allowed", "type": "invalid_request_error"}},
        [{"error": {"code": 400, "message": "Multiple candidates is not enabled for this model", "status": "INVALID_ARGUMENT"}}],
    ],
)
def test_a_server_that_gives_one_completion_and_does_not_name_n_is_asked_one_by_one(body: Any) -> None:
    def one_alone(request: Request) -> None:
        more = request.body.get("n", 1) > 1
        request.send(400, json.dumps(body).encode()) if more else answer({"content": OPEN})(request)

    with JudgeServer() as server:
        server.usual = one_alone
        (judged,), usage = judge([record()], "open", settings(server))
    assert judged["pred_score"] == [OPEN] * 4
    assert usage.changes == ["one completion per request"]


def test_a_list_of_errors_is_reported() -> None:
    with JudgeServer() as server:
        server.usual = lambda request: request.send(400, b'[{"error": {"message": "the key has expired"}}]')
        (judged,), _ = judge([record()], "open", settings(server, tries=1))
    assert "the key has expired" in judged["judge_error"]


def test_a_failure_in_a_completions_place_is_asked_again_and_not_paid() -> None:
    failed = {"index": 0, "message": {"content": ""}, "finish_reason": "error", "error": {"code": 502, "message": "provider"}}
    with JudgeServer(lambda request: request.send(200, json.dumps({"choices": [failed]}).encode())) as server:
        server.usual = every(OPEN)
        (judged,), usage = judge([record()], "open", settings(server))
    assert (judged["pred_score"], usage.retries, usage.completions) == ([OPEN] * 4, 1, 4)
