"""The cost of a position: FLOP, and bytes that the backward pass needs.

The LM's cost is counted, not computed by a formula: its own forward and backward pass runs on fake
tensors, which have shapes and no storage. The counter is torch's FlopCounterMode. The adapter's and
the encoder's FLOP come from the sizes of their weights.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from inserter.params.training import Recompute
from models.adapter import DecoderAdapter, ProjectionAdapter
from models.attention import PACKED

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from models import InserterForConditionalGeneration

aten = torch.ops.aten
MATRIX = 2  # dimensions
FP32 = 4  # bytes
Shape = torch.Size


def _forward(query: Shape, key: Shape, value: Shape, *_: object, out_shape: object = None, **__: object) -> int:
    return sdpa_flop_count(query, key, value)


def _backward(gradient: Shape, query: Shape, key: Shape, value: Shape, *_: object, out_shape: object = None, **__: object) -> int:  # noqa: PLR0917 (torch passes by position)
    return sdpa_backward_flop_count(gradient, query, key, value)


# torch counts attention's kernels of GPUs, and not the kernel of CPUs (2.13).
ATTENTION = {
    aten._scaled_dot_product_flash_attention_for_cpu: _forward,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _backward,
}


def flop_counter() -> FlopCounterMode:
    """Return a counter of FLOP that also counts attention on a CPU.

    A causal kernel counts as a full one, as everywhere in torch.
    """
    return FlopCounterMode(display=False, custom_mapping=ATTENTION)


@dataclass(frozen=True)
class Work:
    """What is in a row, per sequence."""

    positions: int
    """LM positions of a sequence."""

    speech: float
    """LM positions of these that are speech."""

    learnt: int
    """Tokens that are learnt."""

    frames: float
    """Encoder frames (50 per second) that the speech has, before they are averaged."""

    clip_frames: float
    """Encoder frames of one clip."""


@dataclass(frozen=True)
class LmCost:
    """The LM's cost for one sequence."""

    flop: float
    kept: float
    """Bytes that the forward pass keeps for the backward pass, without weights and logits.

    With gradient checkpointing: the inputs of all layers, and what one layer keeps. If it is
    selective, also the results of all products and of attention.
    """

    passed: float
    """The same without gradient checkpointing: what is allocated on the way."""

    products: float
    """Bytes of the results of linear layers and of attention, without the head."""


def lm_cost(model: "InserterForConditionalGeneration", work: Work, *, bf16: bool, recompute: Recompute = "none") -> LmCost:
    """Count the LM's forward and backward pass over one sequence.

    model: on the meta device, with what learns decided, and `recompute` set. bf16: under autocast.
    """
    learns = any(
        p.requires_grad for part in (model.adapter, model.encoder, model.get_input_embeddings()) for p in part.parameters()
    )
    lm, shape = model.language_model, model.config.text_config
    with FakeTensorMode():
        without_storage(lm)
        found = count(lm, work, learns=learns, bf16=bf16)
        if recompute == "none":
            return found
        # Recomputed layers hide from the hooks what they keep.
        lm.gradient_checkpointing_disable()
        whole = count(lm, work, learns=learns, bf16=bf16)
        inputs = FP32 * shape.num_hidden_layers * shape.hidden_size * work.positions
        always = whole.products if recompute == "selective" else 0.0
        kept = min(whole.kept, inputs + always + (whole.kept - always) / shape.num_hidden_layers)
        return LmCost(found.flop, kept, whole.kept, whole.products)


def count(lm: "PreTrainedModel", work: Work, *, learns: bool, bf16: bool) -> LmCost:
    """Run the LM over a sequence. learns: whether a gradient reaches the LM's input."""
    weights = {p.untyped_storage()._cdata for p in lm.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage()._cdata not in weights:
            kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    products = 0

    def add(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal products
        products += output.nbytes + (inputs[0].nbytes if layer in outputs else 0)

    head = lm.get_output_embeddings()
    linear = [part for part in lm.modules() if isinstance(part, nn.Linear) and part is not head]
    # The last layer of an attention block: its input is what the kernel returns.
    outputs = {part for name, part in lm.named_modules() if name.endswith(("o_proj", "out_proj", "c_proj", "dense"))}
    hooks = [part.register_forward_hook(add) for part in linear]
    given = torch.zeros(1, work.positions, lm.config.get_text_config().hidden_size, requires_grad=learns)
    places = torch.arange(work.positions)[None]
    packed = {"lengths": [work.positions]} if lm.config._attn_implementation == PACKED else {}
    counter = flop_counter()
    with counter, torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        with saved_tensors_hooks(keep, lambda tensor: tensor):
            logits = lm(
                inputs_embeds=given, position_ids=places, use_cache=False, logits_to_keep=places[0, : work.learnt], **packed
            ).logits
        for hook in hooks:
            hook.remove()  # before layers are recomputed
        logits.backward(torch.zeros_like(logits))
    # Autocast keeps a copy of each weight, which does not grow with the positions.
    copies = {shape for p in lm.parameters() if p.dim() == MATRIX for shape in (p.shape, p.T.shape)}
    size = sum(t.untyped_storage().nbytes() for t in kept.values() if t.shape not in copies)
    return LmCost(counter.get_total_flops(), size, size, products)


def without_storage(module: nn.Module) -> None:
    """Replace the weights and buffers of a module on the meta device by fake ones on a CPU.

    Under FakeTensorMode, the module then computes as on a CPU, and no number is stored. Autocast
    and attention choose other kernels on the meta device.
    """
    fakes: dict[int, Tensor] = {}  # tied weights stay tied
    for part in module.modules():
        tables: tuple[dict[str, Any], ...] = (part._parameters, part._buffers)
        for table in tables:
            for name, tensor in table.items():
                if tensor is None:
                    continue
                if id(tensor) not in fakes:
                    fake = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")
                    fakes[id(tensor)] = nn.Parameter(fake, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else fake
                table[name] = fakes[id(tensor)]


def products(module: nn.Module) -> int:
    """Return the multiplications of a module's linear layers and convolutions per output row."""
    return sum(m.weight.numel() for m in module.modules() if isinstance(m, nn.Linear | nn.Conv1d))


def adapter_flop(model: "InserterForConditionalGeneration", work: Work) -> float:
    """Return the FLOP of the adapter for a sequence: forward and backward, if the adapter learns.

    An adapter's input needs a gradient only if the encoder learns.
    """
    adapter, learns = model.adapter, any(p.requires_grad for p in model.adapter.parameters())
    back = any(p.requires_grad for p in model.encoder.parameters())
    if isinstance(adapter, DecoderAdapter):
        return (4 if learns else 2) * adapter.residual.numel() * work.speech
    if isinstance(adapter, ProjectionAdapter):
        return (2 + 2 * learns + 2 * back) * adapter.project.weight.numel() * work.speech
    frames, query = work.frames / adapter.stride, adapter.query.weight.numel()
    rest, first = products(adapter.blocks), adapter.project.weight.numel()
    # All frames are scored over the vocabulary without a gradient. The frames that are kept are
    # compared again with a few tokens.
    scores = 2 * query + 2 * adapter.blank.weight.numel() + 2 * adapter.query.out_features * len(adapter.spellings)
    through = 2 * (learns or back)
    return frames * (scores + (2 + 2 * learns + through) * rest + (2 + 2 * learns + 2 * back) * first) + work.speech * query * (
        2 + 2 * learns + through
    )


def encoder_flop(model: "InserterForConditionalGeneration", work: Work) -> float:
    """Return the FLOP of the encoder's forward pass over a sequence's clips.

    conv1 runs at twice the rate of the frames. Attention is over one clip.
    """
    encoder = model.encoder
    width, layers = encoder.config.d_model, len(encoder.layers)
    weights = products(encoder.layers) + encoder.conv2.weight.numel() + 2 * encoder.conv1.weight.numel()
    return work.frames * (2 * weights + 4 * layers * width * work.clip_frames)


def step_flop(model: "InserterForConditionalGeneration", work: Work, lm: LmCost, *, recompute: Recompute = "none") -> float:
    """Return the FLOP of a sequence in a training step.

    A frozen encoder has none: its states are computed once, before the first step.
    """
    encoder = 0.0
    if any(p.requires_grad for p in model.encoder.parameters()):
        encoder = (4 if recompute == "full" else 3) * encoder_flop(model, work)
    return lm.flop + adapter_flop(model, work) + encoder
