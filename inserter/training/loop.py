"""The training loop.

accelerate handles device and precision, and FSDP2 handles many ranks. The order of the data, the
checkpoints and the curve are our own.
"""

import csv
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from inserter.errors import InserterError
from inserter.files import atomic
from inserter.params import Register
from inserter.run.work import WorkFolder
from inserter.seeds import derive
from inserter.training.budget import Budget, decided, measured
from inserter.training.checkpoints import Checkpoints
from inserter.training.live import Live
from inserter.training.processes import join, rank, shard, summed, world
from inserter.training.ranklog import RankLog
from inserter.training.trainable import Parts, groups, schedule

LIMIT_NOT_FINITE = 5
Piece = TypeVar("Piece")
COLUMNS = ("step", "loss", "positions", "tokens", "lr", "gradient_norm")


class Task(Protocol[Piece]):
    """What is learnt.

    A step runs in pieces (micro-batches), each with a backward pass of its own (gradient
    accumulation). A rank therefore needs the memory of one piece, not that of the step.
    """

    def pieces(self, step: int, rank: int, world: int) -> list[Piece]:
        """Return the pieces of one rank.

        Every rank has equally many pieces, because all ranks take part in every backward pass.
        """

    def loss(self, piece: Piece) -> tuple[Tensor, int]:
        """Return the loss summed over the piece's tokens, and the piece's positions."""

    def tokens(self, step: int) -> int:
        """Return the number of learnt tokens in the whole step.

        The loss of a step is the mean over these tokens, whatever the number of ranks and pieces.
        """


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One run of the loop."""

    name: str
    seed: int
    """For what is random in the model (dropout). The task decides the order of the data."""

    steps: int
    parts: Parts
    """What is trained, each part with its learning rate."""

    task: Task[Any]
    weight_decay: float
    clip: float
    """Largest norm of the gradient."""

    warmup_share: float
    """Share of the steps in which the learning rate rises, 0 to 1."""

    precision: str
    """bf16 or fp32."""

    checkpoint_steps: int
    """Steps between two checkpoints."""

    keep_checkpoints: int
    """Number of checkpoints that stay on disk."""

    minutes: float | None = None
    """If given, as many steps as fit into this time, in place of `steps` (see `budget`)."""

    whole: Sequence[nn.Module] = ()
    """Frozen parts of the model that also work between steps. Many ranks do not shard them."""

    watch_steps: int = 0
    """Steps between two calls of `watch`; 0: no calls."""

    watch: Callable[[], dict[str, object]] | None = None
    """Returns figures of the model as it is.

    Called before the first step and after every `watch_steps` steps, except after the last step.
    Not called over many ranks, whose model is sharded.
    """


@dataclass
class Outcome:
    """The result of a phase."""

    curve: list[dict[str, float]] = field(default_factory=list)
    """One row (COLUMNS) per step that was not skipped."""

    skipped: int = 0
    """Number of steps whose loss or gradient was not finite."""

    watched: list[dict[str, object]] = field(default_factory=list)
    """The figures of `Phase.watch`, each with its step."""

    speed: float | None = None
    """Positions per second over the steps done in this process; None if it did none."""

    steps: int = 0
    """Steps of the phase, as given or as they fit into `Phase.minutes`."""

    budget: Budget | None = None
    """What fits into `Phase.minutes`; None without it."""

    def record(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of the outcome."""
        return {"curve": self.curve, "skipped": self.skipped, "watched": self.watched}

    def summary(self) -> dict[str, object]:
        """Return the first and last loss and the totals.

        The losses are means of up to ten steps, or None if there was no step.
        """
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
    """The loss of a piece as the forward pass of one module, for which FSDP gathers the weights."""

    def __init__(self, model: nn.Module, loss: Callable[[object], tuple[Tensor, int]]) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(self, piece: object) -> tuple[Tensor, int]:
        return self.loss(piece)


def train(model: nn.Module, phase: Phase, work: WorkFolder, *, register: Register | None = None) -> Outcome:
    """Run `phase` to its end, from its last checkpoint if there is one.

    The same inputs give the same curve, whether or not a run was killed. Over many ranks, the
    weights of `model` are sharded from here on (`full_state` gathers them). Raise InserterError if
    the loss is not finite in more than LIMIT_NOT_FINITE steps.

    register: where each step is reported (see `Live`), beside the work folder.
    """
    with Live(phase.name, work, COLUMNS, register=register) as live:
        return _train(model, phase, work, live=live)


def _train(model: nn.Module, phase: Phase, work: WorkFolder, *, live: Live) -> Outcome:
    join()
    accelerator = Accelerator(mixed_precision="bf16" if phase.precision == "bf16" else "no")
    log = RankLog(work / "ranks")
    share = _Share(model, log.counted(phase.task.loss))
    shard(share, accelerator.device.type, phase.precision, whole=phase.whole)
    optimizer = torch.optim.AdamW(groups(phase.parts), betas=(0.9, 0.98), weight_decay=phase.weight_decay, fused=True)
    checkpoints = Checkpoints(work / f"{phase.name}-checkpoints", work.key, phase.keep_checkpoints)
    record = checkpoints.load(share, optimizer) or {"step": 0, **Outcome().record()}
    first, outcome = record["step"], Outcome(**{name: record[name] for name in Outcome().record()})
    if phase.minutes is not None:
        outcome.budget = decided(phase.name, phase.minutes, work, trial=_trial(accelerator, share, phase))
        phase = replace(phase, steps=outcome.budget.steps)
    outcome.steps = phase.steps
    live.begin(outcome.curve)
    if first:
        accelerator.print(f"{phase.name}: resuming at step {first}")
    else:
        _watch(phase, outcome, 0)
    spent, done = 0.0, 0
    bar = tqdm(range(first, phase.steps), initial=first, total=phase.steps, desc=phase.name, unit="step", disable=rank() > 0)
    for step in bar:
        model.train()
        torch.manual_seed(derive(phase.seed, phase.name, step, rank()))
        start = time.monotonic()
        with log.step(step):
            row = _step(accelerator, share, optimizer, phase=phase, step=step)
        if row:
            outcome.curve.append(row)
            live.add(row)
            spent, done = spent + time.monotonic() - start, done + int(row["positions"])
            bar.set_postfix(loss=f"{row['loss']:.3f}", positions_s=f"{done / spent:.0f}")
        else:
            outcome.skipped += 1
            if outcome.skipped > LIMIT_NOT_FINITE:
                raise InserterError(
                    f"{phase.name}: the loss was not finite in {outcome.skipped} steps, last in step {step}",
                    "Lower the learning rates or train in fp32",
                )
        _watch(phase, outcome, step + 1)
        if (step + 1) % phase.checkpoint_steps == 0 and step + 1 < phase.steps:
            checkpoints.save(step + 1, share, optimizer, record=outcome.record())
    outcome.speed = done / spent if done else None
    optimizer.zero_grad()
    accelerator.free_memory()
    return outcome


def rate(model: nn.Module, phase: Phase) -> Budget:
    """Return how fast this process trains `phase`, and the steps of a minute. No weight changes."""
    accelerator = Accelerator(mixed_precision="bf16" if phase.precision == "bf16" else "no")
    return measured(1.0, _trial(accelerator, _Share(model, phase.task.loss), phase))


def _trial(accelerator: Accelerator, share: nn.Module, phase: Phase) -> Callable[[int], int]:
    """Return what runs a step as training does, at a learning rate of 0: no weight changes."""
    still = [(part, 0.0) for part, _ in phase.parts]
    optimizer = torch.optim.AdamW(groups(still), betas=(0.9, 0.98), weight_decay=phase.weight_decay, fused=True)

    def trial(step: int) -> int:
        share.train()
        row = _step(accelerator, share, optimizer, phase=phase, step=step)
        return int(row["positions"]) if row else 0

    return trial


def _watch(phase: Phase, outcome: Outcome, step: int) -> None:
    """Record the figures of `watch` if they are due at `step`.

    After the last step no figures are due, because the stage itself measures.
    """
    if phase.watch and phase.watch_steps and step % phase.watch_steps == 0 and step < phase.steps and world() == 1:
        outcome.watched.append({"step": step, **phase.watch()})


def _step(accelerator: Accelerator, share: nn.Module, optimizer: Optimizer, *, phase: Phase, step: int) -> dict[str, float] | None:
    """Run one step and return its row of the curve.

    If the loss or the gradient is not finite, learn nothing and return None.
    """
    scale = schedule(step, phase.steps, phase.warmup_share)
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * scale
    tokens, positions = phase.task.tokens(step), 0
    losses: list[Tensor] = []
    for piece in phase.task.pieces(step, rank(), world()):
        with accelerator.autocast():
            loss, seen = share(piece)
            loss = loss / max(1, tokens)
        # FSDP takes the mean over the ranks, but the loss of a step is the sum over the ranks.
        accelerator.backward(loss * world())
        losses.append(loss.detach())
        positions += seen
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    for p in trained:
        # A parameter outside this step's loss needs an optimizer state too. Without the state, a
        # checkpoint could not be loaded.
        if p.grad is None:
            p.grad = torch.zeros_like(p)
    length = torch.nn.utils.clip_grad_norm_(trained, phase.clip)
    norm = length.full_tensor() if hasattr(length, "full_tensor") else length
    # The only place of a step where the CPU waits for a GPU.
    *each, norm = torch.stack([*losses, norm.to(losses[0])]).tolist()
    total, seen_by_all = summed(sum(each), positions)
    finite = math.isfinite(total) and math.isfinite(norm)
    if finite:
        optimizer.step()
    optimizer.zero_grad()
    if not finite:
        return None
    return {
        "step": step,
        "loss": total,
        "positions": int(seen_by_all),
        "tokens": tokens,
        "lr": float(optimizer.param_groups[0]["lr"]),
        "gradient_norm": norm,
    }


def write_curve(path: Path, curve: Sequence[Mapping[str, object]], columns: Sequence[str] = COLUMNS) -> None:
    """Write the curve as CSV for `dvc plots` and MLflow."""

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(curve)

    atomic(path, write)
