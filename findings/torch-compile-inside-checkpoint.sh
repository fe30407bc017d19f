#!/bin/bash
# In torch 2.13.0 nothing inside `torch.utils.checkpoint.checkpoint` is compiled, and nothing says so.
#
# A module whose layers were compiled one by one (`layer.compile()`, as is usual for transformers) calls the backend for its layers.
# With the same layers under gradient checkpointing, as transformers 5.23.0 lays it around each layer after
# `gradient_checkpointing_enable()`, the backend is never called: all runs uncompiled, without a warning. A call that is compiled
# as a whole, with the checkpoints inside, is compiled.
#
# Seen (backend calls):
#   torch 2.13.0  layers compiled: 1  the same under checkpoint: 0  checkpoint compiled from outside: 1
#   transformers 5.23.0  Llama layers compiled: at least 1  with gradient_checkpointing_enable(): 0
# Exits 0 while this is so, 1 when it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/seen.py" <<'PY'
import sys
import warnings

import torch
import transformers
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import LlamaConfig, LlamaForCausalLM

calls: list[int] = []
warned: list[str] = []
warnings.showwarning = lambda message, *rest: warned.append(str(message))


def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]):
    calls.append(1)
    return graph.forward


def counted(run) -> int:
    torch.compiler.reset()
    calls.clear()
    run()
    return len(calls)


def layers() -> list[nn.Module]:
    found = [nn.Linear(4, 4) for _ in range(2)]
    for layer in found:
        layer.compile(backend=backend)
    return found


def plain() -> None:
    x = torch.randn(3, 4, requires_grad=True)
    for layer in layers():
        x = layer(x)
    x.sum().backward()


def inside() -> None:
    x = torch.randn(3, 4, requires_grad=True)
    for layer in layers():
        x = checkpoint(layer, x, use_reentrant=False)
    x.sum().backward()


def outside() -> None:
    linear = nn.Linear(4, 4)
    whole = torch.compile(lambda x: checkpoint(linear, x, use_reentrant=False), backend=backend)
    whole(torch.randn(3, 4, requires_grad=True)).sum().backward()


def llama(checkpointing: bool) -> None:
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 32}
    model = LlamaForCausalLM(LlamaConfig(**size)).train()
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    for layer in model.model.layers:
        layer.compile(backend=backend)
    ids = torch.arange(8)[None]
    model(input_ids=ids, labels=ids, use_cache=False).loss.backward()


one, none, whole = counted(plain), counted(inside), counted(outside)
print(f"torch {torch.__version__}  layers compiled: {one}  the same under checkpoint: {none}  compiled from outside: {whole}")
without, with_it = counted(lambda: llama(False)), counted(lambda: llama(True))
print(f"transformers {transformers.__version__}  Llama layers compiled: {without}  with checkpointing: {with_it}")
about = [text for text in warned if "compile" in text or "checkpoint" in text]
print(f"warnings about it: {about}")
sys.exit(not (one and whole and without and none == with_it == 0 and not about))
PY
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet transformers==5.23.0 torch==2.13.0 numpy
"$folder/venv/bin/python" "$folder/seen.py"
