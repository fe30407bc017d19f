"""Checkpoints to resume from: weights, optimizer states, position and curve.

A checkpoint is either complete or absent. All ranks write it together.
"""

import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer

from inserter.errors import InserterError
from inserter.files import publish, read_json, write_json
from inserter.run.runner import say
from inserter.training.processes import barrier, between_parts, rank, world

POSITION = "position.json"
warnings.filterwarnings("ignore", "torch.distributed is disabled")  # a single process needs none


class Checkpoints:
    """The newest `keep` checkpoints of the run that `key` names, in `folder/step-NNNNNN/`.

    torch.distributed.checkpoint writes them, so a run may resume with another number of ranks.
    Frozen weights are left out. Random states are left out too: random numbers come from
    (seed, step).
    """

    def __init__(self, folder: Path, key: str, keep: int) -> None:
        self.folder, self.key, self.keep = folder, key, keep

    def save(self, step: int, module: nn.Module, optimizer: Optimizer, *, record: Mapping[str, object]) -> None:
        """Write the checkpoint after `step` finished steps and delete the oldest ones.

        record: what else a resume needs (JSON-able).
        """
        from torch.distributed import checkpoint

        new = self.folder / ".new"
        if rank() == 0:
            shutil.rmtree(new, ignore_errors=True)
        barrier()
        # `save` syncs the files to disk.
        checkpoint.save(_state(module, optimizer), checkpoint_id=new, process_group=between_parts(), no_dist=world() == 1)
        barrier()
        if rank() == 0:
            sizes = {file.name: file.stat().st_size for file in new.iterdir()}
            write_json(new / POSITION, {"step": step, "key": self.key, "files": sizes, **record})
            publish(new, self.folder / f"step-{step:06d}")
            for old in self._points()[self.keep :]:
                shutil.rmtree(old)
        barrier()

    def load(self, module: nn.Module, optimizer: Optimizer) -> dict[str, Any] | None:
        """Load the newest complete checkpoint into `module` and `optimizer`.

        Return the checkpoint's record with `step`, or None if there is no checkpoint. Raise
        InserterError for a checkpoint of a run with other data or parameters.
        """
        from torch.distributed import checkpoint
        from torch.distributed.checkpoint.state_dict import StateDictOptions, set_state_dict

        for point in self._points():
            record = self._whole(point)
            if record is None:
                continue
            state = _state(module, optimizer)
            checkpoint.load(state, checkpoint_id=point, process_group=between_parts(), no_dist=world() == 1)
            options = StateDictOptions(strict=False)  # frozen weights are not in the checkpoint
            set_state_dict(module, optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"], options=options)
            return record
        return None

    def _points(self) -> list[Path]:
        """Return the checkpoints, newest first."""
        return sorted(self.folder.glob("step-*"), reverse=True)

    def _whole(self, point: Path) -> dict[str, Any] | None:
        """Return the record of `point`; None, with a message, if a file is missing or cut short."""
        try:
            record = read_json(point / POSITION)
        except InserterError as error:
            return _passed_over(point, str(error))
        for name, size in record["files"].items():
            there = (point / name).stat().st_size if (point / name).exists() else 0
            if there != size:
                return _passed_over(point, f"{name} has {there} of {size} bytes")
        if record["key"] != self.key:
            raise InserterError(
                f"checkpoint {point} is from a run with other data or parameters", "Delete that checkpoint, then run again"
            )
        return record


def _passed_over(point: Path, why: str) -> dict[str, object] | None:
    if rank() == 0:
        say(f"checkpoint {point} is incomplete and skipped: {why}")
    return None


def _state(module: nn.Module, optimizer: Optimizer) -> dict[str, Any]:
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict

    model, state = get_state_dict(module, optimizer, options=StateDictOptions(ignore_frozen_params=True))
    return {"model": model, "optimizer": state}
