"""Compile the LM's layers for training (torch.compile)."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from inserter.errors import InserterError


def compile_layers(lm: nn.Module) -> None:
    """Compile the forward and the backward pass of each transformer layer of `lm`.

    The layers share their kernels, which take rows of any length. Attention stays as it is, because
    each row has other sequences. In evaluation mode nothing is compiled, so that measurements do
    not depend on it. Raise InserterError if torch cannot compile on this machine.
    """
    _try_out(next(lm.parameters()).device)
    for layer in _layers(lm):
        layer.forward = _in_training(layer)


def _layers(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the members of the outermost lists of modules: the layers of any LM of transformers."""
    if isinstance(module, nn.ModuleList):
        yield from module
        return
    for child in module.children():
        yield from _layers(child)


def _in_training(layer: nn.Module) -> Callable[..., Any]:
    plain, fast = layer.forward, torch.compile(layer.forward, dynamic=True)

    def forward(*args: Any, **kwargs: Any) -> Any:
        return (fast if layer.training else plain)(*args, **kwargs)

    return forward


def _try_out(device: torch.device) -> None:
    """Compile one sum, so that a machine without a compiler is known before training."""
    try:
        torch.compile(lambda x: x + 1)(torch.ones(8, device=device))
    except Exception as error:  # torch raises errors of many kinds, and those of the compiler
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InserterError(
            f"torch.compile does not work on this machine: {reason}",
            "Install a C++ compiler and Python's header files, or set pretrain.compile to false",
        ) from error
