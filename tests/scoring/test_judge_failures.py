"""A failing judge server gets retries where these help; other failures are reported; no request limit is exceeded."""

import time
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from judge_server import (
    KEY,
    OPEN,
    JudgeServer,
    Request,
    bare_workspace,
    cut_body,
    cut_json,
    every,
    hang,
    record,
    refuse,
    reset,
    say,
    settings,
    trickle,
    trickle_body,
)

from inserter.errors import InserterError
from inserter.scoring.judge import JudgeSettings, judge


@pytest.fixture(autouse=True)
def _workspace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare_workspace(monkeypatch, tmp_path)


@pytest.mark.parametrize(
    "bad",
    [
        refuse(500),
        refuse(503, {"message": "overloaded"}),
        refuse(429),
        reset,
        cut_json,
        cut_body,
        say(),
        lambda request: request.send(200, b'{"error": "busy"}'),
        lambda request: request.send(200, b"\xff[" * 9),
        lambda request: request.send(200, b"[" * 100_000),
    ],
    ids=["500", "503", "429", "reset", "half JSON", "half body", "no choice", "error as 200", "garbage", "deep"],
)
def test_a_passing_failure_is_tried_again(bad: Any) -> None:
    with JudgeServer(bad, bad) as server:
        (judged,), usage = judge([record()], "open", settings(server))
    assert judged["pred_score"] == [OPEN] * 4
    assert (len(server.requests), usage.retries, usage.calls) == (3, 2, 1)


@pytest.mark.parametrize("act", [hang, trickle, trickle_body])
def test_a_request_without_a_whole_answer_times_out_and_is_tried_again(act: Any) -> None:
    with JudgeServer(act) as server:
        (judged,), usage = judge([record()], "open", settings(server, timeout=1.0))
        assert server.in_flight == 1, "the first is still without an answer"
    assert judged["pred_score"] == [OPEN] * 4 and usage.retries >= 1


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_no_request_comes_before_retry_after(form: str) -> None:
    until: list[float] = []

    def later(request: Request) -> None:
        date = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)  # dates have whole seconds
        until.append(date.timestamp() if form == "date" else time.time() + 1)
        refuse(429, Retry_After=format_datetime(date, usegmt=True) if form == "date" else "1")(request)

    seen: list[float] = []

    def note(request: Request) -> None:
        seen.append(time.time())
        every(OPEN)(request)

    with JudgeServer(later, usual=note) as server:
        judge([record(1), record(2)], "open", settings(server))
    assert len(seen) == 2 and min(seen) >= until[0] - 0.05


def test_a_server_that_asks_for_an_hour_is_given_up() -> None:
    with JudgeServer(usual=refuse(429, Retry_After="3600")) as server:
        (judged,), usage = judge([record()], "open", settings(server))
    assert judged["pred_score"] == [] and "asks to wait 3600 s" in judged["judge_error"]
    assert len(server.requests) == 1 and usage.failed == 1


def test_a_record_that_fails_at_the_server_is_reported_and_the_others_are_judged() -> None:
    def fails_on_2(request: Request) -> None:
        (refuse(500, {"message": "CUDA error"}) if "Rain 2." in request.text else every(OPEN))(request)

    with JudgeServer(usual=fails_on_2) as server:
        judged, usage = judge([record(n) for n in range(4)], "open", settings(server, tries=3))
        assert [row["pred_score"] for row in judged] == [[OPEN] * 4, [OPEN] * 4, [], [OPEN] * 4]
        assert judged[2]["judge_error"] == "gave up after 3 tries: 500: the server failed (CUDA error)"
        assert (usage.judged, usage.failed, len(server.requests)) == (3, 1, 6)
        server.usual = every(OPEN)
        mended, usage = judge(judged, "open", settings(server))
    assert "judge_error" not in mended[2] and mended[2]["pred_score"] == [OPEN] * 4
    assert usage.calls == 1 and usage.cached == 12 and len(server.requests) == 7


def test_a_record_that_the_server_refuses_is_not_asked_twice() -> None:
    with JudgeServer(refuse(400, {"message": "too many tokens"})) as server:
        judged, _ = judge([record(1), record(2)], "open", settings(server))
    assert judged[0]["judge_error"] == "400: the server refused the request (too many tokens)"
    assert judged[1]["pred_score"] and len(server.requests) == 2


def test_a_dead_server_soon_gets_no_more_requests() -> None:
    with JudgeServer(usual=refuse(502)) as server:
        judged, usage = judge([record(n) for n in range(50)], "open", settings(server, tries=2, give_up_after=5))
    assert len(server.requests) == 10 and usage.failed == 50
    assert judged[-1]["judge_error"] == "not asked: the judge failed on 5 records in a row"


def test_scattered_failures_do_not_end_the_run() -> None:
    with JudgeServer(*[refuse(400), every(OPEN)] * 5) as server:
        _, usage = judge([record(n) for n in range(10)], "open", settings(server, give_up_after=2))
    assert (usage.judged, usage.failed, len(server.requests)) == (5, 5, 10)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (refuse(401, {"message": f"Incorrect API key provided: {KEY}"}), "(401). Check INSERTER_JUDGE_API_KEY"),
        (refuse(404, {"message": "no such model"}), "judge-1 (404). Check INSERTER_JUDGE_BASE_URL (most end in /v1)"),
        (refuse(308, Location="http://127.0.0.1:1/"), "(308). Check INSERTER_JUDGE_BASE_URL"),
        (refuse(429, {"message": "pay", "code": "insufficient_quota"}), "no credit (429)"),
    ],
)
def test_a_refusal_of_everything_ends_the_run_in_one_line(act: Any, words: str) -> None:
    with JudgeServer(usual=act) as server, pytest.raises(InserterError) as error:
        judge([record(n) for n in range(9)], "open", settings(server))
    assert words in str(error.value) and "\n" not in str(error.value) and KEY not in str(error.value)
    assert len(server.requests) == 1


def test_requests_go_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("http_proxy", raising=False)
    with JudgeServer() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:word@127.0.0.1:{proxy.server_port}")
        with pytest.raises(InserterError, match=r"\(404\)"):  # this server answers for itself alone
            judge([record()], "open", JudgeSettings("http://judge.example/v1", "m"))
    (request,) = proxy.requests
    assert request.handler.path == "http://judge.example/v1/chat/completions"
    assert request.handler.headers["Proxy-Authorization"] == f"Basic {b64encode(b'me:word').decode()}"


def test_requests_are_as_many_at_a_time_as_asked_and_no_more() -> None:
    def together(request: Request) -> None:  # nobody is answered before three are there
        request.server.wait_for(3)
        every(OPEN)(request)

    with JudgeServer(usual=together) as server:
        judged, usage = judge([record(n) for n in range(15)], "open", settings(server, concurrency=3))
    assert server.max_in_flight == 3 and usage.judged == 15
    assert [row["id"] for row in judged] == [f"r{n}" for n in range(15)]
