"""The other side of the speed: transformers' Trainer with padded batches."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import Trainer, TrainerCallback, TrainingArguments

from flows.gpu_check.bundle import Setup
from inserter.training.examples import Example
from inserter.training.states import States, batch
from inserter.training.trainable import groups, parts_of
from models import InserterForConditionalGeneration
from models.packing import IGNORE

WARM_UP, STEPS = 2, 4


def padded_batch(model: InserterForConditionalGeneration, items: list[Example], states: States) -> dict[str, Tensor]:
    """Return the inputs of the model's forward pass. Rows are padded to the longest."""
    ids = [torch.tensor(item.ids) for item in items]
    rows = {
        "input_ids": pad_sequence(ids, batch_first=True),
        "attention_mask": pad_sequence([torch.ones_like(row) for row in ids], batch_first=True),
        "labels": pad_sequence([torch.tensor(item.labels) for item in items], batch_first=True, padding_value=IGNORE),
    }
    names = [clip for item in items for clip in item.clips]
    if names:
        rows["states"], rows["state_lengths"] = batch([states[name] for name in names], model.device)
    return {name: tensor.to(model.device) for name, tensor in rows.items()}


def arguments(folder: Path | str, rows: int, *, device: str, precision: str, **others: Any) -> TrainingArguments:
    """Return arguments for `rows` rows a batch, which save and report nothing."""
    return TrainingArguments(
        str(folder),
        per_device_train_batch_size=rows,
        bf16=precision == "bf16",
        use_cpu=device == "cpu",
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        **others,
    )


class _Timer(TrainerCallback):
    """Notes when each step ends, and the positions that were collated by then."""

    def __init__(self, collated: list[int], device: torch.device) -> None:
        self.collated, self.device = collated, device
        self.ends: list[tuple[float, int]] = []

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        self.ends.append((time.perf_counter(), sum(self.collated[: len(self.ends) + 1])))


def padded_speed(on: Setup, rows: int) -> float:
    """Return real positions per second of a Trainer with `rows` rows a batch."""
    model, tokens, states, settings = on
    collated: list[int] = []

    def collate(items: list[Example]) -> dict[str, Tensor]:
        collated.append(sum(item.positions for item in items))
        return padded_batch(model, items, states)

    timer = _Timer(collated, model.device)
    optimizer = torch.optim.AdamW(groups(parts_of(model, settings.trainable, settings.optimizer)), lr=0.0, fused=True)
    for group in optimizer.param_groups:
        group["lr"] = 0.0  # both sides leave the weights as they are
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    with TemporaryDirectory(prefix="inserter-trainer-") as folder:
        chosen = arguments(folder, rows, device=model.device.type, precision=settings.precision, max_steps=WARM_UP + STEPS)
        Trainer(model, chosen, collate, tokens, optimizers=(optimizer, schedule), callbacks=[timer]).train()
    (began, before), (ended, after) = timer.ends[WARM_UP - 1], timer.ends[-1]
    return (after - before) / (ended - began)
