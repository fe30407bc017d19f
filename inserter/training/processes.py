"""Training over many processes: torchrun starts them, FSDP2 shards the weights, and one process alone needs none of it.

`INSERTER_TORCHRUN="--standalone --nproc-per-node 8" dvc repro pretrain` runs a training stage under torchrun. The step is
the same whatever the number of processes, so it is the machine's business and stands in no parameter.
"""

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

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


def run_training_stage(name: str, main: Callable[[Params], dict[str, Any]]) -> None:
    """`run_stage`, under torchrun where INSERTER_TORCHRUN says how. A worker that dies is started again by torchrun
    (`--max-restarts`), and the stage goes on from its last checkpoint."""
    arguments = os.environ.get(LAUNCH)
    if arguments and "RANK" not in os.environ:
        command = [sys.executable, "-m", "torch.distributed.run", *shlex.split(arguments), "-m", f"stages.{name}"]
        # torchrun keeps one store over its restarts, where new workers find the addresses of the dead: one restart in four hung
        os.execve(sys.executable, command, {**os.environ, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"})
    run_stage(name, main)


def join() -> None:
    """Meet the other processes, over NCCL between GPUs and gloo between CPUs."""
    if world() > 1 and not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")


def barrier() -> None:
    if dist.is_initialized():
        dist.barrier()


@contextmanager
def main_first() -> Iterator[None]:
    """The block in process 0, then in the others, who find its files; they are on a file system that all see."""
    if rank() > 0:
        barrier()
    yield
    if rank() == 0:
        barrier()
    barrier()


def shard(module: nn.Module, device: str) -> None:
    """Weights, gradients and optimizer states of `module` over all processes (FSDP2), a transformer block at a time."""
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
    """The whole weights of a module that may be sharded: in process 0, on the CPU, and {} in the others."""
    if world() == 1:
        return module.state_dict()
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    return cast(dict[str, Tensor], get_model_state_dict(module, options=StateDictOptions(full_state_dict=True, cpu_offload=True)))


def summed(*values: float) -> list[float]:
    """Each of `values` summed over all processes, in float64."""
    if world() == 1:
        return list(values)
    totals = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(totals)  # over gloo: they are on the CPU
    return totals.tolist()


def from_main(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What process 0 has, in all of them. For small things: an adapter."""
    if world() == 1:
        return state
    box = [state]
    dist.broadcast_object_list(box, src=0)
    return box[0]
