"""Train over many processes (ranks): torchrun starts them, and FSDP2 shards the weights.

A single process needs neither. This command runs a training stage under torchrun:

    INSERTER_TORCHRUN="--standalone --nproc-per-node 8" dvc repro pretrain

The step is the same for any number of ranks. The number is therefore a property of the machine, and
no parameter.
"""

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from inserter.params import Params
from inserter.run.runner import run_stage

LAUNCH = "INSERTER_TORCHRUN"


def rank() -> int:
    return int(os.environ.get("RANK", "0"))


def world() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def run_training_stage(name: str, main: Callable[[Params], dict[str, object]]) -> None:
    """Run a stage, under torchrun if INSERTER_TORCHRUN has its arguments.

    torchrun restarts a worker that dies (`--max-restarts`), and the stage resumes from its last
    checkpoint.
    """
    arguments = os.environ.get(LAUNCH)
    if arguments and "RANK" not in os.environ:
        command = [sys.executable, "-m", "torch.distributed.run", *shlex.split(arguments), "-m", f"stages.{name}"]
        # By default torchrun keeps one store over its restarts. New workers found the addresses of
        # dead ones there, and one restart in four hung.
        os.execve(sys.executable, command, {**os.environ, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"})
    run_stage(name, main)


def join() -> None:
    """Join the other ranks, over NCCL between GPUs and over gloo between CPUs."""
    if world() > 1 and not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")


def barrier() -> None:
    if dist.is_initialized():
        dist.barrier()


@contextmanager
def main_first() -> Iterator[None]:
    """Run the block on rank 0, then on the other ranks, which find the files of rank 0.

    All ranks have to see the same file system.
    """
    if rank() > 0:
        barrier()
    yield
    if rank() == 0:
        barrier()
    barrier()


def shard(module: nn.Module, device: str) -> None:
    """Shard weights, gradients and optimizer states of `module` over all ranks (FSDP2).

    Each transformer block is a unit of its own.
    """
    if world() == 1:
        return
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device, (world(),))
    for part in reversed(list(module.modules())):  # inner blocks first
        if isinstance(part, nn.ModuleList):
            for block in part:
                fully_shard(block, mesh=mesh)
    fully_shard(module, mesh=mesh)


def full_state(module: nn.Module) -> dict[str, Tensor]:
    """Return the whole weights of a module that may be sharded.

    Over many ranks, rank 0 gets the weights on the CPU, and the other ranks get {}.
    """
    if world() == 1:
        return module.state_dict()
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    return cast(dict[str, Tensor], get_model_state_dict(module, options=StateDictOptions(full_state_dict=True, cpu_offload=True)))


def summed(*values: float) -> list[float]:
    """Return each of `values` summed over all ranks, in float64."""
    if world() == 1:
        return list(values)
    totals = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(totals)  # over gloo, since the totals are on the CPU
    return totals.tolist()


def from_main(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return rank 0's `state` on all ranks; for something small, like an adapter."""
    if world() == 1:
        return state
    box = [state]
    dist.broadcast_object_list(box, src=0)
    return box[0]
