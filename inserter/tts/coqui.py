"""Speak with Coqui TTS (package coqui-tts, module TTS), by any model that Coqui can load.

A model is a local folder or a name. Coqui's checkpoints are torch files, which are loaded with
`weights_only`. Only the models that the parameters name are loaded. A model that is not on this
machine is not downloaded: the reason that `missing` returns says how to fetch it.
"""

import importlib.util
import json
import os
import re
from functools import lru_cache
from glob import glob
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import numpy as np

from inserter.errors import InserterError
from inserter.params import Voice
from inserter.seeds import derive
from inserter.tts.base import Synthesizer
from models.sound import read

# A path or glob of recordings, in contrast to the name of a speaker.
_RECORDING = re.compile(r"[*?,/]|\.(wav|flac|ogg|mp3)$", re.IGNORECASE)
EXTRA = "Coqui is not installed. Install it with `pip install 'inserter[coqui]'`"


class CoquiVoice(Synthesizer):
    """One Coqui model, or one speaker of the model.

    A speaker is a name that the model has, or recordings whose voice a capable model clones.
    """

    def __init__(self, voice: str, speaker: str | None, language: str) -> None:
        self.model = _model(voice)
        self.options = self._options(voice, speaker, language)
        self.sample_rate = int(self.model.synthesizer.output_sample_rate)

    def _options(self, voice: str, speaker: str | None, language: str) -> dict[str, str | list[str]]:
        options: dict[str, str | list[str]] = {"language": language} if self.model.is_multi_lingual else {}
        if found := recordings(speaker):
            return {**options, "speaker_wav": [str(path) for path in found]}
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

        with torch.random.fork_rng(devices=[]):  # Coqui's models draw noise; the text seeds it
            torch.manual_seed(derive(0, text))
            return np.asarray(self.model.tts(text, **self.options), dtype=np.float32)


@lru_cache(maxsize=8)
def _model(voice: str) -> Any:
    """Load a model once per process; its speakers share it."""
    # Set before the import, because Coqui looks for newer files of some models by itself.
    os.environ["HF_HUB_OFFLINE"] = "1"
    from TTS.api import TTS

    folder = Path(voice)
    try:
        if folder.is_dir():
            config = folder / "config.json"
            model = TTS(model_path=str(_checkpoint(folder)), config_path=str(config), progress_bar=False)
        else:
            model = TTS(model_name=voice, progress_bar=False)
    except Exception as error:  # whatever a foreign checkpoint makes Coqui raise
        problem = f"Coqui cannot load {voice} ({type(error).__name__}: {error})"
        remedy = "Give a folder with model.pth and the config.json of its training"
        raise InserterError(problem, remedy) from error
    if model.synthesizer.tts_config.model == "xtts":
        from TTS.tts.models import xtts

        xtts.load_audio = _load_recording  # XTTS's own (torchaudio) needs FFmpeg's libraries
    return model


def _load_recording(path: str, rate: int) -> object:
    """Return a tensor (1, samples) at `rate` Hz."""
    import torch

    return torch.from_numpy(read(path, rate).wave).clip(-1, 1)[None]


def load(voice: Voice) -> CoquiVoice:
    return CoquiVoice(voice.voice, voice.speaker, voice.language)


def missing(voice: Voice) -> str | None:
    """Return why `voice` cannot be used here, or None."""
    if importlib.util.find_spec("TTS") is None:
        return EXTRA
    return _missing_model(voice.voice) or _missing_recording(voice.speaker)


def _missing_model(voice: str) -> str | None:
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
            return f"the Coqui model {name} is not in {home}. Download the model with `{fetch}` on a machine with network access"
    return _bad_folder(home / voice.replace("/", "--"))


def _missing_recording(speaker: str | None) -> str | None:
    if not speaker or not _RECORDING.search(speaker) or recordings(speaker):
        return None
    return f"the recording {speaker} does not exist. Set `speaker` to the wav file(s) of the voice to be cloned"


def recordings(speaker: str | None) -> list[Path]:
    """Return the files that `speaker` names by paths or globs with commas between them, in order.

    The list is empty where `speaker` is a name that the model has.
    """
    parts = [part.strip() for part in (speaker or "").split(",") if part.strip()]
    found = [path for part in parts for path in ([part] if Path(part).is_file() else sorted(glob(part)))]  # noqa: PTH207 (absolute)
    return [Path(path) for path in found if Path(path).is_file()]


def _bad_folder(folder: Path) -> str | None:
    config = folder / "config.json"
    if not config.is_file():
        return f"{config} is missing. Put the model's config.json beside its model.pth"
    try:
        kind = json.loads(config.read_text(encoding="utf-8")).get("model")
    except ValueError as error:
        return f"{config} is not valid JSON ({error}). Correct the file"
    if kind == "bark":
        return "Coqui's bark unpickles its checkpoint, which can run any code. Choose another model"
    if not _checkpoint(folder).exists():
        return f"{folder}/model.pth is missing. Put the model's checkpoint there"
    return None


def _checkpoint(folder: Path) -> Path:
    """Return the checkpoint, or the folder for models with several files in it (xtts, tortoise)."""
    kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model")
    return folder if kind in ("xtts", "tortoise") else folder / "model.pth"


def _home() -> Path:
    from trainer.io import get_user_data_dir

    return get_user_data_dir("tts")


def _vocoder(voice: str) -> str | None:
    """Return the second model that a named model needs, by Coqui's own list, or None."""
    from TTS.utils.manage import ModelManager

    kind, language, dataset, model = voice.split("/")
    entry = ModelManager(progress_bar=False).models_dict[kind].get(language, {}).get(dataset, {}).get(model, {})
    return entry.get("default_vocoder")


def files(voice: Voice) -> list[Path]:
    """Return all files of the model's folder, and the recordings whose voice is cloned."""
    folder = Path(voice.voice) if Path(voice.voice).is_dir() else _home() / voice.voice.replace("/", "--")
    return [*sorted(path for path in folder.rglob("*") if path.is_file()), *recordings(voice.speaker)]


def version(_voice: Voice) -> str:
    return version_of("coqui-tts")
