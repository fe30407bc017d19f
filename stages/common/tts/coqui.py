"""Coqui TTS (package coqui-tts, module TTS): any model that it can load, from a local folder or by name.

Its checkpoints are torch files, which are loaded with `weights_only`; only what the parameters name is loaded, and what
is not on this machine is not downloaded: the reason says how to fetch it.
"""

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from stages.common.errors import InserterError
from stages.common.seeds import derive
from stages.common.tts.base import Synthesizer

EXTRA = "Coqui is not installed. Install it with `pip install 'inserter[coqui]'`"


class CoquiVoice(Synthesizer):
    """One model, or one speaker of it: a name of the model's own, or a wav file whose voice is cloned where it can."""

    def __init__(self, voice: str, speaker: str | None, language: str) -> None:
        os.environ["HF_HUB_OFFLINE"] = "1"  # before the import: Coqui looks for newer files of some models by itself
        from TTS.api import TTS

        folder = Path(voice)
        try:
            if folder.is_dir():
                config = folder / "config.json"
                self.model: Any = TTS(model_path=str(_checkpoint(folder)), config_path=str(config), progress_bar=False)
            else:
                self.model = TTS(model_name=voice, progress_bar=False)
        except Exception as error:  # whatever a foreign checkpoint makes Coqui raise
            problem = f"Coqui cannot load {voice} ({type(error).__name__}: {error})"
            remedy = "Give a folder with model.pth and the config.json it was trained with"
            raise InserterError(problem, remedy) from error
        self.options = self._options(voice, speaker, language)
        self.sample_rate = int(self.model.synthesizer.output_sample_rate)

    def _options(self, voice: str, speaker: str | None, language: str) -> dict[str, str]:
        options = {"language": language} if self.model.is_multi_lingual else {}
        if speaker and Path(speaker).is_file():
            return {**options, "speaker_wav": speaker}
        if self.model.is_multi_speaker:
            names = sorted(self.model.speakers or [])
            if speaker not in names:
                problem = f"the Coqui model {voice} has no speaker {speaker!r}"
                raise InserterError(problem, f"Set `speaker` to one of {', '.join(names[:20])}, or to a wav file")
            options["speaker"] = str(speaker)
        elif speaker:
            raise InserterError(f"the Coqui model {voice} has one speaker", f"Leave out `speaker: {speaker}`")
        return options

    def synthesize(self, text: str, rate: float) -> np.ndarray:
        import torch

        with torch.random.fork_rng(devices=[]):  # its models draw noise: seeded by the text
            torch.manual_seed(derive(0, text))
            return np.asarray(self.model.tts(text, **self.options), dtype=np.float32)


def missing(voice: str) -> str | None:
    """Why `voice` cannot be used here, or None."""
    if importlib.util.find_spec("TTS") is None:
        return EXTRA
    folder = Path(voice)
    if folder.is_dir():
        return _bad_folder(folder)
    if not voice.startswith("tts_models/") or voice.count("/") != 3:
        remedy = "Give a folder with model.pth and config.json, or tts_models/LANGUAGE/SET/MODEL"
        return f"Coqui has no model {voice!r}. {remedy}"
    home = _home()
    for name in filter(None, [voice, _vocoder(voice)]):
        if not (home / name.replace("/", "--")).is_dir():
            fetch = f"tts --model_name {voice} --text hello --out_path hello.wav"
            return f"the Coqui model {name} is not in {home}. Fetch it with `{fetch}` where there is a network"
    return _bad_folder(home / voice.replace("/", "--"))


def _bad_folder(folder: Path) -> str | None:
    config = folder / "config.json"
    if not config.is_file():
        return f"{config} is not there. Put the model's config.json beside its model.pth"
    try:
        kind = json.loads(config.read_text(encoding="utf-8")).get("model")
    except ValueError as error:
        return f"{config} is not valid JSON ({error}). Mend it"
    if kind == "bark":
        return "Coqui's bark unpickles its checkpoint, which can run anything. Choose another model"
    if not _checkpoint(folder).exists():
        return f"{folder}/model.pth is not there. Put the model's checkpoint there"
    return None


def _checkpoint(folder: Path) -> Path:
    """The checkpoint, or the folder itself for models that keep several files in it (xtts)."""
    kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model")
    return folder if kind in ("xtts", "tortoise") else folder / "model.pth"


def _home() -> Path:
    from trainer.io import get_user_data_dir

    return get_user_data_dir("tts")


def _vocoder(voice: str) -> str | None:
    """The second model that a named one needs, from Coqui's own list."""
    from TTS.utils.manage import ModelManager

    kind, language, dataset, model = voice.split("/")
    entry = ModelManager(progress_bar=False).models_dict[kind].get(language, {}).get(dataset, {}).get(model, {})
    return entry.get("default_vocoder")
