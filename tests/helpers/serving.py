"""A server of `inserter serve` in a thread of this process, on a free port of loopback, and requests to it."""

import base64
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import soundfile
import uvicorn
from checkout import ROOT

from flows.serve.app import build
from flows.serve.batching import Job
from flows.serve.following import Source
from flows.serve.limits import Limits
from flows.serve.service import Service
from inserter.params import load

CHAT = "/v1/chat/completions"
WAVE = (0.1 * np.sin(np.arange(12_000) / 7)).astype(np.float32)
FORMATS = {"wav": "PCM_16", "flac": "PCM_16", "ogg": "VORBIS", "mp3": "MPEG_LAYER_III"}


class Held:
    """Answers as the worker does, but only while `free` is set. `begun` is set when a batch waits."""

    def __init__(self, service: Service) -> None:
        self.free, self.begun = threading.Event(), threading.Event()
        self._answer, service.worker.answer = service.worker.answer, self
        self.batches: list[list[Job]] = []

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]

    def __call__(self, batch: list[Job]) -> None:
        self.begun.set()
        assert self.free.wait(60)
        self.batches.append(batch)
        self._answer(batch)


@contextmanager
def running(
    model: Path | str,
    *,
    key: str | None = None,
    only_local: bool = True,
    follow: float = 3600.0,
    hold: bool = False,
    **limits: float,
) -> Iterator[tuple[httpx.Client, Service, Held | None]]:
    """A client of a server that serves `model`, the server's parts, and what holds its answers back."""
    source = Source(str(model), load(ROOT / "params.yaml"))
    service = Service(source, source.load(), limits=Limits(**{"tokens": 8, **limits}), follow_seconds=follow)
    held = Held(service) if hold else None
    server = uvicorn.Server(uvicorn.Config(build(service, key=key, only_local=only_local), port=0, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            thread.join(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield client, service, held
    finally:
        if held:
            held.free.set()
        server.should_exit = True
        thread.join()


def sound(wave: np.ndarray = WAVE, kind: str = "wav", rate: int = 16_000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, rate, format=kind.upper(), subtype=FORMATS[kind])
    return buffer.getvalue()


def audio(data: bytes | None = None, kind: str = "wav") -> dict[str, object]:
    """A part of a message that has a sound."""
    return {"type": "input_audio", "input_audio": {"data": base64.b64encode(data or sound(kind=kind)).decode(), "format": kind}}


def text(words: str) -> dict[str, object]:
    return {"type": "text", "text": words}


def user(*parts: dict[str, object] | str) -> dict[str, object]:
    return {"role": "user", "content": parts[0] if isinstance(parts[0], str) else list(parts)}


def said(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["message"]["content"]
