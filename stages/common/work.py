"""Half-done work that survives a kill: a folder outside DVC's outputs, keyed by a hash of its inputs.

`dvc repro` deletes a stage's outputs before it runs it, so what is to be resumed cannot live in them.
"""

import os
import shutil
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from stages.common.files import fingerprint, publish, read_json, write_json
from stages.common.paths import WORK


def code(*packages: str) -> list[Path]:
    """The Python files of importable packages: half-done work of older code must not be gone on with."""
    folders = [Path(spec.origin).parent for spec in map(find_spec, packages) if spec and spec.origin]
    return [file for folder in folders for file in sorted(folder.glob("*.py"))]


class WorkFolder:
    """`.work/STAGE/KEY/`, KEY from everything that decides the result (parameters, input files)."""

    def __init__(self, stage: str, params: Any, inputs: Iterable[Path | str] = ()) -> None:
        """`params`: JSON-able. `inputs`: files, or folders (all files below them count)."""
        files = sorted(f for i in inputs for f in ([Path(i)] if Path(i).is_file() else Path(i).rglob("*")) if f.is_file())
        self.stage = stage
        self.key = fingerprint(params, [str(f) for f in files], files=files)
        self.root = WORK / stage / self.key
        for leftover in self.root.rglob(".*.tmp"):  # of a write that was killed: it would be published with the rest
            leftover.unlink()
        write_json(self.root / "key.json", {"stage": stage, "params": params, "inputs": [str(f) for f in files]})
        for other in (WORK / stage).iterdir():  # one attempt is kept: an older one belongs to other inputs
            if other != self.root and other.is_dir():
                shutil.rmtree(other, ignore_errors=True)

    def __truediv__(self, name: str) -> Path:
        return self.root / name

    def publish(self, name: str, target: Path | str) -> Path:
        """Make the finished sub-folder `name` appear at `target` atomically, by hard links.

        The folder stays here until the inputs change: killed between this and DVC's own record, the stage is run
        again by DVC and has nothing left to do.
        """
        target = Path(target)
        staged = target.with_name(f".{target.name}.new")
        shutil.rmtree(staged, ignore_errors=True)
        shutil.copytree(self.root / name, staged, copy_function=_link)
        return publish(staged, target)

    def marker(self, name: str) -> dict | None:
        """What was recorded when the part `name` was finished, or None."""
        path = self.root / f"{name}.done.json"
        return read_json(path) if path.exists() else None

    def mark(self, name: str, value: dict) -> None:
        write_json(self.root / f"{name}.done.json", value)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target)
