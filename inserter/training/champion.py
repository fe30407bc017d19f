"""Begin a training with the weights of the registered champion."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig

from inserter.errors import InserterError
from inserter.params import Assets, Register
from models import InserterForConditionalGeneration

BASE = "Set pretrain.from to base"
# Of a part's configuration: where it was loaded from and by which version, not what it is.
INCIDENTAL = ("_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version")
NAMED = ("assets.lm", "assets.encoder")


@dataclass(frozen=True)
class Champion:
    """A version of the registered model."""

    model: str
    version: int
    run: str
    """Id of the MLflow run that made the version."""
    fingerprint: str
    """Of what the version was made from."""
    register: Register
    """Where the registry is."""
    parts: dict[str, str]
    """The LM and the encoder that it was trained from, by parameter."""

    def lineage(self) -> dict[str, object]:
        """Return what the report says of the version."""
        return {"model": self.model, "version": self.version, "run": self.run, "fingerprint": self.fingerprint}


def champion(register: Register) -> Champion:
    """Return the version with the alias `champion`; nothing is loaded and nothing is written.

    Raises InserterError if there is none, or if the registry cannot be read.
    """
    from inserter.registry.place import join_workspace, local_file
    from inserter.registry.tracking import CHAMPION, connect
    from inserter.registry.versions import by_alias

    if local := local_file(register):
        join_workspace(local)
        if not local.exists():
            raise _none(register)
    client = connect(register)
    version = by_alias(client, register.model, CHAMPION)
    if version is None:
        raise _none(register)
    run = client.get_run(version.run_id or "")
    return Champion(
        model=register.model,
        version=int(version.version),
        run=run.info.run_id,
        fingerprint=version.tags.get("fingerprint", "unknown"),
        register=register,
        parts={name: run.data.params[name] for name in NAMED if name in run.data.params},
    )


def _none(register: Register) -> InserterError:
    from inserter.registry.place import tracking_uri

    return InserterError(
        f"pretrain.from is champion, and {register.model} has no champion in {tracking_uri(register)}",
        f"{BASE}, or promote a version with `inserter promote`",
    )


def take_over(model: InserterForConditionalGeneration, version: Champion, assets: Assets) -> None:
    """Copy the weights of `version` into `model`, which is new.

    Raises InserterError if the LM, the encoder or the adapter is another one, or if the files of
    the version cannot be read.
    """
    wanted = {"assets.lm": assets.lm, "assets.encoder": assets.encoder}
    for name, value in version.parts.items():
        if value != wanted[name]:
            raise _differs(version, f"{name} was {value}, and is {wanted[name]}")
    there = InserterForConditionalGeneration.from_pretrained(_folder(version), dtype=torch.float32)
    if found := next(differences(there.config, model.config), None):
        raise _differs(version, found)
    try:
        model.load_state_dict(there.state_dict())
    except RuntimeError as error:
        raise _differs(version, " ".join(str(error).split())[:160]) from error


def _differs(version: Champion, what: str) -> InserterError:
    problem = f"pretrain.from is champion, and version {version.version} of {version.model} is another model ({what})"
    return InserterError(problem, f"Set the parameter to what the champion has, or: {BASE}")


def _folder(version: Champion) -> Path:
    """Return the folder of the version's model on this machine. MLflow downloads it if needed."""
    from mlflow.exceptions import MlflowException

    from inserter.registry.tracking import connect
    from inserter.registry.versions import model_folder

    try:
        return model_folder(connect(version.register), version.model, str(version.version), place=None)
    except (MlflowException, OSError) as error:
        problem = f"version {version.version} of {version.model} cannot be loaded ({' '.join(str(error).split())[:160]})"
        raise InserterError(problem, f"Restore its files, or: {BASE}") from error


def differences(old: PreTrainedConfig, new: PreTrainedConfig) -> Iterator[str]:
    """Yield where two architectures differ, as `adapter was pooling, and is decoder`."""
    before, after = (dict(_flat(config.to_dict())) for config in (old, new))
    for key in sorted({*before, *after}):
        if key.startswith(("adapter", "text_config.", "audio_config.")) and before.get(key) != after.get(key):
            yield f"{key} was {before.get(key)}, and is {after.get(key)}"


def _flat(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, item in value.items():
        if key in INCIDENTAL:
            continue
        if isinstance(item, dict):
            yield from _flat(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item
