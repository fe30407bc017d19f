"""The champion behind `mlflow models serve`: a real server, real HTTP, audio in and an answer out."""

import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import soundfile
from checkout import ROOT

from inserter.params import load
from inserter.registry.tracking import connect, experiment_id
from inserter.release.card import Facts
from inserter.release.folder import export
from models import InserterForConditionalGeneration, InserterProcessor
from models.generation import Prompt, generate_answers
from models.pyfunc import pyfunc_arguments

WAVE = (0.1 * np.sin(np.arange(8_000) / 7)).astype(np.float32)
SHORT = {"max_new_tokens": 6}
PATIENCE = 180  # seconds until the server must have come up; it takes about 15 on a quiet machine


@pytest.fixture(scope="module")
def url(tiny_model, databases, tmp_path_factory):
    """The address of a server of `models:/served@champion`, started as docs/OPERATIONS.md says, from a moved checkout."""
    import mlflow

    exported = tmp_path_factory.mktemp("exported") / "model"
    export(tiny_model, exported, Facts(name="served"), max_new_tokens=64)
    made, folder = tmp_path_factory.mktemp("made"), tmp_path_factory.getbasetemp() / "moved to another place"
    with pytest.MonkeyPatch.context() as patch:
        register = load(ROOT / "params.yaml").register_
        patch.chdir(made)
        databases.mlflow(made / "mlflow.db")
        client = connect(register)
        with mlflow.start_run(experiment_id=experiment_id(client, register)):
            logged = mlflow.pyfunc.log_model(name="model", registered_model_name="served", **pyfunc_arguments(exported))
        client.set_registered_model_alias("served", "champion", logged.registered_model_version)
    made.rename(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mine = {name: value for name, value in os.environ.items() if "MLFLOW" not in name}  # MLflow hands on the address it was told
    environment = mine | {
        "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    environment.pop("PYTHONPATH", None)  # it has to find `models` in its own code
    command = "-m mlflow models serve -m models:/served@champion --env-manager local --host 127.0.0.1 --workers 1"
    log = (folder / "server.log").open("w+")
    server = subprocess.Popen(
        [sys.executable, *command.split(), "--port", str(port)],
        cwd=folder,
        env=environment,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(address, server, folder / "server.log")
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
        log.close()


def _wait(address: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/ping", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the server did not come up:\n{log.read_text()[-3000:]}")


def post(address: str, body: dict) -> tuple[int, dict]:
    request = urllib.request.Request(f"{address}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def wav_base64() -> str:
    buffer = io.BytesIO()
    soundfile.write(buffer, WAVE, 16_000, format="WAV", subtype="FLOAT")
    return base64.b64encode(buffer.getvalue()).decode()


def test_audio_over_http_gets_the_models_own_answers(url, tiny_model):
    records = [{"audio": wav_base64(), "text": "Answer this."}, {"text": "Say something."}, {"audio": WAVE.tolist()}]
    status, body = post(url, {"dataframe_records": records, "params": SHORT})
    model, processor = (c.from_pretrained(tiny_model) for c in (InserterForConditionalGeneration, InserterProcessor))
    prompts = [Prompt("Answer this.", WAVE), Prompt("Say something."), Prompt(None, WAVE)]
    assert status == 200
    wanted = [generate_answers(model, processor, [prompt], **SHORT)[0] for prompt in prompts]
    assert body["predictions"] == [{"answer": answer, "error": None, "note": None} for answer in wanted]


def test_a_record_that_cannot_be_answered_says_why_in_its_place(url):
    bad = base64.b64encode(b"this is no audio").decode()
    wrong = [{"audio": bad, "text": "x"}, {"sound": bad}, {"text": 7}, {"text": ["a"]}]
    records = [{"text": "Say something."}, *wrong, {"audio": wav_base64()}]
    status, body = post(url, {"dataframe_records": records, "params": SHORT})
    assert status == 200
    assert [row["answer"] is None for row in body["predictions"]] == [False, True, True, True, True, False]
    told = [row["error"] for row in body["predictions"]]
    assert told[0] is None and "neither base64 of audio nor a readable file" in told[1] and "neither audio nor text" in told[2]
    assert "has the type int" in told[3] and "has the type list" in told[4]


def test_a_request_without_any_known_column_is_a_400_that_says_so(url):
    status, body = post(url, {"dataframe_records": [{"sound": 1}, {"sound": 2}], "params": SHORT})
    assert status == 400 and "no record has `audio` or `text`" in json.dumps(body)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", -1),
        ("batch_size", 0),
        ("max_new_tokens", 0),
        ("max_new_tokens", 10**12),
        ("precision", "fp8"),
        ("max_new_tokens", float("nan")),
        ("batch_size", 10**30),
    ],
)
def test_a_parameter_that_is_not_allowed_is_a_400_that_says_so(url, name, value):
    status, body = post(url, {"dataframe_records": [{"text": "x"}], "params": {name: value}})
    assert status == 400 and name in json.dumps(body)
