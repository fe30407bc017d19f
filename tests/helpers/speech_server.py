"""A real HTTP server that speaks with hibari behind `/v1/audio/speech`, and misbehaves as it is told.

`SpeechServer(*acts)`: the first requests get `acts`, one each, all others speech. An act is (status, headers, content), or a
function of the spoken wav that gives one.
"""

import io
import json
import struct
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import soundfile

from inserter.params import Voice
from inserter.tts import load_voice

Act = tuple[int, dict[str, str], bytes]
HEART = Voice(name="heart", engine="hibari", voice="heart")
RATE = 16_000


def encoded(text: str, form: str = "WAV", subtype: str | None = "PCM_16") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, load_voice(HEART).speak(text), RATE, format=form, subtype=subtype)
    return buffer.getvalue()


def sound(content: bytes, kind: str = "audio/wav") -> Act:
    return 200, {"Content-Type": kind}, content


def refusal(status: int, message: str = "", **headers: str) -> Act:
    body = json.dumps({"error": {"message": message}}).encode()
    return status, {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}, body


def streamed(size: int) -> Callable[[str], Act]:
    """Speech whose header was written before its length was known: both sizes are `size`."""

    def act(text: str) -> Act:
        wav = encoded(text)
        return sound(wav[:4] + struct.pack("<I", size) + wav[8:40] + struct.pack("<I", size) + wav[44:])

    return act


class SpeechServer:
    def __init__(self, *acts: Act | Callable[[str], Act], delay: float = 0.0) -> None:
        self.acts, self.delay = list(acts), delay
        self.bodies: list[dict] = []
        self.authorizations: list[str | None] = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.speaking = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                server.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> "SpeechServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self.lock:
            self.bodies.append(body)
            self.authorizations.append(handler.headers.get("Authorization"))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            act = self.acts.pop(0) if self.acts else self.speech
        time.sleep(self.delay)
        if handler.path != "/v1/audio/speech":
            act = refusal(404, "no such path")
        with self.speaking:
            status, headers, content = act(body["input"]) if callable(act) else act
        with self.lock:
            self.at_once -= 1
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)

    @staticmethod
    def speech(text: str) -> Act:
        return sound(encoded(text))
