"""The MLflow flavour: records of audio and text in, answers or errors out.

No other file of `models` knows MLflow. MLflow keeps this file as the model's code ("models from
code"), so nothing is pickled. `mlflow models serve` needs this file and the package `models` beside
it, but nothing else of the project.
"""

import base64
import io
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import soundfile
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.pyfunc import PythonModel, PythonModelContext
from mlflow.types.schema import AnyType, ColSpec, DataType, ParamSchema, ParamSpec, Schema

from models.room import room
from models.served import BadRecord, Question, decode_audio, read_record
from models.sound import SAMPLE_RATE

__all__ = ["SIGNATURE", "InserterModel", "decode_audio", "input_example", "pyfunc_arguments", "read_record", "requirements"]

REQUIREMENTS = (
    "mlflow",
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "numpy",
    "pandas",
    "soundfile",
    "soxr",
)

# Both columns accept any type. With a fixed type, MLflow would refuse the whole request for a
# single record of another type. `read_record` refuses that record alone.
SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec(AnyType(), name, required=False) for name in ("audio", "text")]),
    outputs=Schema([ColSpec(DataType.string, name, required=False) for name in ("answer", "error", "note")]),
    params=ParamSchema(
        [
            ParamSpec("max_new_tokens", DataType.long, 96),
            ParamSpec("batch_size", DataType.long, 8),
            ParamSpec("precision", DataType.string, "auto"),
        ]
    ),
)
MAX_BATCH = 1_024
PRECISIONS = ("auto", "bf16", "fp32")


class InserterModel(PythonModel):
    """Answers records that have `audio`, `text` or both.

    audio: base64 of a file (as JSON carries it), the bytes of a file, samples at 16 kHz, or the
        path of a file. `models.served` decides which paths may be read.
    """

    def load_context(self, context: PythonModelContext) -> None:
        import torch

        from models import InserterForConditionalGeneration, InserterProcessor

        folder = context.artifacts["model"]
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.processor = InserterProcessor.from_pretrained(folder)
        self.model = InserterForConditionalGeneration.from_pretrained(folder)
        # transformers' annotation hides torch's overloads.
        self.model.to(device)

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return one row per record, in order.

        answer: the model's answer, or None.
        error: why the record has no answer, or None.
        note: how the audio was read, where that is not obvious, or None.

        Raises MlflowException (HTTP 400) if the whole request is wrong: a bad parameter, or no
        record with a known column.
        """
        # A parameter that is null counts as absent.
        params = {name: value for name, value in (params or {}).items() if value is not None}
        self._check(params)
        # MLflow drops unknown columns. If no column is left, the rows are lost as well.
        if not len(model_input.columns):
            raise MlflowException.invalid_parameter_value("no record has `audio` or `text`; give at least one of them")
        rows = [dict.fromkeys(("answer", "error", "note")) for _ in range(len(model_input))]
        asked: dict[int, Question] = {}
        for number, record in enumerate(model_input.to_dict("records")):
            try:
                asked[number] = read_record(record)
                rows[number]["note"] = asked[number].note
            except BadRecord as error:
                rows[number]["error"] = str(error)
        for number, outcome in zip(asked, self._answers(list(asked.values()), params), strict=True):
            rows[number].update(outcome)
        # dtype=object, because pandas turns None into NaN in a column of strings.
        return pd.DataFrame(rows, columns=["answer", "error", "note"], dtype=object)

    def _check(self, params: Mapping[str, Any]) -> None:
        for name, most in (("max_new_tokens", room(self.model.config)), ("batch_size", MAX_BATCH)):
            if name in params and not 1 <= params[name] <= most:
                raise MlflowException.invalid_parameter_value(f"{name} is {params[name]}; give a whole number from 1 to {most:,}")
        if params.get("precision", "auto") not in PRECISIONS:
            given = params["precision"]
            raise MlflowException.invalid_parameter_value(f"precision is {given!r}; give one of {', '.join(PRECISIONS)}")

    def _answers(self, asked: list[Question], params: dict[str, Any]) -> list[dict[str, str]]:
        """Return {"answer": …} or {"error": …} per question.

        Questions that fail together are asked one by one, so that the others are answered.
        """
        from models.generation import Prompt, generate_answers

        try:
            prompts = [Prompt(text=one.text, audio=one.audio) for one in asked]
            refused: dict[int, str] = {}
            answers = generate_answers(self.model, self.processor, prompts, refused=refused, **params)
            return [{"error": refused[i]} if i in refused else {"answer": answer} for i, answer in enumerate(answers)]
        except Exception as error:  # an error of one record must not cost the others their answers
            if len(asked) == 1:
                return [{"error": " ".join(f"the model cannot answer this ({type(error).__name__}: {error})".split())}]
        return [self._answers([one], params)[0] for one in asked]


def input_example() -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return one record as JSON carries it, and parameters.

    The record has a quarter of a second of a 440 Hz tone, as FLAC in base64, and a text. MLflow
    asks the model for this answer when the model is logged. 8 tokens keep that call short.
    """
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(SAMPLE_RATE // 4) / SAMPLE_RATE)
    buffer = io.BytesIO()
    soundfile.write(buffer, tone, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    record = {"audio": base64.b64encode(buffer.getvalue()).decode(), "text": "What do you hear?"}
    return pd.DataFrame([record]), {"max_new_tokens": 8}


def requirements() -> list[str]:
    """Return `name==version` of the packages that run the model, as installed here.

    The local part of a version, such as `+cpu`, is left out.
    """
    return [f"{name}=={version(name).partition('+')[0]}" for name in REQUIREMENTS]


def pyfunc_arguments(folder: Path | str) -> dict[str, Any]:
    """Return the arguments with which MLflow logs or saves the model in `folder`.

    The arguments are the keyword arguments of `mlflow.pyfunc.log_model` and `save_model`.
    """
    here = Path(__file__).resolve()
    return {
        "python_model": str(here),
        "code_paths": [str(here.parent)],
        "artifacts": {"model": str(Path(folder).resolve())},
        "signature": SIGNATURE,
        "input_example": input_example(),
        "pip_requirements": requirements(),
    }


mlflow.models.set_model(InserterModel())
