"""Resolve names in params.yaml that are not embedded: local folders and hub names."""

import re
from collections.abc import Sequence
from pathlib import Path

from inserter.errors import InserterError

PREFIX = "embedded:"
# Weights only as safetensors or as CTranslate2's model.bin: neither has to be unpickled.
_WANTED = ["*.json", "*.safetensors", "*.txt", "*.jinja", "*.model", "model.bin"]


def folder_of(name: str) -> Path:
    """Return the folder of `name`, a local path or a hub name (org/name).

    A hub name is downloaded. Raises InserterError if `name` is neither.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if re.fullmatch(r"[\w.-]+/[\w.-]+", name) and not name.startswith("."):
        return _download(name)
    raise InserterError(
        f"asset {name!r} is neither a folder, a hub name (org/name) nor {PREFIX}NAME",
        "Correct the section `assets` of params.yaml",
    )


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=_WANTED))
    except Exception as error:  # requests', httpx' or its own, by version of the client
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InserterError(
            f"{name} is not a local folder, and the hub download failed ({reason})",
            "Download the files elsewhere and give their folder in params.yaml, or use an embedded: asset",
        ) from error


def require(folder: Path, patterns: Sequence[str], what: str) -> Path:
    """Return `folder` if each pattern matches a file in it.

    Raises InserterError that names the pattern without a match.
    """
    for pattern in patterns:
        if not any(folder.glob(pattern)):
            raise InserterError(f"{folder} has no {pattern}, so it is not {what}", "Give a complete model folder in params.yaml")
    return folder
