"""A stranger's model: a server that hears WAV files in chat messages, on the judge's server, and a set of items to ask it."""

import base64
import io
from pathlib import Path
from typing import Any

import report_inputs
import soundfile
from judge_server import Act, JudgeServer, Request, completion

SAID = "<<rain>> all of this is written in small letters; that helps it to follow * some * of what it was asked"


def heard(request: Request) -> float | None:
    """Seconds of sound that the request brought; None for a request in writing."""
    (message,) = request.body["messages"]
    if isinstance(message["content"], str):
        return None
    (part,) = message["content"]
    assert part["type"] == "input_audio" and part["input_audio"]["format"] == "wav"
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(part["input_audio"]["data"])))
    assert rate == 16_000 and samples.ndim == 1
    return len(samples) / rate


def speak(text: str = SAID) -> Act:
    def act(request: Request) -> None:
        assert heard(request) in (None, 1.2) and request.body["model"] == "stranger"
        request.send(200, completion([text]))

    return act


def stranger(*acts: Act, text: str = SAID) -> JudgeServer:
    return JudgeServer(*acts, usual=speak(text))


def benchmark(root: Path, copies: int = 1, growing: float = 0.0) -> Path:
    """A folder like data/benchmark: 32 spoken items and a Chinese one without sound, for one copy."""
    data, _ = report_inputs.write(root, copies=copies, growing=growing)
    return data / "benchmark"


def rows_of(path: Path) -> list[dict[str, Any]]:
    from inserter.files import read_jsonl

    return list(read_jsonl(path))
