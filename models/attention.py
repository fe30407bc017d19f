"""Attention over sequences that are packed into one row.

transformers knows this attention as `packed_sdpa`.
"""

import inspect
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedConfig
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

PACKED = "packed_sdpa"
HALF = (torch.bfloat16, torch.float16)  # what the kernels for a GPU compute in


def packed_sdpa(  # noqa: PLR0917 (transformers passes by position)
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    lengths: list[int] | None = None,
    ends: Tensor | None = None,
    sliding_window: int | None = None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Return the attention of transformers' `sdpa`, computed for each packed sequence alone.

    query, key, value: (batch, heads, positions, width).
    lengths: positions per sequence of a batch of one row. None: the batch is not packed.
    ends: int32 (sequences + 1,), 0 and the ends of the sequences, on the device.
    sliding_window: a layer whose window is shorter than the longest sequence keeps its mask, except
        on a GPU, whose kernel knows windows.

    One masked kernel over the row would cost the square of the row's length, most of it masked. On
    a GPU in half precision, one kernel takes sequences of any length (`varlen_attn`). Elsewhere
    each sequence has a causal kernel of its own, which costs the square of the sequence's length.
    On a CPU the kernel runs in fp32, where 100 positions take 0.9 ms forward and backward. In bf16
    they take 2.0 ms.
    """
    given = {"dropout": dropout, "scaling": scaling, **kwargs}
    if lengths is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **given)
    if ends is not None and query.is_cuda and query.dtype in HALF and not dropout:
        window = (sliding_window - 1 if sliding_window else -1, 0)
        return varlen((query, key, value), ends, longest=max(lengths), window=window, scale=scaling), None
    if sliding_window and sliding_window < max(lengths):
        return sdpa_attention_forward(module, query, key, value, attention_mask, **given)
    dtype = torch.float32 if query.device.type == "cpu" else query.dtype
    each = zip(*(whole.to(dtype).split(lengths, 2) for whole in (query, key, value)), strict=True)
    with torch.autocast(query.device.type, enabled=False):
        rows = [sdpa_attention_forward(module, q, k, v, None, **given)[0] for q, k, v in each]
    return torch.cat(rows, dim=1).to(query.dtype), None


def varlen(
    parts: tuple[Tensor, Tensor, Tensor], ends: Tensor, *, longest: int, window: tuple[int, int], scale: float | None
) -> Tensor:
    """Return causal attention (1, positions, heads, width) of sequences in one row, by one kernel.

    parts: query, key and value (1, heads, positions, width); the last two may have fewer heads.
    ends: see `packed_sdpa`.
    window: how many positions before and after are seen; -1: all.
    """
    from torch.nn.attention.varlen import varlen_attn

    takes, (query, key, value) = _takes(), parts
    groups = query.shape[1] // key.shape[1]
    if "enable_gqa" not in takes and groups > 1:
        key, value = (part.repeat_interleave(groups, dim=1) for part in (key, value))
    named: dict[str, Any] = {"scale": scale, "window_size": window, "enable_gqa": groups > 1}
    if "window_size" not in takes:  # torch before it knew windows
        named["is_causal"] = True
    q, k, v = (part[0].transpose(0, 1).contiguous() for part in (query, key, value))
    with torch.autocast(query.device.type, enabled=False):
        out = varlen_attn(q, k, v, ends, ends, longest, longest, **{name: to for name, to in named.items() if name in takes})
    return cast(Tensor, out)[None]


@cache
def _takes() -> frozenset[str]:
    """Return the arguments that this torch's `varlen_attn` has."""
    from torch.nn.attention.varlen import varlen_attn

    return frozenset(inspect.signature(varlen_attn).parameters)


def needs_mask(config: PreTrainedConfig, longest: int) -> bool:
    """Return whether an LM needs transformers' mask over a packed row.

    The mask has the square of the row's length, and `packed_sdpa` uses it for windows that are
    shorter than the longest sequence alone. longest: positions of that sequence.
    """
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    window = getattr(config, "sliding_window", None)
    return bool(kinds - {"full_attention", "sliding_attention"}) or bool(window and window < longest)


# Attention stays out of compiled layers: it would be compiled again for each number of sequences.
AttentionInterface.register(PACKED, torch.compiler.disable(packed_sdpa))
AttentionMaskInterface.register(PACKED, sdpa_mask)
