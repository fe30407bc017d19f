"""The MLflow flavour: audio (and text) in, an answer out. The only file of `models` that knows MLflow.

MLflow keeps this file as the model's code ("models from code"), so nothing is pickled. It stands alone with the package
`models` beside it: `mlflow models serve` needs nothing else of the project.
"""

import base64
import binascii
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

SAMPLE_RATE = 16_000
REQUIREMENTS = (
    "mlflow", "torch", "transformers", "tokenizers", "safetensors", "numpy", "pandas", "soundfile", "soxr",
)  # fmt: skip

# One column takes a path, base64, bytes or samples, so its type is open; `decode_audio` refuses what it cannot read.
SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec(AnyType(), "audio", required=False), ColSpec(DataType.string, "text", required=False)]),
    outputs=Schema([ColSpec(DataType.string)]),
    params=ParamSchema(
        [
            ParamSpec("max_new_tokens", DataType.long, 96),
            ParamSpec("batch_size", DataType.long, 8),
            ParamSpec("precision", DataType.string, "auto"),
        ]
    ),
)


class InserterModel(PythonModel):
    """Answers records with `audio` and optional `text`; a record has at least one of them.

    audio: the path of a file, base64 of one (what JSON carries), its bytes, or float samples (n,) at 16 kHz.
    """

    def load_context(self, context: PythonModelContext) -> None:
        import torch

        from models import InserterForConditionalGeneration, InserterProcessor

        folder = context.artifacts["model"]
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.processor = InserterProcessor.from_pretrained(folder)
        self.model = InserterForConditionalGeneration.from_pretrained(folder)
        self.model.to(device)  # type: ignore[arg-type]  # transformers' annotation hides torch's overloads

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> list[str]:
        """One answer a record, in order. Raises MlflowException (HTTP 400) that names the record and its fault."""
        from models.generation import Prompt, generate_answers

        prompts = []
        for number, record in enumerate(model_input.to_dict("records")):
            try:
                prompts.append(Prompt(**read_record(record)))
            except ValueError as error:
                raise MlflowException.invalid_parameter_value(f"record {number}: {error}") from error
        return generate_answers(self.model, self.processor, prompts, **(params or {})) if prompts else []


def read_record(record: Mapping[Any, Any]) -> dict[str, Any]:
    """{"text": str | None, "audio": (n,) float32 | None}. Raises ValueError when neither is there."""
    audio, text = (record.get(name) for name in ("audio", "text"))
    audio = None if _missing(audio) else decode_audio(audio)
    text = None if _missing(text) else str(text)
    if audio is None and not text:
        raise ValueError("has neither audio nor text; give `audio` (path, base64, bytes or samples) or `text`")
    return {"text": text, "audio": audio}


def decode_audio(value: Any) -> np.ndarray:
    """(n,) float32 at 16 kHz, mono, from a path, base64 text, bytes, or samples at 16 kHz. Raises ValueError."""
    if isinstance(value, bytes | bytearray | memoryview):
        return _decode_bytes(bytes(value))
    if isinstance(value, str | Path):
        return _decode_bytes(_file_bytes(str(value)))
    try:
        wave = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError) as error:
        kind = type(value).__name__
        raise ValueError(f"audio of type {kind} cannot be read; give a path, base64, bytes or samples") from error
    if wave.ndim != 1 or not wave.size or not np.isfinite(wave).all():
        raise ValueError(f"samples must be a non-empty list of finite numbers at 16 kHz, got shape {wave.shape}")
    return wave


def _file_bytes(value: str) -> bytes:
    """The bytes of an audio file that is named, or written in base64 (with or without `data:...;base64,`)."""
    if len(value) < 4096 and Path(value).is_file():  # longer than any path: base64
        return Path(value).read_bytes()
    try:
        return base64.b64decode(value.partition(";base64,")[2] or value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"audio {value[:60]!r} is neither a file that exists nor base64") from error


def _decode_bytes(data: bytes) -> np.ndarray:
    try:
        wave, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, TypeError) as error:
        raise ValueError(f"audio cannot be decoded ({error}); give wav, flac, ogg or mp3") from error
    if not len(wave):
        raise ValueError("audio has no samples")
    mono = wave.mean(axis=1)
    if rate == SAMPLE_RATE:
        return mono
    import soxr

    return soxr.resample(mono, rate, SAMPLE_RATE, quality="HQ").astype(np.float32)


def _missing(value: Any) -> bool:
    """None, or the NaN that pandas puts where a record lacks a column."""
    return value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))


def input_example() -> tuple[pd.DataFrame, dict[str, Any]]:
    """One record as JSON carries it (a quarter of a second of a 440 Hz tone, FLAC in base64, and a text), and parameters.

    MLflow asks the model for this answer when it is logged: 8 tokens keep that short.
    """
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(SAMPLE_RATE // 4) / SAMPLE_RATE)
    buffer = io.BytesIO()
    soundfile.write(buffer, tone, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    record = {"audio": base64.b64encode(buffer.getvalue()).decode(), "text": "What do you hear?"}
    return pd.DataFrame([record]), {"max_new_tokens": 8}


def requirements() -> list[str]:
    """`name==version` of what runs the model, as installed here (without a build's local part such as `+cpu`)."""
    return [f"{name}=={version(name).partition('+')[0]}" for name in REQUIREMENTS]


def pyfunc_arguments(folder: Path | str) -> dict[str, Any]:
    """Keyword arguments of `mlflow.pyfunc.log_model` and `save_model` for the saved model in `folder`."""
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
