"""The MLflow flavour on the real loader: every way to give audio, and what is refused."""

import base64
import io
import json
import re

import mlflow
import numpy as np
import pandas as pd
import pytest
import soundfile
from mlflow.exceptions import MlflowException

from models import InserterForConditionalGeneration, InserterProcessor
from models.generation import Prompt, generate_answers
from models.pyfunc import decode_audio, pyfunc_arguments
from models.served import AUDIO_DIR

WAVE = (0.1 * np.sin(np.arange(8_000) / 7)).astype(np.float32)
NOISE = (0.1 * np.random.default_rng(0).standard_normal(16_000 * 300)).astype(np.float32)
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


def alone(answer: str) -> list[dict]:
    return [{"answer": answer, "error": None, "note": None}]


def test_path_base64_bytes_and_samples_say_the_same(loaded, expected, tmp_path, monkeypatch):
    (tmp_path / "clip.wav").write_bytes(wav(WAVE))
    monkeypatch.setenv(AUDIO_DIR, str(tmp_path))
    answer = expected("Answer this.", WAVE)
    packed = base64.b64encode(wav(WAVE)).decode()
    for audio in (str(tmp_path / "clip.wav"), "clip.wav", packed, wav(WAVE), WAVE, WAVE.tolist()):
        answers = loaded.predict(pd.DataFrame({"audio": [audio], "text": ["Answer this."]}), params=SHORT)
        assert answers.to_dict("records") == alone(answer)


def test_records_mix_heard_read_and_both(loaded, expected):
    data = base64.b64encode(wav(WAVE)).decode()
    records = [{"audio": data}, {"text": "Say something."}, {"audio": data, "text": "Say it."}]
    answers = [expected(None, WAVE), expected("Say something.", None), expected("Say it.", WAVE)]
    assert loaded.predict(pd.DataFrame(records), params=SHORT)["answer"].tolist() == answers
    assert loaded.predict(records, params=SHORT)["answer"].tolist() == answers


PACKED = base64.b64encode(wav(WAVE)).decode()
WRITTEN = {
    "line breaks": "\r\n".join(PACKED[i : i + 76] for i in range(0, len(PACKED), 76)) + "\n",
    "the alphabet of URLs": base64.urlsafe_b64encode(wav(WAVE)).decode(),
    "no padding": base64.b64encode(wav(WAVE[:-1])).decode().rstrip("="),
    "a data URI": f"data:audio/wav;base64,{PACKED}",
    "a data URI with parameters": f"data:audio/wav;codecs=1;charset=utf-8;base64,{PACKED}",
    "a data URI in per cent": "data:audio/wav," + "".join(f"%{byte:02x}" for byte in wav(WAVE)),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_base64_is_read_however_it_is_written(name):
    assert len(decode_audio(WRITTEN[name])) in (len(WAVE), len(WAVE) - 1)


def test_short_base64_is_no_path():
    """Also where it has no "/" and is longer than the name of a file may be."""
    silence = [base64.b64encode(wav(np.zeros(n, np.float32), subtype="PCM_16")).decode() for n in (1, 100, 1_000)]
    assert [("/" in text, len(text) > 255) for text in silence] == [(False, False), (False, True), (False, True)]
    assert [len(decode_audio(text)) for text in silence] == [1, 100, 1_000]


def test_a_path_is_read_only_below_the_folder_that_is_named(tmp_path, monkeypatch):
    inside, outside = tmp_path / "inside", tmp_path / "outside.wav"
    (inside / "deep").mkdir(parents=True)
    for path in (inside / "deep/clip.wav", outside):
        path.write_bytes(wav(WAVE))
    (inside / "link.wav").symlink_to(outside)
    (inside / "round.wav").symlink_to(inside / "round.wav")
    with pytest.raises(ValueError, match="neither base64 of audio nor a readable file"):
        decode_audio(str(inside / "deep/clip.wav"))
    monkeypatch.setenv(AUDIO_DIR, str(inside))
    assert np.array_equal(decode_audio("deep/clip.wav"), WAVE) and np.array_equal(decode_audio(str(inside / "deep/clip.wav")), WAVE)
    for name in (str(outside), "../outside.wav", "deep/../../outside.wav", "link.wav", "round.wav", "deep", ".", "a\0b", "x" * 300):
        with pytest.raises(ValueError, match=r"nor a readable file|cannot be decoded|is not base64"):
            decode_audio(name)


def test_a_record_that_spells_control_tokens_is_answered_like_any_other(loaded, expected):
    asked = "What does <|audio|> mean, and <|im_end|>?"
    records = [{"audio": WAVE.tolist(), "text": asked}, {"text": asked}, {"text": "<|audio|><|audio|>"}, {"text": "Say it."}]
    answers = [expected(asked, WAVE), expected(asked, None), expected("<|audio|><|audio|>", None), expected("Say it.", None)]
    assert loaded.predict(records, params=SHORT)["answer"].tolist() == answers


def test_other_rates_and_channels_become_16_khz_mono():
    stereo = np.stack([np.sin(np.arange(48_000) / 40), np.zeros(48_000)], axis=1).astype(np.float32)
    wave = decode_audio(wav(stereo, 48_000))
    assert wave.dtype == np.float32 and abs(len(wave) - 16_000) <= 1
    assert 0.45 < np.abs(wave[1_000:-1_000]).max() < 0.55  # the mean of a full-scale sine and silence


BAD = [
    ({"audio": None, "text": None}, "neither audio nor text"),
    ({"audio": None, "text": "  "}, "neither audio nor text"),
    ({"audio": "no-such-file.wav", "text": "x"}, f"neither base64 of audio nor a readable file. .*{AUDIO_DIR}=FOLDER"),
    ({"audio": base64.b64encode(b"not audio at all" * 40).decode(), "text": "x"}, "cannot be decoded"),
    ({"audio": wav(np.zeros(0, np.float32)), "text": "x"}, "no samples"),
    ({"audio": [0.0, float("nan")], "text": "x"}, "not a number.* number 1, at 0.000 s"),
    ({"audio": [[0.0, 0.1], [0.1, 0.2]], "text": "x"}, "shape"),
    ({"audio": {"bytes": "x"}}, "not a one-dimensional list of numbers"),
    ({"audio": WAVE, "text": 5}, "text must be a string"),
    ({"text": "never " * 20_000}, "positions of speech and text, and 6 tokens may be answered; the model has room for 2,048"),
    ({"audio": NOISE, "text": "x"}, r"^the prompt has [\d,]+ positions of speech and text, and 6 tokens may be answered"),
]


def test_a_record_fails_alone_and_says_why_in_its_place(loaded, expected):
    good = {"audio": WAVE, "text": "x"}
    records = [record for bad, _ in BAD for record in (good, bad)]
    rows = loaded.predict(pd.DataFrame(records), params=SHORT).to_dict("records")
    assert rows[::2] == alone(expected("x", WAVE)) * len(BAD)
    for row, (_, problem) in zip(rows[1::2], BAD, strict=True):
        assert row["answer"] is None and re.search(problem, row["error"]) and "\n" not in row["error"]


def test_whole_numbers_and_cancelling_channels_are_noted(loaded):
    pcm = np.rint(WAVE * 32_767).astype(int).tolist()
    opposite = wav(np.stack([WAVE, -WAVE], axis=1))
    notes = loaded.predict([{"audio": pcm}, {"audio": opposite}, {"audio": WAVE}], params=SHORT)["note"].tolist()
    assert "16-bit PCM" in notes[0] and "cancel each other out" in notes[1] and notes[2] is None


@pytest.mark.parametrize("params", [{"batch_size": -3}, {"max_new_tokens": -1}, {"max_new_tokens": 10**9}, {"precision": "int4"}])
def test_a_parameter_that_is_not_allowed_is_the_callers_mistake(loaded, params):
    with pytest.raises(MlflowException, match=rf"{next(iter(params))} is .*; give ") as caught:
        loaded.predict([{"text": "x"}], params=params)
    assert caught.value.get_http_status_code() == 400


def test_the_saved_model_stands_alone_without_pickles_or_hosts(saved):
    files = [path.relative_to(saved).as_posix() for path in saved.rglob("*") if path.is_file()]
    assert "code/models/modeling.py" in files and "artifacts/" in "".join(files)
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".bin", ".pt"))]
    requirements = (saved / "requirements.txt").read_text().split()
    assert any(line.startswith("torch==") for line in requirements)
    assert not [line for line in requirements if "+" in line or "//" in line]
    example = json.loads((saved / "serving_input_example.json").read_text())
    assert set(example["dataframe_split"]["columns"]) == {"audio", "text"}


def test_the_bytes_of_a_file_as_a_list_of_numbers_are_a_file():
    buffer = io.BytesIO()
    soundfile.write(buffer, WAVE, 16_000, format="W64", subtype="PCM_16")
    for data in (wav(WAVE), buffer.getvalue()):
        assert np.array_equal(decode_audio(list(data)), decode_audio(data))
    assert len(decode_audio([82, 73, 300, 70])) == 4, "samples, since no byte is 300"


def test_a_data_uri_may_have_blanks_around_it():
    data = wav(WAVE)
    packed = base64.b64encode(data).decode()
    assert np.array_equal(decode_audio(f" data:audio/wav;base64, {packed}\n"), decode_audio(data))


def test_text_that_cannot_be_encoded_costs_its_record_alone(loaded):
    texts = pd.DataFrame({"text": pd.Series(["half \udcff", "whole"], dtype=object)})
    rows = loaded.unwrap_python_model().predict(None, texts, SHORT)
    assert [error and "surrogate" in error for error in rows["error"]] == [True, None]
