"""Keep unfinished work outside DVC's outputs, in a folder that is keyed by a hash of its inputs.

The work survives a kill and can be resumed. `dvc repro` deletes the outputs of a stage before it
runs the stage, so work to be resumed cannot be kept in the outputs.
"""

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from inserter.files import fingerprint, link, publish, read_json, write_json
from inserter.paths import WORK

PUBLISHED = "published"
RESUME_POINTS = "*-checkpoints"


class WorkFolder:
    """The folder `.work/STAGE/KEY/` of one attempt.

    KEY is a hash of everything that decides the result: parameters and input files.
    """

    def __init__(self, stage: str, params: object, inputs: Iterable[Path | str] = (), *, keep_older: bool = False) -> None:
        """Open the folder and remove the stage's earlier attempts.

        params: JSON-able.
        inputs: files, or folders with all files below them. Names and contents count, not places.
        keep_older: keep earlier attempts (`older`) until `drop_older`, for a stage that reuses what
        is still valid in them.
        """
        files = [found for path in inputs for found in _files(Path(path))]
        files.sort(key=lambda found: (found[0], str(found[1])))
        self.key = fingerprint(params, [name for name, _ in files], files=[file for _, file in files])
        self.root = WORK / stage / self.key
        if os.environ.get("RANK", "0") != "0":  # in a training, rank 0 alone maintains the folder
            return
        # A killed write leaves its temporary file, which would be published with the rest.
        for leftover in self.root.rglob(".*.tmp"):
            leftover.unlink()
        write_json(self.root / "key.json", {"stage": stage, "params": params, "inputs": [name for name, _ in files]})
        (self.root / f"{PUBLISHED}.done.json").unlink(missing_ok=True)
        if not keep_older:
            self.drop_older()

    @property
    def older(self) -> list[Path]:
        """The folders of earlier attempts, unfinished or finished, newest first."""
        others = [other for other in self.root.parent.iterdir() if other != self.root and other.is_dir()]
        return sorted(others, key=lambda other: -other.stat().st_mtime)

    def drop_older(self) -> None:
        """Remove the earlier attempts, which belong to other inputs."""
        for other in self.older:
            shutil.rmtree(other, ignore_errors=True)

    def __truediv__(self, name: str) -> Path:
        return self.root / name

    def publish(self, name: str, target: Path | str) -> Path:
        """Make the finished subfolder `name` appear at `target` atomically, by hard links.

        The work folder stays until the inputs change. If the stage is killed before DVC records the
        result, DVC runs the stage again, and the stage has nothing left to do.
        """
        target = Path(target)
        staged = target.with_name(f".{target.name}.new")
        shutil.rmtree(staged, ignore_errors=True)
        shutil.copytree(self.root / name, staged, copy_function=link)
        published = publish(staged, target)
        self.mark(PUBLISHED, {})
        return published

    def marker(self, name: str) -> dict[str, object] | None:
        """Return what was recorded when the part `name` was finished, or None."""
        path = self.root / f"{name}.done.json"
        return read_json(path) if path.exists() else None

    def mark(self, name: str, value: Mapping[str, object]) -> None:
        """Record that the part `name` is finished, with `value`."""
        write_json(self.root / f"{name}.done.json", value)


def drop_resume_points(running: str) -> None:
    """Remove the resume points of stages other than `running` whose results are published.

    Each resume point takes 1.7 GB in the default run. DVC starts a stage once it has recorded the
    stages before. Until that record, the resume points stay, so that a killed stage can resume.
    """
    for mark in WORK.glob(f"*/*/{PUBLISHED}.done.json"):
        if mark.parts[-3] != running:
            for points in mark.parent.glob(RESUME_POINTS):
                shutil.rmtree(points, ignore_errors=True)


def _files(path: Path) -> list[tuple[str, Path]]:
    """Return (name, file) for the file `path`, or for all files of the folder `path`.

    A name is relative to the parent of `path`, so it is the same in every checkout.
    """
    if path.is_file():
        return [(path.name, path)]
    return [(str(file.relative_to(path.parent)), file) for file in path.rglob("*") if file.is_file()]
