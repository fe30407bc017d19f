"""Entry `serve`: requests per second of `inserter serve` against `mlflow models serve`.

Both servers have the same model, and clients that ask at once.
"""

import base64
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from flows.bench.compare import Entry, compare
from flows.server import free_port
from inserter.audio.clips import SAMPLE_RATE, flac
from inserter.errors import InserterError
from inserter.params import load

CLIENTS = 16
SECONDS = 5
TOKENS = 32
PAIRS = 3
PATIENCE = 300.0  # seconds until a server must have come up
TEXTS = (
    "Please write a short story about a lighthouse keeper, and mention the harbor twice in it.",
    "Name three red fruits that grow in a garden, and say for each of them when it is ripe.",
    "Explain to a child in plain words why the sky is blue by day and dark by night.",
    "Tell me how to bake a simple bread at home, and how long the dough has to rest before.",
)


def serve() -> Entry:
    """Measure CLIENTS clients at once, each with SECONDS of speech and TOKENS tokens of answer.

    The model is the untrained one of params.yaml. No token ends an answer, so that all have the
    same length. Both sides compute at `evaluate.precision`.
    """
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = _models(Path(folder))
        sounds = _sounds()
        precision = load().evaluate.precision
        with _server("inserter", ["inserter", "serve", "--model", str(ours)], "/health") as chat:
            command = ["mlflow", "models", "serve", "-m", str(theirs), "--env-manager", "local", "--workers", "1"]
            with _server("mlflow", command, "/ping") as scoring:

                def ask_ours(sound: str) -> None:
                    part = {"type": "input_audio", "input_audio": {"data": sound, "format": "flac"}}
                    body = {"messages": [{"role": "user", "content": [part]}], "max_completion_tokens": TOKENS}
                    found = _post(f"{chat}/v1/chat/completions", body)
                    assert found["usage"]["completion_tokens"] == TOKENS

                def ask_theirs(sound: str) -> None:
                    params = {"max_new_tokens": TOKENS, "precision": precision}
                    found = _post(f"{scoring}/invocations", {"dataframe_records": [{"audio": sound}], "params": params})
                    assert found["predictions"][0]["answer"]

                a, b = _at_once(ask_ours, sounds), _at_once(ask_theirs, sounds)
                return compare("serve", a, b, against=f"mlflow models serve, {CLIENTS} clients at once", pairs=PAIRS)


def _models(folder: Path) -> tuple[Path, Path]:
    """Save the model below `folder`: as it is, and as a model of MLflow."""
    from mlflow.pyfunc import save_model as save_for_mlflow

    from inserter.training.models import new_model, save_model
    from models.pyfunc import pyfunc_arguments

    params = load()
    model, processor = new_model(params.assets, params.warmup.adapter, 0, languages=params.corpus.languages)
    model.generation_config.eos_token_id = None
    save_model(model, processor, folder / "model")
    save_for_mlflow(folder / "mlflow", **pyfunc_arguments(folder / "model"))
    return folder / "model", folder / "mlflow"


def _sounds() -> list[str]:
    """Return a spoken text per client, cut or padded to SECONDS, as FLAC in base64."""
    from inserter.tts import load_voice

    voice = load_voice(load().synthesize.voices[0])
    length = SECONDS * SAMPLE_RATE
    waves = [voice.speak(text)[:length] for text in TEXTS]
    packed = [base64.b64encode(flac(np.pad(wave, (0, length - len(wave))))).decode() for wave in waves]
    return [packed[client % len(packed)] for client in range(CLIENTS)]


def _at_once(ask: Callable[[str], None], sounds: list[str]) -> Callable[[], None]:
    def all_clients() -> None:
        with ThreadPoolExecutor(len(sounds)) as pool:
            list(pool.map(ask, sounds))

    return all_clients


def _post(url: str, body: dict[str, object]) -> dict[str, Any]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=600) as response:
        return json.load(response)


@contextmanager
def _server(name: str, command: list[str], health: str) -> Iterator[str]:
    """Run `python -m COMMAND --port …` within the block, and provide its address.

    Raises InserterError with the last words of a server that does not come up.
    """
    port = free_port()
    with tempfile.TemporaryFile("w+") as log:
        arguments = [sys.executable, "-m", *command, "--port", str(port)]
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        server = subprocess.Popen(arguments, stdout=log, stderr=log, start_new_session=True, env={**os.environ, "PATH": path})
        try:
            deadline = time.monotonic() + PATIENCE
            while not _answers(f"http://127.0.0.1:{port}{health}"):
                if server.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise InserterError(
                        f"the server of {name} did not start ({log.read()[-300:]})", "Correct that error, then run again"
                    )
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True
