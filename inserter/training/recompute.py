"""Recompute activations in the backward pass instead of keeping them (gradient checkpointing)."""

from functools import partial

import torch
from torch.utils.checkpoint import CheckpointPolicy, SelectiveCheckpointContext, create_selective_checkpoint_contexts
from transformers import PreTrainedModel

from inserter.params.training import Recompute

aten = torch.ops.aten
PRODUCTS = {aten.mm, aten.addmm, aten.bmm, aten.baddbmm, aten._scaled_mm, aten._grouped_mm}
ATTENTION = ("attention", "attn")  # in the names of the kernels of torch and of flash-attn


def save_memory(model: PreTrainedModel, recompute: Recompute) -> None:
    """Let the layers of `model` keep less for the backward pass. No gradient changes.

    Each transformer layer is a unit: its input is kept. Normalisation, activation functions and
    sums are cheap to recompute. Products and attention are most of a layer's time.
    """
    if recompute == "none":
        return
    given: dict[str, object] = {"use_reentrant": False}
    if recompute == "selective":
        given["context_fn"] = partial(create_selective_checkpoint_contexts, _policy)
    model.gradient_checkpointing_enable(given)


def _policy(context: SelectiveCheckpointContext, op: object, *args: object, **kwargs: object) -> CheckpointPolicy:
    """Keep the results of matrix products and of attention."""
    costly = getattr(op, "overloadpacket", None) in PRODUCTS or any(name in str(op) for name in ATTENTION)
    return CheckpointPolicy.MUST_SAVE if costly else CheckpointPolicy.PREFER_RECOMPUTE
