"""The MLflow flavour on the real loader: every way to give audio, and what is refused."""

import base64
import io
import json

import mlflow
import numpy as np
import pandas as pd
import pytest
import soundfile
from mlflow.exceptions import MlflowException

from models import InserterForConditionalGeneration, InserterProcessor
from models.generation import Prompt, generate_answers
from models.pyfunc import decode_audio, pyfunc_arguments

WAVE = (0.1 * np.sin(np.arange(8_000) / 7)).astype(np.float32)
SHORT = {"max_new_tokens": 6}


def wav(wave: np.ndarray, rate: int = 16_000, subtype: str = "FLOAT") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, rate, format="WAV", subtype=subtype)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def saved(tiny_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pyfunc") / "model"
    mlflow.pyfunc.save_model(str(folder), **pyfunc_arguments(tiny_model))
    return folder


@pytest.fixture(scope="module")
def loaded(saved):
    return mlflow.pyfunc.load_model(str(saved))


@pytest.fixture(scope="module")
def expected(tiny_model):
    model, processor = (c.from_pretrained(tiny_model) for c in (InserterForConditionalGeneration, InserterProcessor))

    def answer(text, audio):
        return generate_answers(model, processor, [Prompt(text=text, audio=audio)], **SHORT)[0]

    return answer


def test_path_base64_bytes_and_samples_say_the_same(loaded, expected, tmp_path):
    path = tmp_path / "clip.wav"
    path.write_bytes(wav(WAVE))
    for audio in (str(path), base64.b64encode(wav(WAVE)).decode(), wav(WAVE), WAVE, WAVE.tolist()):
        answers = loaded.predict(pd.DataFrame({"audio": [audio], "text": ["Answer this."]}), params=SHORT)
        assert answers == [expected("Answer this.", WAVE)]


def test_records_mix_heard_read_and_both(loaded, expected):
    data = base64.b64encode(wav(WAVE)).decode()
    records = [{"audio": data}, {"text": "Say something."}, {"audio": data, "text": "Say it."}]
    answers = [expected(None, WAVE), expected("Say something.", None), expected("Say it.", WAVE)]
    assert loaded.predict(pd.DataFrame(records), params=SHORT) == answers
    assert loaded.predict(records, params=SHORT) == answers


def test_other_rates_and_channels_become_16_khz_mono():
    stereo = np.stack([np.sin(np.arange(48_000) / 40), np.zeros(48_000)], axis=1).astype(np.float32)
    wave = decode_audio(wav(stereo, 48_000))
    assert wave.dtype == np.float32 and abs(len(wave) - 16_000) <= 1
    assert 0.45 < np.abs(wave[1_000:-1_000]).max() < 0.55  # the mean of a full-scale sine and silence


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ({"audio": None, "text": None}, "neither audio nor text"),
        ({"audio": "no-such-file.wav", "text": "x"}, "neither a file that exists nor base64"),
        ({"audio": base64.b64encode(b"not audio at all").decode(), "text": "x"}, "cannot be decoded"),
        ({"audio": wav(np.zeros(0, np.float32)), "text": "x"}, "no samples"),
        ({"audio": [0.0, float("nan")], "text": "x"}, "finite"),
        ({"audio": [[0.0, 0.1], [0.1, 0.2]], "text": "x"}, "shape"),
    ],
)
def test_a_bad_record_is_named_and_refused_as_the_callers_mistake(loaded, record, problem):
    good = {"audio": WAVE, "text": "x"}
    with pytest.raises(MlflowException, match=problem) as caught:
        loaded.predict(pd.DataFrame([good, record]))
    assert "record 1" in str(caught.value) and caught.value.get_http_status_code() == 400


def test_the_saved_model_stands_alone_without_pickles_or_hosts(saved):
    files = [path.relative_to(saved).as_posix() for path in saved.rglob("*") if path.is_file()]
    assert "code/models/modeling.py" in files and "artifacts/" in "".join(files)
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".bin", ".pt"))]
    requirements = (saved / "requirements.txt").read_text().split()
    assert any(line.startswith("torch==") for line in requirements)
    assert not [line for line in requirements if "+" in line or "//" in line]
    example = json.loads((saved / "serving_input_example.json").read_text())
    assert set(example["dataframe_split"]["columns"]) == {"audio", "text"}
