"""A real HTTP server that speaks chat completions, and misbehaves as it is told; and records to have judged by it.

`JudgeServer(*acts)`: the first requests get `acts`, one each, all others `server.usual`. An act is a function of the
request that answers it.
"""

import json
import socket
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from inserter.chat.settings import FALLBACK_API_KEY, FALLBACK_BASE_URL, Secret
from inserter.scoring.judge import JudgeSettings
from inserter.scoring.judge.settings import API_KEY, BASE_URL, MODEL

KEY = "sk-secret-0123456789"
PROMPT_TOKENS, COMPLETION_TOKENS = 100, 10  # of a request, and of each completion
OPEN = '["YES", "NO"]'  # a verdict on `record`
VARIABLES = (BASE_URL, MODEL, API_KEY, FALLBACK_BASE_URL, FALLBACK_API_KEY)


def record(number: int = 0, **more: Any) -> dict[str, Any]:
    questions = ["Is it a poem?", "Is it about rain?"]
    texts = {"prompt": "Write a poem.", "response": f"Rain {number}."}
    return {"id": f"r{number}", **texts, "decomposed_questions": questions, **more}


def settings(server: "JudgeServer", **more: Any) -> JudgeSettings:
    """One request at a time and next to no back-off, unless told otherwise."""
    changes = {"backoff": 0.001, "timeout": 20.0, "concurrency": 1, **more}
    return JudgeSettings(server.url, "judge-1", Secret(KEY), **changes)


def bare_workspace(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """An empty current directory, no judge in the environment, and no proxy before the server."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(folder)


class Request:
    """One request: its JSON body, its headers, and what can be done to it."""

    def __init__(self, handler: BaseHTTPRequestHandler, body: dict[str, Any], server: "JudgeServer") -> None:
        self.handler, self.body, self.server = handler, body, server
        self.authorization = handler.headers.get("Authorization")
        self.text = "\n".join(message["content"] for message in body["messages"] if isinstance(message["content"], str))

    def send(self, status: int, content: bytes, headers: dict[str, str] | None = None, length: int | None = None) -> None:
        self.handler.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.handler.send_header(name, value)
        self.handler.send_header("Content-Length", str(len(content) if length is None else length))
        self.handler.end_headers()
        self.server.leave()  # before the client can know
        self.handler.wfile.write(content)


Act = Callable[[Request], None]


def completion(texts: list[Any], usage: bool = True) -> bytes:
    body: dict[str, Any] = {"choices": [{"index": i, "message": {"content": text}} for i, text in enumerate(texts)]}
    if usage:
        body["usage"] = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": COMPLETION_TOKENS * len(texts)}
    return json.dumps(body).encode()


def say(*texts: Any, usage: bool = True) -> Act:
    """Answer with these texts, whatever n is."""
    return lambda request: request.send(200, completion(list(texts), usage))


def every(text: str, at_most: int = 1000) -> Act:
    """Answer with n times this text, or with `at_most`."""
    return lambda request: request.send(200, completion([text] * min(request.body["n"], at_most)))


def refuse(status: int, error: Any = None, **headers: str) -> Act:
    """Answer with an error; RETRY_AFTER="3" becomes the header Retry-After."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = b"<html>Bad gateway</html>" if error is None else json.dumps({"error": error}).encode()
    return lambda request: request.send(status, content, named)


def cut_json(request: Request) -> None:
    """Half of a body, sent as if it were whole."""
    content = completion(["[]"])
    request.send(200, content[: len(content) // 2])


def cut_body(request: Request) -> None:
    """Fewer bytes than promised, then the end of the connection."""
    request.send(200, completion(["[]"])[:20], length=5000)
    request.handler.close_connection = True


def reset(request: Request) -> None:
    """No answer: the connection is reset."""
    linger = struct.pack("ii", 1, 0)
    request.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    request.server.leave()
    request.handler.close_connection = True
    request.handler.connection.close()


def hang(request: Request) -> None:
    """No answer until the server is closed."""
    request.server.closing.wait(60)
    reset(request)


def trickle(request: Request) -> None:
    """A byte of the answer's headers now and then, until the server is closed: never silent, never done."""
    request.handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while not request.server.closing.wait(0.05):
        request.handler.wfile.write(b".")


def trickle_body(request: Request) -> None:
    """The same with the answer's body."""
    request.handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n")
    while not request.server.closing.wait(0.05):
        request.handler.wfile.write(b" ")


class JudgeServer(ThreadingHTTPServer):
    """A context manager. `requests`: all that came; `max_in_flight`: the most that were open at a time."""

    daemon_threads = True

    def __init__(self, *acts: Act, usual: Act | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.acts = list(acts)
        self.usual = usual or every(OPEN)
        self.requests: list[Request] = []
        self.in_flight = self.max_in_flight = 0
        self.changed = threading.Condition()
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def arrive(self, request: Request) -> Act:
        with self.changed:
            self.requests.append(request)
            self.in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self.in_flight)
            self.changed.notify_all()
            return self.acts.pop(0) if self.acts else self.usual

    def leave(self) -> None:
        with self.changed:
            self.in_flight -= 1

    def wait_for(self, requests: int) -> None:
        """Until so many have come."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.requests) >= requests, 60)

    def handle_error(self, *_: Any) -> None:
        """A client that has gone is no news."""

    def __enter__(self) -> "JudgeServer":
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: JudgeServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = Request(self, body, self.server)
        act = self.server.arrive(request)
        if self.path.split("?")[0] != "/v1/chat/completions":
            act = refuse(404)
        act(request)

    def log_message(self, *_: Any) -> None:
        pass
