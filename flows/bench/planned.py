"""Measure what `inserter plan` estimates: `python -m flows.bench.planned --micro-positions 1000`.

Two steps of the real loop train the model of params.yaml on random clips among real text. The
sequences are as long as the plan estimates. Memory is the peak of resident memory in these steps,
less the resident memory before the model was loaded. A step of one micro-batch is measured, unless
`--batch-positions` is more.
"""

import tempfile
from pathlib import Path
from typing import get_args

import click
import torch

from flows.cost import Work, flop_counter
from flows.plan import plan, work_of
from inserter.params import Params, load
from inserter.params.training import Recompute
from inserter.run.quiet import quiet
from inserter.run.work import WorkFolder
from inserter.training.batches import packed_phase
from inserter.training.examples import Example
from inserter.training.loop import train
from inserter.training.models import new_model
from inserter.training.tokens import Tokens
from models.modeling import IGNORE

MB = 1e6
CLIP = 22  # positions


def resident(field: str) -> float:
    """Return a field of /proc/self/status in bytes: VmRSS, or VmHWM, its peak."""
    line = next(line for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024.0


def settings(params: Params, *, micro: int, batch: int, precision: str, checkpointing: Recompute, lm: str) -> Params:
    """Return `params` with these settings of pre-training, and two steps."""
    changes = {
        "steps": 2,
        "micro_positions": micro,
        "batch_positions": batch,
        "precision": precision,
        "gradient_checkpointing": checkpointing,
        "trainable": params.pretrain.trainable.model_copy(update={"lm": lm}),
    }
    return params.model_copy(update={"pretrain": params.pretrain.model_copy(update=changes)})


def sequence(work: Work, audio: int) -> Example:
    """Return a sequence of `work`: text with two clips. audio: the placeholder of a clip."""
    text = list(range(100, 100 + work.positions - 2 * CLIP))
    ids = [*text[:40], audio, *text[40:60], audio, *text[60:]]
    return Example(tuple(ids), tuple(IGNORE if token == audio else token for token in ids), ("a", "b"), work.positions)


@click.command()
@click.option("--micro-positions", default=1000)
@click.option("--batch-positions", type=int, help="Default: one micro-batch.")
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), default="fp32")
@click.option("--gradient-checkpointing", type=click.Choice(get_args(Recompute)), default="none")
@click.option("--lm", type=click.Choice(["full", "lora", "frozen"]), default="full")
def main(micro_positions: int, batch_positions: int | None, *, precision: str, gradient_checkpointing: Recompute, lm: str) -> None:
    quiet()
    params = settings(
        load(),
        micro=micro_positions,
        batch=batch_positions or micro_positions,
        precision=precision,
        checkpointing=gradient_checkpointing,
        lm=lm,
    )
    found, work = plan(params), work_of(params)
    before = resident("VmRSS")
    model, processor = new_model(params.assets, params.warmup.adapter, 1, delimiters=params.model.delimiters, languages=["en"])
    width = model.config.audio_config.d_model
    clips = {name: torch.cat([torch.randn(CLIP, width), torch.zeros(CLIP, 1), torch.full((CLIP, 1), 99.0)], dim=1) for name in "ab"}
    examples = Tokens.of([sequence(work, processor.audio_token_id)] * 1000)
    phase = packed_phase("p", params.pretrain, model, examples=examples, clips=clips)
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak begins anew
    with tempfile.TemporaryDirectory() as folder:
        outcome = train(model, phase, WorkFolder(folder, {}, []))
    peak, positions = resident("VmHWM") - before, outcome.curve[0]["positions"]
    counter = flop_counter()
    with counter, torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        for piece in phase.task.pieces(0, 0, 1):
            phase.task.loss(piece)[0].backward()
    flop = counter.get_total_flops() / positions
    planned = sum(found.bytes.values()) + found.fragments
    click.echo(
        f"{precision} {lm} micro {micro_positions} of {params.pretrain.batch_positions} checkpointing {gradient_checkpointing}: "
        f"memory {peak / MB:,.0f} MB, planned {planned / MB:,.0f} ({planned / peak:.2f}); "
        f"FLOP per position {flop:.3e}, planned {found.flop_per_position:.3e} ({found.flop_per_position / flop:.2f})"
    )
    click.echo("  " + ", ".join(f"{name} {size / MB:,.0f}" for name, size in [*found.bytes.items(), ("glibc", found.fragments)]))


if __name__ == "__main__":
    main()
