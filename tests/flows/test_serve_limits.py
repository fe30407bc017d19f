"""What a server of `inserter serve` refuses, lets go of and counts, how it follows an alias, and how it ends."""

import gc
import os
import re
import signal
import socket
import subprocess
import sys
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from checkout import ROOT
from serving import CHAT, audio, running, said, sound, user

from flows.serve.server import read_key, serve
from inserter.errors import InserterError
from inserter.params import load
from inserter.registry.tracking import connect, experiment_id
from inserter.run.quiet import quiet

SAY = {"messages": [user("Say something.")]}
PATIENCE = 120  # seconds; what is waited for takes far less on a quiet machine


def eventually(true) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def pool():
    with ThreadPoolExecutor(8) as found:
        yield found


def test_a_key_opens_and_is_written_nowhere(tiny_model, tmp_path, capfd):
    file = tmp_path / "key"
    file.write_text("a secret of mine\n")
    with running(tiny_model, key=read_key(file), only_local=False) as (client, _, _):
        for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "a secret of mine"}):
            response = client.post(CHAT, json=SAY, headers=given)
            assert response.status_code == 401 and response.json()["error"]["code"] == "invalid_api_key"
        assert client.get("/metrics").status_code == client.get("/v1/models").status_code == 401
        assert client.get("/health").status_code == client.get("/").status_code == 200
        mine = {"Authorization": "Bearer a secret of mine"}
        said(client.post(CHAT, json=SAY, headers=mine))
        assert "secret" not in client.get("/metrics", headers=mine).text
    assert "secret" not in "".join(capfd.readouterr())


def test_a_key_file_without_a_key_is_refused(tmp_path, monkeypatch):
    (tmp_path / "empty").write_text(" \n")
    for name in ("empty", "missing"):
        with pytest.raises(InserterError, match="key file"):
            read_key(tmp_path / name)
    monkeypatch.setenv("INSERTER_SERVE_KEY", "k")
    assert read_key(None) == "k"


def test_other_web_pages_cannot_reach_a_local_server_by_a_name_of_theirs(tiny_model):
    with running(tiny_model) as (client, _, _):
        assert client.get("/v1/models", headers={"Host": "evil.example"}).status_code == 403
        assert client.get("/v1/models", headers={"Host": "localhost:1"}).status_code == 200
        file = {"file": ("a.wav", sound())}  # a form, which a browser sends to any address without a question
        for origin, status in (("https://evil.example", 403), ("null", 403), (str(client.base_url), 200)):
            response = client.post("/v1/audio/transcriptions", files=file, headers={"Origin": origin})
            assert response.status_code == status, (origin, response.text)


def test_too_large_too_long_and_too_slow_bodies_are_refused(tiny_model):
    with running(tiny_model, body_bytes=100_000, audio_seconds=1.0, upload_seconds=1.0) as (client, _, _):
        large = b"x" * 100_001
        headers = {"content-type": "application/json"}
        assert client.post(CHAT, content=large, headers=headers).status_code == 413
        assert client.post(CHAT, content=iter([large[:50_000], large[50_000:]]), headers=headers).status_code == 413
        two = [user(audio(sound(np.full(9_000, 0.1, np.float32))), audio(sound(np.full(9_000, 0.1, np.float32))))]
        response = client.post(CHAT, json={"messages": two})
        assert response.status_code == 400 and "more than 1 s" in response.json()["error"]["message"]
        address = (client.base_url.host, client.base_url.port)
        with socket.create_connection(address) as slow:
            slow.sendall(
                f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\ncontent-type: application/json\r\nContent-Length: 9\r\n\r\n{{".encode()
            )
            assert slow.recv(100).startswith(b"HTTP/1.1 408 ")
        with socket.create_connection(address) as wrong:
            length = b"9" * 5_000
            wrong.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + length + b"\r\n\r\n")
            assert wrong.recv(100).startswith(b"HTTP/1.1 4")


def test_a_full_server_says_when_to_come_again(tiny_model, pool):
    with running(tiny_model, hold=True, requests=2) as (client, service, held):
        waiting = [pool.submit(client.post, CHAT, json=SAY) for _ in range(2)]
        assert held.begun.wait(PATIENCE)
        eventually(lambda: service.metrics.in_progress._value.get() == 2)
        refused = client.post(CHAT, json=SAY)
        assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 0
        assert client.get("/health").status_code == 200
        held.free.set()
        assert len({said(one.result()) for one in waiting}) == 1
        said(client.post(CHAT, json=SAY))


def test_what_waits_together_is_answered_together_and_counted(tiny_model, pool):
    with running(tiny_model, hold=True) as (client, service, held):
        first = pool.submit(client.post, CHAT, json=SAY)
        assert held.begun.wait(PATIENCE)
        others = [pool.submit(client.post, CHAT, json={**SAY, "stream": n % 2 == 0}) for n in range(5)]
        eventually(lambda: len(service.queue) == 5)
        assert "inserter_queue_length 5.0" in client.get("/metrics").text
        held.free.set()
        assert all(one.result().status_code == 200 for one in [first, *others])
        assert held.sizes == [1, 5]
        client.post(CHAT, content=b"{", headers={"content-type": "application/json"})
        found = client.get("/metrics").text
    for line in (
        'inserter_requests_total{route="/v1/chat/completions",status="200"} 6.0',
        'inserter_requests_total{route="/v1/chat/completions",status="400"} 1.0',
        'inserter_request_seconds_count{route="/v1/chat/completions"} 7.0',
        'inserter_batch_size_bucket{le="4.0"} 1.0',
        "inserter_batch_size_sum 6.0",
        "inserter_queue_length 0.0",
        "inserter_requests_in_progress 0.0",
    ):
        assert line in found
    assert re.search(r'inserter_tokens_total\{kind="completion"\} [1-9]', found)


def test_a_batch_has_no_more_sound_than_its_memory(tiny_model, pool, monkeypatch):
    monkeypatch.setattr("flows.serve.batching.BATCH_AUDIO_SECONDS", 1.6)
    heard = {"messages": [user(audio())]}  # 0.75 s
    with running(tiny_model, hold=True) as (client, service, held):
        first = pool.submit(client.post, CHAT, json=SAY)
        assert held.begun.wait(PATIENCE)
        others = [pool.submit(client.post, CHAT, json=heard) for _ in range(3)]
        eventually(lambda: len(service.queue) == 3)
        held.free.set()
        assert len({said(one.result()) for one in others}) == 1 and said(first.result())
        assert held.sizes == [1, 2, 1]


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_frees_its_place(tiny_model, pool, stream):
    with running(tiny_model, hold=True) as (client, service, held):
        first = pool.submit(client.post, CHAT, json=SAY)
        assert held.begun.wait(PATIENCE)
        with pytest.raises(httpx.ReadTimeout):
            client.post(CHAT, json={**SAY, "stream": stream}, timeout=httpx.Timeout(PATIENCE, read=0.3))
        eventually(lambda: len(service.queue) == 0 and service.metrics.in_progress._value.get() == 1)
        held.free.set()
        said(first.result())
        assert held.sizes == [1]


def test_a_reader_that_leaves_within_a_stream_ends_its_answer(tiny_model):
    with running(tiny_model, hold=True) as (client, service, held):
        held.free.set()
        with client.stream("POST", CHAT, json={**SAY, "stream": True, "max_tokens": 2_000}) as response:
            next(response.iter_lines())
        ((job,),) = held.batches
        eventually(lambda: service.metrics.in_progress._value.get() == 0 and job.ended)
        assert len(job.tokens) < 2_000


def test_an_answer_that_takes_too_long_is_given_up(tiny_model):
    with running(tiny_model, hold=True, seconds=0.2) as (client, _, held):
        response = client.post(CHAT, json=SAY)
        assert response.status_code == 504 and response.json()["error"]["type"] == "server_error"
        held.free.set()
        eventually(lambda: held.sizes == [1])


def test_a_moved_alias_is_followed_between_batches(tiny_model, tmp_path, monkeypatch):
    import mlflow

    from models.pyfunc import pyfunc_arguments

    quiet()
    monkeypatch.chdir(tmp_path)
    register = load(ROOT / "params.yaml").register_
    client = connect(register)

    def version() -> str:
        with mlflow.start_run(experiment_id=experiment_id(client, register)):
            made = mlflow.pyfunc.log_model(name="model", registered_model_name="served", **pyfunc_arguments(tiny_model))
        return made.registered_model_version

    version()
    before = version()
    client.set_registered_model_alias("served", "champion", before)
    with running("models:/served@champion", follow=0.05) as (web, service, _):
        ids = [model["id"] for model in web.get("/v1/models").json()["data"]]
        assert ids == [f"served/{before}", "served@champion"]
        first = web.post(CHAT, json={**SAY, "model": "served@champion"}).json()
        old = weakref.ref(service.served.model)
        client.set_registered_model_alias("served", "champion", "1")
        eventually(lambda: service.served.name == "served/1")
        second = web.post(CHAT, json={**SAY, "model": "served@champion"}).json()
        assert (first["model"], second["model"]) == (f"served/{before}", "served/1")
        assert first["choices"] == second["choices"]
        gc.collect()
        assert old() is None, "the memory of the old version is free"
        assert web.post(CHAT, json={**SAY, "model": f"served/{before}"}).status_code == 404
        client.delete_registered_model_alias("served", "champion")
        eventually(lambda: 'inserter_reloads_total{outcome="failed"}' in web.get("/metrics").text)
        said(web.post(CHAT, json=SAY))


def test_the_command_serves_until_sigterm_and_answers_what_it_has_begun(tiny_model):
    command = [sys.executable, "-m", "inserter", "serve", "--model", str(tiny_model), "--port", "0"]
    environment = {name: value for name, value in os.environ.items() if name != "INSERTER_SERVE_KEY"}
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=environment) as server:
        try:
            lines = iter(server.stderr.readline, "")
            url = next(found[1] for line in lines if (found := re.search(r"is served at (http://127\.0\.0\.1:\d+)", line)))
            with httpx.stream("POST", url + CHAT, json={**SAY, "stream": True, "max_tokens": 500}, timeout=60) as response:
                rest = response.iter_lines()
                next(rest)
                server.send_signal(signal.SIGTERM)
                assert [line for line in rest if line][-1] == "data: [DONE]"
            assert server.wait(PATIENCE) == 0
            assert "Traceback" not in server.stderr.read()
        finally:
            server.kill()


def test_a_port_that_is_taken_and_a_missing_model_are_one_line(tiny_model, monkeypatch):
    monkeypatch.chdir(ROOT)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for model, at, problem in (
            (tiny_model, port, f"127.0.0.1:{port} cannot be served"),
            ("/nowhere", 0, "no model at /nowhere"),
        ):
            with pytest.raises(InserterError, match=problem):
                serve(str(model), "127.0.0.1", at, key_file=None, limits=None, follow_seconds=1.0)
