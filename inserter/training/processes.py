"""Train over many processes (ranks): torchrun starts them, and FSDP2 shards the weights.

A single process needs neither. This command runs a training stage under torchrun:

    INSERTER_TORCHRUN="--standalone --nproc-per-node 8" dvc repro pretrain

The step is the same for any number of ranks. The number is therefore a property of the machine, and
no parameter.
"""

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from inserter.errors import InserterError
from inserter.params import Params
from inserter.run.runner import run_stage

Value = TypeVar("Value")
Item = TypeVar("Item")

LAUNCH = "INSERTER_TORCHRUN"
# How long a rank waits for the others within a step. A longer silence means a rank that hangs: the
# rank that waits then ends with an error, and torchrun restarts all ranks.
STEP_TIMEOUT = timedelta(minutes=10)
# How long a rank waits for the others between two parts of a stage, where one rank may work for
# hours: synthesis and verification of prompts, a checkpoint on a slow disk. A rank that dies there
# is noticed at once; only a rank that hangs costs the whole time.
PART_TIMEOUT = timedelta(hours=24)


def rank() -> int:
    return int(os.environ.get("RANK", "0"))


def world() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def run_training_stage(name: str, main: Callable[[Params], Mapping[str, Any]]) -> None:
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

    def taking_part(params: Params) -> Mapping[str, Any]:
        with _one_line_for_lost_ranks():
            return main(params)

    run_stage(name, taking_part)


@contextmanager
def _one_line_for_lost_ranks() -> Iterator[None]:
    """Raise InserterError where a collective fails because another rank has died or hangs."""
    try:
        yield
    except RuntimeError as error:
        # gloo raises plain RuntimeErrors that name its source file.
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        raise InserterError(
            f"another rank has died or hangs ({' '.join(str(error).split())[:160]})",
            "Read the messages of the other ranks; torchrun restarts all ranks as often as --max-restarts says",
        ) from error


class _Parts:
    """The gloo group whose collectives wait for PART_TIMEOUT; None before `join`."""

    group: dist.ProcessGroup | None = None


def join(step: timedelta = STEP_TIMEOUT, part: timedelta = PART_TIMEOUT) -> None:
    """Join the other ranks, over NCCL between GPUs and over gloo between CPUs.

    step: time-out of the collectives within a step. part: time-out of all others (`barrier`,
    `main_first`, `from_main`, `gathered`), which use a gloo group of their own.
    """
    if world() > 1 and not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        # A process group would also wait for `step` alone until all ranks have started.
        store, _, _ = next(dist.rendezvous("env://"))
        dist.init_process_group(backend, store=store, rank=rank(), world_size=world(), timeout=step)
        _Parts.group = dist.new_group(backend="gloo", timeout=part)


def between_parts() -> dist.ProcessGroup | None:
    """Return the group for collectives before which ranks may work for hours; None for one rank."""
    return _Parts.group


def barrier() -> None:
    """Wait for all ranks, for PART_TIMEOUT at most."""
    if dist.is_initialized():
        dist.barrier(between_parts())


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


def shard(module: nn.Module, device: str, precision: str, *, whole: Sequence[nn.Module] = ()) -> None:
    """Shard weights, gradients and optimizer states of `module` over all ranks (FSDP2).

    Each transformer block is a unit of its own.

    precision: with "bf16", ranks gather weights in bf16, which halves what they send and what a
        unit takes in memory. Shards, optimizer states and sums of gradients stay fp32. Autocast is
        still needed: inputs that no module made, like encoder states, are fp32.
    whole: frozen parts, which every rank keeps whole. They may work outside the step.
    """
    if world() == 1:
        return
    barrier()  # ranks come from work of different lengths; the first step waits for STEP_TIMEOUT
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    mesh = init_device_mesh(device, (world(),))
    # Inputs are not cast: rows of the adapter `decoder` hold ids, which bf16 would round.
    in_bf16 = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32, cast_forward_inputs=False)
    policy = in_bf16 if precision == "bf16" else MixedPrecisionPolicy()
    left_out = {inner for part in whole for inner in part.modules()}
    for part in reversed(list(module.modules())):  # inner blocks first
        if isinstance(part, nn.ModuleList) and part not in left_out:
            for block in part:
                fully_shard(block, mesh=mesh, mp_policy=policy)
    ignored = {weight for part in whole for weight in part.parameters()}
    fully_shard(module, mesh=mesh, mp_policy=policy, ignored_params=ignored)


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


def from_main(value: Value) -> Value:
    """Return rank 0's `value` on all ranks; for something small, like an adapter."""
    if world() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0, group=between_parts())
    return box[0]


def my_share(items: Sequence[Item]) -> Sequence[Item]:
    """Return the items that this rank works on: every world-th."""
    return items[rank() :: world()]


def gathered(mine: Sequence[Item]) -> list[Item]:
    """Return the results of all ranks on all ranks, in the order of the items.

    mine: this rank's results, one per item of `my_share`.
    """
    if world() == 1:
        return list(mine)
    shares: list[Sequence[Item]] = [[]] * world()
    dist.all_gather_object(shares, mine, group=between_parts())
    return [share[i] for i in range(len(shares[0])) for share in shares if i < len(share)]
