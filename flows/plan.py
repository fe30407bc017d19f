"""`inserter plan`: estimate parameters, positions, memory and FLOP of pre-training.

The estimates come from the models' shapes alone; no weight is loaded. Each estimate has its rule.
The estimates say which machine to ask for, not how long a run will last.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from inserter.errors import InserterError
from inserter.params import Params
from inserter.yaml_files import read_yaml
from models.encoder import ENCODER_FRAMES

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedConfig

    from models import InserterForConditionalGeneration

KNOWN = Path(__file__).with_name("known_models.yaml")
SPOKEN_TOKENS = 3.3  # per second: 2.5 words of 1.3 tokens
# Per position, layer and unit of width, in 16 bit and without attention's quadratic part
# (arXiv 2205.05198).
ACTIVATION_BYTES = 34
PRODUCT_BYTES = 20  # of these, the results of products and of attention, as that paper counts them


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

    flop_a_position: float
    bytes: dict[str, float]
    """Memory of one process, by purpose."""

    @property
    def flop(self) -> float:
        return self.flop_a_position * self.positions * self.steps


def plan(params: Params, processes: int = 1) -> Plan:
    """Estimate what `params.pretrain` takes on `processes` under FSDP2.

    Each process has `micro_positions` at a time.
    """
    model = shapes(params)
    p, adapter = params.pretrain, params.warmup.adapter
    parts = {"lm": model.language_model, "encoder": model.encoder, "adapter": model.adapter}
    if adapter.kind == "decoder":
        parts["decoder of the recogniser"] = model.ear
    parameters = {name: sum(q.numel() for q in part.parameters()) for name, part in parts.items()}
    learns = {"lm": p.trainable.lm == "full", "encoder": p.trainable.encoder, "adapter": p.trainable.adapter}
    trained = sum(parameters[name] for name, learnt in learns.items() if learnt)
    if p.trainable.lm == "lora":
        trained += _lora(model.language_model, p.trainable.lora.rank)
    share = speech_share(params)
    text = model.config.text_config
    layers, width, vocabulary = text.num_hidden_layers, text.hidden_size, text.vocab_size
    # Encoder frames per speech position.
    frames = adapter.stride if adapter.kind == "pooling" else ENCODER_FRAMES / SPOKEN_TOKENS
    # FLOP per parameter: 2 forward, 2 for the gradient of the input, 2 for that of the weights.
    lm = (6 if learns["lm"] else 4) * parameters["lm"]
    speech = (6 if learns["encoder"] else 2) * parameters["encoder"] * frames + 6 * parameters["adapter"]
    whole = sum(parameters.values())
    micro = min(p.micro_positions, math.ceil(p.batch_positions / processes))
    # With gradient checkpointing, the backward pass computes one layer at a time again. Only the
    # input of each layer is kept, in fp32.
    kept = {
        "none": ACTIVATION_BYTES * layers,
        "selective": ACTIVATION_BYTES - PRODUCT_BYTES + (4 + PRODUCT_BYTES) * layers,
        "full": ACTIVATION_BYTES + 4 * layers,
    }[p.gradient_checkpointing]
    return Plan(
        parameters=parameters,
        trained=trained,
        positions=p.batch_positions,
        micro_positions=micro,
        steps=p.steps,
        processes=processes,
        speech_share=share,
        flop_a_position=lm + share * speech,
        bytes={
            "weights (fp32)": 4 * whole / processes,
            "gradients and AdamW (fp32)": 12 * trained / processes,
            "activations": kept * micro * width,
            "logits": 2 * micro * (1 - share) * vocabulary,  # one tensor; its gradient replaces it
        },
    )


def speech_share(params: Params) -> float:
    """Estimate the share of the positions that are speech.

    The estimate counts the spans' share of interleaved text, and half of the speech tasks.
    """
    s = params.segment
    spans = s.word_level * s.word.share + (1 - s.word_level) * s.sentence.share
    words = params.interleave.mixture.interleaved * spans + params.interleave.mixture.speech_tasks * 0.5
    if params.warmup.adapter.kind != "pooling":
        return words  # one position per token, as in text
    rate = ENCODER_FRAMES / params.warmup.adapter.stride / SPOKEN_TOKENS
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


def _lora(lm: "nn.Module", rank: int) -> int:
    """Return the number of parameters of LoRA with `rank` on every linear layer."""
    import torch

    return sum(rank * (m.in_features + m.out_features) for m in lm.modules() if isinstance(m, torch.nn.Linear))


def show(found: Plan) -> None:
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
    table.add_row("FLOP per position", f"{found.flop_a_position:.2e}")
    table.add_row("FLOP in total", f"{found.flop:.2e}")
    for name, size in found.bytes.items():
        table.add_row(f"memory per process, of {found.processes}: {name}", f"{size / 2**30:,.1f} GiB")
    table.add_row("memory per process, in total", f"{sum(found.bytes.values()) / 2**30:,.1f} GiB")
    Console(width=100).print(table)
