"""Decide what learns in a phase and how fast: freezing, LoRA, parameter groups, schedule."""

import math
from typing import Any

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from inserter.errors import InserterError
from inserter.params import Lora, Optimizer, Trainable
from models import InserterForConditionalGeneration

Parts = list[tuple[nn.Module, float]]


def parts_of(model: InserterForConditionalGeneration, trainable: Trainable, optimizer: Optimizer) -> Parts:
    """Return (part, learning rate) for what is trained, and freeze everything else.

    With `lora`, the LM is wrapped (see `merge_lora`). Raise InserterError if the encoder is to be
    trained with the adapter `decoder`, or if a target of LoRA matches no layer.
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
        with_lora(model, trainable.lora)
        chosen.append((model.language_model, optimizer.lm_lr))
    elif trainable.lm == "full":
        chosen.append((model.language_model, optimizer.lm_lr))
    for part, _ in chosen:
        if trainable.lm != "lora" or part is not model.language_model:
            part.requires_grad_(True)
    # Whisper's sinusoids are computed, not learnt.
    model.encoder.embed_positions.requires_grad_(False)
    return chosen


def whole_parts(model: InserterForConditionalGeneration, *, encoder: bool) -> list[nn.Module]:
    """Return the parts that every rank keeps whole, since they hear clips ahead of the steps.

    encoder: whether the encoder learns. Then no part is whole.
    """
    if encoder:
        return []
    return [model.encoder, *([model.ear] if model.config.adapter == "decoder" else [])]


def with_lora(model: InserterForConditionalGeneration, lora: Lora) -> None:
    """Wrap the LM in LoRA.

    Raise InserterError if a target matches no linear layer. The head is no target: it may share its
    weights with the embeddings, which a merge would then change.
    """
    from peft import LoraConfig, get_peft_model

    targets = lora.targets if isinstance(lora.targets, str) else list(lora.targets)
    if isinstance(targets, list):
        _refuse_unknown(targets, model.language_model)
    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=targets, lora_dropout=lora.dropout)
    model.language_model = get_peft_model(model.language_model, config)


def _refuse_unknown(targets: list[str], lm: PreTrainedModel) -> None:
    head = lm.get_output_embeddings()
    names = [name for name, layer in lm.named_modules() if isinstance(layer, nn.Linear | Conv1D) and layer is not head]
    unknown = [target for target in targets if not any(f".{name}".endswith(f".{target}") for name in names)]
    if unknown:
        known = ", ".join(sorted({name.rpartition(".")[2] for name in names}))
        raise InserterError(
            f"LoRA's target {unknown[0]!r} matches no linear layer of the LM",
            f"Set trainable.lora.targets to all-linear or to some of {known}",
        )


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
