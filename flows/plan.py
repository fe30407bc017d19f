"""`inserter plan`: estimate parameters, positions, memory and FLOP of pre-training.

The estimates come from the models' shapes alone; no weight is loaded. Each estimate has its rule.
The estimates say which machine to ask for, not how long a run will last.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from inserter.errors import InserterError
from inserter.params import Params
from inserter.yaml_files import read_yaml
from models.encoder import ENCODER_FRAMES
from models.processor import TAIL_SECONDS

if TYPE_CHECKING:
    from torch.nn import Parameter
    from transformers import PreTrainedConfig

    from flows.cost import LmCost, Work
    from models import InserterForConditionalGeneration

KNOWN = Path(__file__).with_name("known_models.yaml")
WORDS_PER_SECOND, TOKENS_PER_WORD = 2.5, 1.3
# Free memory that glibc's allocator keeps, as a share of the activations without checkpointing.
# Fitted to the runs in docs/TRAINING.md. GPUs have another allocator, which was not measured.
FRAGMENTS = 0.28
SPOKEN_TOKENS = WORDS_PER_SECOND * TOKENS_PER_WORD  # per second


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What pre-training takes."""

    parameters: dict[str, int]
    """Number of parameters by part."""

    trained: int
    """Number of parameters that learn, over all parts."""

    positions: int
    """LM positions per step."""

    micro_positions: int
    """LM positions in a process at a time."""

    steps: int
    processes: int
    """Number of processes that share the weights."""

    speech_share: float
    """Share of the positions that are speech."""

    flop_per_position: float
    """FLOP of the steps, with attention's quadratic part."""

    flop_ahead: float
    """FLOP of encoding the clips once, before the first step; 0 if the encoder learns."""

    bytes: dict[str, float]
    """Memory of one process, by purpose, at the peak."""

    fragments: float
    """Bytes of free memory that glibc's allocator keeps beside it, on a CPU."""

    @property
    def flop(self) -> float:
        return self.flop_per_position * self.positions * self.steps + self.flop_ahead

    def hours(self, tflops: float, utilisation: float) -> float:
        """Return the hours that cards of a peak of `tflops` need, at a share of their peak."""
        return self.flop / (tflops * 1e12 * utilisation * self.processes) / 3600


def plan(params: Params, processes: int = 1) -> Plan:
    """Estimate what `params.pretrain` takes on `processes` under FSDP2.

    Each process has `micro_positions` at a time.
    """
    from flows.cost import encoder_flop, lm_cost, step_flop
    from inserter.training.recompute import save_memory
    from inserter.training.trainable import parts_of

    p = params.pretrain
    model = shapes(params)
    parts = {"lm": model.language_model, "encoder": model.encoder, "adapter": model.adapter}
    if params.warmup.adapter.kind == "decoder":
        parts["decoder of the recogniser"] = model.ear
    parameters = {name: sum(q.numel() for q in part.parameters()) for name, part in parts.items()}
    learning = parts_of(model, p.trainable, p.optimizer)
    save_memory(model, p.gradient_checkpointing)
    model.train()
    trained = sum(q.numel() for part, _ in learning for q in part.parameters() if q.requires_grad)
    work = work_of(params)
    lm = lm_cost(model, work, bf16=p.precision == "bf16", recompute=p.gradient_checkpointing)
    flop = step_flop(model, work, lm, recompute=p.gradient_checkpointing) / work.positions
    frames = 0.0 if p.trainable.encoder else min(frames_of(params), work.frames / work.positions * p.batch_positions * p.steps)
    ahead = frames / work.frames * encoder_flop(model, work) if frames else 0.0
    micro = min(p.micro_positions, math.ceil(p.batch_positions / processes))
    size = memory(model, params, micro=micro, cost=lm, length=work.positions, trained=trained, processes=processes)
    return Plan(
        parameters=parameters,
        trained=trained,
        positions=p.batch_positions,
        micro_positions=micro,
        steps=p.steps,
        processes=processes,
        speech_share=work.speech / work.positions,
        flop_per_position=flop,
        flop_ahead=ahead,
        bytes=size,
        fragments=FRAGMENTS * (lm.passed / work.positions * micro + size["logits"]),
    )


def memory(
    model: "InserterForConditionalGeneration",
    params: Params,
    *,
    micro: int,
    cost: "LmCost",
    length: int,
    trained: int,
    processes: int,
) -> dict[str, float]:
    """Return the bytes of one process at the peak of a step, by purpose.

    cost: of a sequence of `length` positions.

    In a step of one micro-batch, gradients take the place of the activations that the backward pass
    frees. Several micro-batches add to the same gradients. Over several processes, each holds its
    share of the weights, and gathers those that it uses.
    """
    from inserter.training.trainable import whole_parts

    p, text = params.pretrain, model.config.text_config
    half = p.precision == "bf16"
    whole = {q for part in whole_parts(model, encoder=p.trainable.encoder) for q in part.parameters()} if processes > 1 else set()
    weights = sum(q.numel() for q in whole) + sum(q.numel() for q in model.parameters() if q not in whole) / processes
    matrices = sum(q.numel() for q in model.language_model.parameters() if q.dim() > 1 and q.requires_grad)
    used = gathered(model, whole) * (2 if half else 4) if processes > 1 else 2.0 * matrices * half
    gradients = 4 * trained / processes
    activations = cost.kept / length * micro
    # One tensor of logits, at the learnt tokens; its gradient takes its place.
    logits = (2 if half else 4) * micro * (1 - speech_share(params)) * text.vocab_size
    single = processes * micro >= p.batch_positions
    return {
        "weights (fp32)": 4 * weights,
        "AdamW (fp32)": 8 * trained / processes,
        "gradients (fp32)": max(0.0, gradients - activations - logits) if single else gradients,
        "gathered weights" if processes > 1 else "bf16 copies of the LM's weights": used,
        "activations": activations,
        "logits": logits,
    }


def gathered(model: "InserterForConditionalGeneration", whole: Collection["Parameter"]) -> int:
    """Return how many of FSDP's sharded weights a process holds whole at a time.

    These are the weights outside of the blocks, and two blocks: one in use and the next one. whole:
    weights that are not sharded.
    """
    from torch import nn

    lists = [part for part in model.modules() if isinstance(part, nn.ModuleList)]
    blocks = [{q for q in block.parameters() if q not in whole} for part in lists for block in part]
    root = {q for q in model.parameters() if q not in whole}.difference(*blocks)
    return sum(q.numel() for q in root) + 2 * max(sum(q.numel() for q in block) for block in blocks)


def work_of(params: Params) -> "Work":
    """Estimate a mean sequence from the parameters."""
    from flows.cost import Work

    share = speech_share(params)
    corpus, adapter = params.corpus, params.warmup.adapter
    tokens = TOKENS_PER_WORD * (corpus.min_words + corpus.max_words) / 2
    rate = positions_per_second(params)
    # A text token takes one position, and a spoken one `rate / SPOKEN_TOKENS`.
    length = round(tokens / (1 - share + share * SPOKEN_TOKENS / rate))
    span = params.segment.word.mean_words / WORDS_PER_SECOND + TAIL_SECONDS
    frames = share * length / rate * ENCODER_FRAMES
    if adapter.kind in ("decoder", "soft_token"):  # silence gives no position
        frames *= span / (span - TAIL_SECONDS)
    return Work(length, share * length, round((1 - share) * length), frames, span * ENCODER_FRAMES)


def frames_of(params: Params) -> float:
    """Estimate the encoder frames of the whole corpus's speech."""
    return params.corpus.words * spoken_share(params) / WORDS_PER_SECOND * ENCODER_FRAMES


def positions_per_second(params: Params) -> float:
    """Return the LM positions of a second of speech."""
    adapter = params.warmup.adapter
    return ENCODER_FRAMES / adapter.stride if adapter.kind in ("pooling", "stacking") else SPOKEN_TOKENS


def spoken_share(params: Params) -> float:
    """Estimate the share of the words that are spoken.

    The estimate counts the spans' share of interleaved text, and half of the speech tasks.
    """
    s = params.segment
    spans = s.word_level * s.word.share + (1 - s.word_level) * s.sentence.share
    return params.interleave.mixture.interleaved * spans + params.interleave.mixture.speech_tasks * 0.5


def speech_share(params: Params) -> float:
    """Estimate the share of the positions that are speech."""
    words, rate = spoken_share(params), positions_per_second(params) / SPOKEN_TOKENS
    return words * rate / (words * rate + 1 - words)


def shapes(params: Params) -> "InserterForConditionalGeneration":
    """Return the speech LLM without storage (meta device)."""
    import torch

    from inserter.training.models import adapter_settings
    from models import InserterForConditionalGeneration
    from models.configuration import InserterConfig

    lm, encoder = _config(params.assets.lm), _config(params.assets.encoder)
    config = InserterConfig(text_config=lm, audio_config=encoder, **adapter_settings(params.warmup.adapter))
    with torch.device("meta"):
        return InserterForConditionalGeneration(config)


def _config(name: str) -> "PreTrainedConfig":
    """Return a model's configuration.

    The source is the table of known shapes, the inside of a package, a folder or the hub.
    """
    from transformers import AutoConfig

    from inserter.assets import lm_folder

    known = read_yaml(KNOWN)
    if name in known:
        return AutoConfig.for_model(**known[name])
    if name.startswith("embedded:"):
        from inserter.assets import encoder_folder

        return AutoConfig.from_pretrained(encoder_folder(name) if "whisper" in name else lm_folder(name))
    try:
        return AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise InserterError(
            f"the shape of {name} is unknown ({str(error).splitlines()[0]})",
            f"Give a folder with the model's config.json, or add the model to flows/{KNOWN.name}",
        ) from error


def show(found: Plan, tflops: float | None = None, utilisation: float = 0.4) -> None:
    """Print the plan; with `tflops`, the peak of one card, also the hours."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False)
    for name, count in found.parameters.items():
        table.add_row(f"{name}: parameters", f"{count / 1e6:,.1f} M")
    table.add_row("trained", f"{found.trained / 1e6:,.1f} M")
    table.add_row("positions per step", f"{found.positions:,}")
    table.add_row("positions per micro-batch and process", f"{found.micro_positions:,}")
    table.add_row("positions in total", f"{found.positions * found.steps:,} in {found.steps:,} steps")
    table.add_row("share of speech, about", f"{found.speech_share:.0%}")
    table.add_row("FLOP per position, forward and backward", f"{found.flop_per_position:.2e}")
    table.add_row("FLOP of encoding the clips once", f"{found.flop_ahead:.2e}")
    table.add_row("FLOP in total", f"{found.flop:.2e}")
    if tflops:
        hours = f"{found.hours(tflops, utilisation):,.1f} h"
        table.add_row(f"{found.processes} × {tflops:,.0f} TFLOPS at {utilisation:.0%}", hours)
    for name, size in found.bytes.items():
        table.add_row(f"memory per process, of {found.processes}: {name}", f"{size / 2**30:,.1f} GiB")
    table.add_row("memory per process, in total", f"{sum(found.bytes.values()) / 2**30:,.1f} GiB")
    table.add_row("on a CPU, free memory that glibc keeps beside it", f"{found.fragments / 2**30:,.1f} GiB")
    Console(width=100).print(table)
