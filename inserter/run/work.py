"""Half-done work that survives a kill: a folder outside DVC's outputs, keyed by a hash of its inputs.

`dvc repro` deletes a stage's outputs before it runs it, so what is to be resumed cannot live in them.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from inserter.files import fingerprint, link, publish, read_json, write_json
from inserter.paths import WORK

PUBLISHED = "published"
RESUME_POINTS = "*-checkpoints"


class WorkFolder:
    """`.work/STAGE/KEY/`, KEY from everything that decides the result (parameters, input files)."""

    def __init__(self, stage: str, params: Any, inputs: Iterable[Path | str] = (), keep_older: bool = False) -> None:
        """`params`: JSON-able. `inputs`: files, or folders (all files below them count); by name and contents, wherever they are.

        keep_older: for a stage that takes from its earlier work what is still good (`older`), until it calls `drop_older`.
        """
        files = [found for path in inputs for found in _files(Path(path))]
        files.sort(key=lambda found: (found[0], str(found[1])))
        self.key = fingerprint(params, [name for name, _ in files], files=[file for _, file in files])
        self.root = WORK / stage / self.key
        if os.environ.get("RANK", "0") != "0":  # of a training over many processes the first one looks after the folder
            return
        for leftover in self.root.rglob(".*.tmp"):  # of a write that was killed: it would be published with the rest
            leftover.unlink()
        write_json(self.root / "key.json", {"stage": stage, "params": params, "inputs": [name for name, _ in files]})
        (self.root / f"{PUBLISHED}.done.json").unlink(missing_ok=True)
        if not keep_older:
            self.drop_older()

    @property
    def older(self) -> list[Path]:
        """The folders of earlier attempts, half-done or finished, the newest first."""
        others = [other for other in self.root.parent.iterdir() if other != self.root and other.is_dir()]
        return sorted(others, key=lambda other: -other.stat().st_mtime)

    def drop_older(self) -> None:
        for other in self.older:  # one attempt is kept: an older one belongs to other inputs
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
        shutil.copytree(self.root / name, staged, copy_function=link)
        published = publish(staged, target)
        self.mark(PUBLISHED, {})
        return published

    def marker(self, name: str) -> dict | None:
        """What was recorded when the part `name` was finished, or None."""
        path = self.root / f"{name}.done.json"
        return read_json(path) if path.exists() else None

    def mark(self, name: str, value: dict) -> None:
        write_json(self.root / f"{name}.done.json", value)


def drop_resume_points(running: str) -> None:
    """Remove the resume points of stages other than `running` whose result is published: 1.7 GB each in the default run.

    DVC starts a stage when those before it are on record. Until then they stay: killed before the record, a stage goes on there.
    """
    for mark in WORK.glob(f"*/*/{PUBLISHED}.done.json"):
        if mark.parts[-3] != running:
            for points in mark.parent.glob(RESUME_POINTS):
                shutil.rmtree(points, ignore_errors=True)


def _files(path: Path) -> list[tuple[str, Path]]:
    """(name below `path`'s own folder, file) of a file, or of all files of a folder: the same in every checkout."""
    if path.is_file():
        return [(path.name, path)]
    return [(str(file.relative_to(path.parent)), file) for file in path.rglob("*") if file.is_file()]
