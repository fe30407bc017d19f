"""The training loop: accelerate carries device and precision, FSDP2 many processes; ours are the order, the resume points and
the curve."""

import csv
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from tqdm import tqdm

from inserter.errors import InserterError
from inserter.files import atomic
from inserter.run.work import WorkFolder
from inserter.seeds import derive
from inserter.training.checkpoints import Checkpoints
from inserter.training.processes import join, rank, shard, summed, world
from inserter.training.trainable import Parts, groups, schedule

LIMIT_NOT_FINITE = 5
COLUMNS = ("step", "loss", "positions", "tokens", "lr", "gradient_norm")


class Task(Protocol):
    """What is learnt. A step is done in pieces, each with a backward pass of its own, so that a process keeps what one piece takes
    and not what the step takes (gradient accumulation)."""

    def pieces(self, step: int, rank: int, world: int) -> list[Any]:
        """Those of one process; each process has as many, for in every backward pass all of them take part."""

    def loss(self, piece: Any) -> tuple[Tensor, int]:
        """Summed over the piece's tokens, and the piece's positions."""

    def tokens(self, step: int) -> int:
        """Of the whole step: its loss is the mean over them, whatever the number of processes and pieces."""


@dataclass
class Phase:
    """One run of the loop.

    watch: figures of the model as it is, asked for before the first step and after every `watch_steps`; not over many processes,
    whose model is in pieces."""

    name: str
    seed: int  # of what is random in the model (dropout); the order of the data is the task's
    steps: int
    parts: Parts
    task: Task
    weight_decay: float
    clip: float
    warmup_share: float
    precision: str
    checkpoint_steps: int
    keep_checkpoints: int
    watch_steps: int = 0
    watch: Callable[[], dict[str, Any]] | None = None


@dataclass
class Outcome:
    curve: list[dict[str, float]] = field(default_factory=list)
    skipped: int = 0
    watched: list[dict[str, Any]] = field(default_factory=list)
    speed: float | None = None  # positions a second of the steps done in this process

    def record(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {"curve": self.curve, "skipped": self.skipped, "watched": self.watched}

    def summary(self) -> dict[str, Any]:
        """First and last loss as means of up to ten steps (None where there was no step), and the totals."""
        losses = [row["loss"] for row in self.curve]
        head = max(1, min(10, len(losses) // 4))
        first, last = (sum(part) / head if part else None for part in (losses[:head], losses[-head:]))
        return {
            "steps": len(losses),
            "loss_first": first,
            "loss_last": last,
            "positions": int(sum(row["positions"] for row in self.curve)),
            "tokens_learnt": int(sum(row["tokens"] for row in self.curve)),
            "skipped_not_finite": self.skipped,
        }


class _Share(nn.Module):
    """The loss of a piece as the forward pass of one module, which is what FSDP gathers the weights for."""

    def __init__(self, model: nn.Module, loss: Callable) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(self, piece: Any) -> tuple[Tensor, int]:
        return self.loss(piece)


def train(model: nn.Module, phase: Phase, work: WorkFolder) -> Outcome:
    """Run `phase` to its end, from its last checkpoint if there is one. The same inputs give the same curve, killed or not.

    Over many processes the weights of `model` are sharded from here on (`full_state` makes them whole).
    """
    join()
    accelerator = Accelerator(mixed_precision="bf16" if phase.precision == "bf16" else "no")
    share = _Share(model, phase.task.loss)
    shard(share, accelerator.device.type)
    optimizer = torch.optim.AdamW(groups(phase.parts), betas=(0.9, 0.98), weight_decay=phase.weight_decay, fused=True)
    checkpoints = Checkpoints(work / f"{phase.name}-checkpoints", work.key, phase.keep_checkpoints)
    record = checkpoints.load(share, optimizer) or {"step": 0, **Outcome().record()}
    first, outcome = record["step"], Outcome(**{name: record[name] for name in Outcome().record()})
    if first:
        accelerator.print(f"{phase.name}: going on from step {first}")
    else:
        _watch(phase, outcome, 0)
    spent, done = 0.0, 0
    bar = tqdm(range(first, phase.steps), initial=first, total=phase.steps, desc=phase.name, unit="step", disable=rank() > 0)
    for step in bar:
        model.train()
        torch.manual_seed(derive(phase.seed, phase.name, step, rank()))
        start = time.monotonic()
        row = _step(accelerator, share, optimizer, phase, step)
        if row:
            outcome.curve.append(row)
            spent, done = spent + time.monotonic() - start, done + int(row["positions"])
            bar.set_postfix(loss=f"{row['loss']:.3f}", positions_s=f"{done / spent:.0f}")
        else:
            outcome.skipped += 1
            if outcome.skipped > LIMIT_NOT_FINITE:
                raise InserterError(
                    f"{phase.name}: the loss was not finite in {outcome.skipped} steps, the last of them {step}",
                    "Lower the learning rates or train in fp32",
                )
        _watch(phase, outcome, step + 1)
        if (step + 1) % phase.checkpoint_steps == 0 and step + 1 < phase.steps:
            checkpoints.save(step + 1, share, optimizer, outcome.record())
    outcome.speed = done / spent if done else None
    optimizer.zero_grad()
    accelerator.free_memory()
    return outcome


def _watch(phase: Phase, outcome: Outcome, step: int) -> None:
    """After the last step the stage itself measures."""
    if phase.watch and phase.watch_steps and step % phase.watch_steps == 0 and step < phase.steps and world() == 1:
        outcome.watched.append({"step": step, **phase.watch()})


def _step(accelerator: Accelerator, share: nn.Module, optimizer: Any, phase: Phase, step: int) -> dict[str, float] | None:
    """One step's row of the curve; None where loss or gradient is not finite, and then nothing is learnt."""
    scale = schedule(step, phase.steps, phase.warmup_share)
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * scale
    tokens, total, positions = phase.task.tokens(step), 0.0, 0.0
    for piece in phase.task.pieces(step, rank(), world()):
        with accelerator.autocast():
            loss, seen = share(piece)
            loss = loss / max(1, tokens)
        accelerator.backward(loss * world())  # FSDP takes the mean of the processes, the step's loss is their sum
        total, positions = total + loss.item(), positions + seen
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    for p in trained:
        if p.grad is None:  # nothing in this step's loss: it has a state all the same, or a checkpoint could not be read again
            p.grad = torch.zeros_like(p)
    length: Any = torch.nn.utils.clip_grad_norm_(trained, phase.clip)
    norm = float(length.full_tensor() if hasattr(length, "full_tensor") else length)
    total, positions = summed(total, positions)
    finite = math.isfinite(total) and math.isfinite(norm)
    if finite:
        optimizer.step()
    optimizer.zero_grad()
    if not finite:
        return None
    return {
        "step": step,
        "loss": total,
        "positions": int(positions),
        "tokens": tokens,
        "lr": float(optimizer.param_groups[0]["lr"]),
        "gradient_norm": norm,
    }


def write_curve(path: Path, curve: list[dict[str, Any]], columns: Sequence[str] = COLUMNS) -> None:
    """The curve as CSV for `dvc plots` and MLflow."""

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(curve)

    atomic(path, write)
