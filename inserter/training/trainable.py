"""Decide what learns in a phase and how fast: freezing, LoRA, parameter groups, schedule."""

import math
from typing import Any

from torch import nn

from inserter.errors import InserterError
from inserter.params import Optimizer, Trainable
from models import InserterForConditionalGeneration

Parts = list[tuple[nn.Module, float]]


def parts_of(model: InserterForConditionalGeneration, trainable: Trainable, optimizer: Optimizer) -> Parts:
    """Return (part, learning rate) for what is trained, and freeze everything else.

    With `lora`, the LM is wrapped (see `merge_lora`). Raise InserterError if the encoder is to be
    trained with the adapter `decoder`.
    """
    if trainable.encoder and model.config.adapter == "decoder":
        raise InserterError(
            "the encoder cannot learn: a recogniser's text has no gradient",
            "Set trainable.encoder to false, or set warmup.adapter.kind to another adapter",
        )
    model.requires_grad_(False)
    chosen: Parts = []
    if trainable.adapter:
        chosen.append((model.adapter, optimizer.adapter_lr))
    if trainable.encoder:
        chosen.append((model.encoder, optimizer.encoder_lr))
    if trainable.lm == "lora":
        with_lora(model)
        chosen.append((model.language_model, optimizer.lm_lr))
    elif trainable.lm == "full":
        chosen.append((model.language_model, optimizer.lm_lr))
    for part, _ in chosen:
        if trainable.lm != "lora" or part is not model.language_model:
            part.requires_grad_(True)
    # Whisper's sinusoids are computed, not learnt.
    model.encoder.embed_positions.requires_grad_(False)
    return chosen


def with_lora(model: InserterForConditionalGeneration) -> None:
    from peft import LoraConfig, get_peft_model

    model.language_model = get_peft_model(model.language_model, LoraConfig(target_modules="all-linear"))


def merge_lora(model: InserterForConditionalGeneration) -> None:
    """Merge LoRA's matrices into the LM's weights, so that an ordinary model is saved."""
    if hasattr(model.language_model, "merge_and_unload"):
        model.language_model = model.language_model.merge_and_unload()


def groups(parts: Parts) -> list[dict[str, Any]]:
    """Return the optimizer's parameter groups; `base_lr` is the rate that the schedule scales."""
    return [{"params": [p for p in part.parameters() if p.requires_grad], "lr": rate, "base_lr": rate} for part, rate in parts]


def schedule(step: int, steps: int, warmup_share: float) -> float:
    """Return the factor on the learning rate: linear warm-up, then cosine to 10 %."""
    warmup = max(1, round(steps * warmup_share))
    if step < warmup:
        return (step + 1) / warmup
    return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
