"""The training loop: accelerate carries devices, processes and precision; ours are the order, the resume points and the curve."""

import csv
import math
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from tqdm import tqdm

from stages.common.errors import InserterError
from stages.common.files import atomic, publish, read_json, write_json
from stages.common.params import Optimizer
from stages.common.work import WorkFolder

LIMIT_NOT_FINITE = 5
COLUMNS = ("step", "loss", "positions", "tokens", "lr", "gradient_norm")


@dataclass
class Phase:
    """One run of the loop. loss(step, rank, world) -> (summed loss of this process's share, tokens of the whole step,
    positions of this share): the gradient is that of the mean over the step, whatever the number of processes."""

    name: str
    steps: int
    groups: list[dict[str, Any]]  # parameter groups with their rates
    loss: Callable[[int, int, int], tuple[Tensor, int, int]]
    weight_decay: float
    clip: float
    warmup_share: float
    precision: str
    checkpoint_steps: int


@dataclass
class Outcome:
    curve: list[dict[str, float]] = field(default_factory=list)
    skipped: int = 0
    speed: float | None = None  # positions a second of the steps done in this process

    def summary(self) -> dict[str, Any]:
        """First and last loss as means of up to ten steps, and the totals."""
        losses = [row["loss"] for row in self.curve]
        head = max(1, min(10, len(losses) // 4))
        return {
            "steps": len(losses),
            "loss_first": sum(losses[:head]) / head,
            "loss_last": sum(losses[-head:]) / head,
            "positions": int(sum(row["positions"] for row in self.curve)),
            "tokens_learnt": int(sum(row["tokens"] for row in self.curve)),
            "skipped_not_finite": self.skipped,
        }


def groups_of(model: Any, trainable: Any, optimizer: Optimizer) -> list[dict[str, Any]]:
    """Parameter groups for what is trained; everything else is frozen."""
    model.requires_grad_(False)
    chosen = []
    if trainable.adapter:
        chosen.append((model.adapter, optimizer.adapter_lr))
    if trainable.encoder:
        chosen.append((model.encoder, optimizer.encoder_lr))
    if trainable.lm == "lora":
        from peft import LoraConfig, get_peft_model

        model.language_model = get_peft_model(model.language_model, LoraConfig(target_modules="all-linear"))
        chosen.append((model.language_model, optimizer.lm_lr))
    elif trainable.lm == "full":
        chosen.append((model.language_model, optimizer.lm_lr))
    for part, _ in chosen:
        if trainable.lm != "lora" or part is not model.language_model:
            part.requires_grad_(True)
    return [{"params": [p for p in part.parameters() if p.requires_grad], "lr": rate} for part, rate in chosen]


def merge_lora(model: Any) -> None:
    """LoRA's matrices into the LM's weights, so that what is saved is an ordinary model."""
    if hasattr(model.language_model, "merge_and_unload"):
        model.language_model = model.language_model.merge_and_unload()


def schedule(step: int, steps: int, warmup_share: float) -> float:
    """Linear warm-up, then cosine to 10 %."""
    warmup = max(1, round(steps * warmup_share))
    if step < warmup:
        return (step + 1) / warmup
    return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


class _Share(nn.Module):
    """The loss of a step as a forward pass, so that DDP sees it."""

    def __init__(self, model: nn.Module, loss: Callable) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(self, step: int, rank: int, world: int) -> tuple[Tensor, int, int]:
        return self.loss(step, rank, world)


def train(model: nn.Module, phase: Phase, work: WorkFolder) -> Outcome:
    """Run `phase` to its end, from its last resume point if there is one. The same inputs give the same curve, killed or not."""
    accelerator = Accelerator(mixed_precision="bf16" if phase.precision == "bf16" else "no")
    optimizer = torch.optim.AdamW(phase.groups, betas=(0.9, 0.98), weight_decay=phase.weight_decay)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: schedule(step, phase.steps, phase.warmup_share))
    share, optimizer = accelerator.prepare(_Share(model, phase.loss), optimizer)
    folder = work / f"{phase.name}-checkpoints"
    outcome, first = _resume(accelerator, scheduler, folder)
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    rank, world = accelerator.process_index, accelerator.num_processes
    start = time.monotonic()
    model.train()
    bar = tqdm(range(first, phase.steps), initial=first, total=phase.steps, desc=phase.name, unit="step",
               disable=not accelerator.is_main_process)  # fmt: skip
    for step in bar:
        with accelerator.autocast():
            loss, tokens, positions = share(step, rank, world)
            loss = loss / max(1, tokens)
        accelerator.backward(loss * world)  # DDP takes the mean of the processes, the step's loss is their sum
        norm = float(accelerator.clip_grad_norm_(trained, phase.clip) or 0.0)
        totals = accelerator.reduce(torch.tensor([loss.item(), positions], dtype=torch.float64, device=accelerator.device), "sum")
        finite = math.isfinite(totals[0]) and math.isfinite(norm)
        if finite:
            optimizer.step()
            outcome.curve.append(
                {"step": step, "loss": float(totals[0]), "positions": int(totals[1]), "tokens": tokens,
                 "lr": float(scheduler.get_last_lr()[0]), "gradient_norm": norm}
            )  # fmt: skip
        else:
            outcome.skipped += 1
            if outcome.skipped > LIMIT_NOT_FINITE:
                raise InserterError(
                    f"{phase.name}: the loss was not finite in {outcome.skipped} steps, the last of them {step}",
                    "Lower the learning rates or train in fp32",
                )
        scheduler.step()
        optimizer.zero_grad()
        seconds = time.monotonic() - start
        done = sum(row["positions"] for row in outcome.curve if row["step"] >= first)
        bar.set_postfix(loss=f"{float(totals[0]):.3f}", positions_s=f"{done / seconds:.0f}")
        if (step + 1) % phase.checkpoint_steps == 0 and step + 1 < phase.steps:
            _checkpoint(accelerator, scheduler, folder, step + 1, outcome)
    if outcome.curve and outcome.curve[-1]["step"] >= first:
        done = sum(row["positions"] for row in outcome.curve if row["step"] >= first)
        outcome.speed = done / (time.monotonic() - start)
    optimizer.zero_grad()
    accelerator.free_memory()
    return outcome


def _checkpoint(accelerator: Accelerator, scheduler: Any, folder: Path, step: int, outcome: Outcome) -> None:
    """Write a resume point beside the last one, rename it into place, then drop the last one."""
    new = folder / ".new"
    if accelerator.is_main_process:
        shutil.rmtree(new, ignore_errors=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(new), safe_serialization=True)
    if accelerator.is_main_process:
        write_json(
            new / "position.json",
            {"step": step, "curve": outcome.curve, "skipped": outcome.skipped, "scheduler": scheduler.state_dict()["last_epoch"]},
        )
        for file in new.iterdir():
            with file.open("rb+") as handle:
                os.fsync(handle.fileno())
        publish(new, folder / f"step-{step:06d}")
        for old in sorted(folder.glob("step-*"))[:-1]:
            shutil.rmtree(old)
    accelerator.wait_for_everyone()


def _resume(accelerator: Accelerator, scheduler: Any, folder: Path) -> tuple[Outcome, int]:
    points = sorted(folder.glob("step-*"))
    if not points:
        return Outcome(), 0
    position = read_json(points[-1] / "position.json")
    accelerator.load_state(str(points[-1]))
    scheduler.last_epoch = position["scheduler"]
    for group, base, rate in zip(scheduler.optimizer.param_groups, scheduler.base_lrs, scheduler.lr_lambdas, strict=True):
        group["lr"] = base * rate(scheduler.last_epoch)
    scheduler._last_lr = [group["lr"] for group in scheduler.optimizer.param_groups]
    accelerator.print(f"going on from step {position['step']} ({points[-1]})")
    return Outcome(position["curve"], position["skipped"]), position["step"]


def write_curve(path: Path, curve: list[dict[str, float]]) -> None:
    """The curve as CSV for `dvc plots` and MLflow."""
    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(curve)

    atomic(path, write)
