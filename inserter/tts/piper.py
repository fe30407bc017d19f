"""Speak with Piper voices (ONNX): a local .onnx with its .onnx.json beside it, or `embedded:joe`.

English is spoken without Piper's own program: `ipa` makes the phonemes, and onnxruntime runs the
model. Other languages need the phonemiser of `piper-tts`, which is GPL-3.0. `piper-tts` is an extra
that the user chooses, and is imported only when a voice of such a language is named.
"""

import importlib.util
import json
from collections.abc import Callable
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TypedDict

import numpy as np

from inserter.errors import InserterError
from inserter.params import Voice
from inserter.tts import ipa
from inserter.tts.base import CannotSpeak, Synthesizer

EXTRA = "this voice needs Piper's phonemes. Install piper-tts with `pip install 'inserter[piper]'`; piper-tts is GPL-3.0"
START, END, PAD = "^", "$", "_"
EMBEDDED = "embedded:"


class Audio(TypedDict):
    """The sound of a voice."""

    sample_rate: int


class Config(TypedDict, total=False):
    """The .onnx.json of a voice, as far as it is read; the first three keys are always there."""

    phoneme_id_map: dict[str, list[int]]
    audio: Audio
    inference: dict[str, float]
    phoneme_type: str
    espeak: dict[str, str]
    speaker_id_map: dict[str, int] | None
    num_speakers: int


class PiperVoice(Synthesizer):
    """One Piper voice, spoken without noise, because noise would make every run differ."""

    rates = (0.5, 2.0)

    def __init__(self, model: Path, speaker: str | None) -> None:
        import onnxruntime

        self.config = _config(model)
        self.ids: dict[str, list[int]] = self.config["phoneme_id_map"]
        self.sample_rate = int(self.config["audio"]["sample_rate"])
        self.phonemes = _phonemes(model, self.config)
        options = onnxruntime.SessionOptions()
        # One thread in each of many processes.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has its own classes, which depend on its version
            raise InserterError(f"{model} cannot be loaded ({error})", "Give a Piper voice (.onnx)") from error
        self.speaker = _speaker(model, self.config, speaker)

    def synthesize(self, text: str, rate: float) -> np.ndarray:
        parts = [self._sentence(symbols, rate) for symbols in self.phonemes(text)]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def _sentence(self, symbols: str, rate: float) -> np.ndarray:
        known = [self.ids[symbol] for symbol in symbols if symbol in self.ids]
        if not any(symbol.isalpha() for symbol in symbols if symbol in self.ids):
            raise CannotSpeak("zero samples: no phoneme that the voice knows")
        ids = [*self.ids[START], *self.ids[PAD]]
        for one in known:
            ids += [*one, *self.ids[PAD]]
        ids += self.ids[END]
        given = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array([0.0, self.config["inference"].get("length_scale", 1.0) / rate, 0.0], np.float32),
        }
        if self.speaker is not None:
            given["sid"] = np.array([self.speaker], np.int64)
        return self.session.run(None, given)[0].reshape(-1)


def _config(model: Path) -> Config:
    path = Path(f"{model}.json")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        _ = config["phoneme_id_map"], config["audio"]["sample_rate"], config["inference"]
    except (ValueError, KeyError, TypeError) as error:
        raise InserterError(
            f"{path} is not the configuration of a Piper voice ({error})", "Save the voice's own .onnx.json under that name"
        ) from error
    return config


def _is_english(config: Config) -> bool:
    return config.get("phoneme_type", "espeak") == "espeak" and config.get("espeak", {}).get("voice", "").startswith("en")


def _phonemes(model: Path, config: Config) -> Callable[[str], list[str]]:
    """Return a function from a text to espeak-ng's symbols for each of its sentences."""
    if _is_english(config):
        british = config["espeak"]["voice"].startswith("en-gb")
        return lambda text: ipa.phonemes(text, british)
    from piper import PiperVoice as Theirs

    theirs = Theirs.load(str(model))
    return lambda text: ["".join(sentence) for sentence in theirs.phonemize(text)]


def _speaker(model: Path, config: Config, speaker: str | None) -> int | None:
    """Return the number of a speaker given by name or by number; None where there is only one.

    Raises InserterError when the model has no such speaker.
    """
    names = config.get("speaker_id_map") or {}
    if config.get("num_speakers", 1) < 2:
        return None
    if speaker in names:
        return int(names[speaker])
    if speaker and speaker.isdecimal() and int(speaker) < config["num_speakers"]:
        return int(speaker)
    shown = ", ".join(sorted(names)[:20]) or f"0 to {config['num_speakers'] - 1}"
    raise InserterError(f"the Piper voice {model} has no speaker {speaker!r}", f"Set `speaker` to one of {shown}")


def load(voice: Voice) -> PiperVoice:
    return PiperVoice(_model(voice), voice.speaker)


def _model(voice: Voice) -> Path:
    """Return the path of the model of `voice`.

    Raises InserterError when an embedded voice is not installed, or is not the known one.
    """
    if voice.voice.startswith(EMBEDDED):
        from inserter.assets import voice_model

        return voice_model(voice.voice)
    return Path(voice.voice)


def missing(voice: Voice) -> str | None:
    """Return why `voice` cannot be used here, or None."""
    try:
        model, config = files(voice)
    except InserterError as error:
        return str(error)
    for path in (model, config):
        if not path.is_file():
            return f"Piper's voice file {path} is missing. Give the path of an .onnx voice with its .onnx.json, or {EMBEDDED}joe"
    try:
        english = _is_english(_config(model))
    except InserterError as error:
        return str(error)
    return EXTRA if not english and importlib.util.find_spec("piper") is None else None


def files(voice: Voice) -> list[Path]:
    model = _model(voice)
    return [model, Path(f"{model}.json")]


def version(voice: Voice) -> str:
    """Return the name and the version of the package that makes the phonemes."""
    return f"hibari {version_of('hibari-tts')}" if _is_english(_config(_model(voice))) else f"piper {version_of('piper-tts')}"
