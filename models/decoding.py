"""A decoding loop for transformers' `generate`, whose answers do not depend on their batch.

Each row starts at position 0 of its cache, and kernels see multiples of BLOCK positions. Sums over
a row then have the same order in every batch. In bf16 on a CPU, answers are the same bit for bit
(docs/LOG.md). With left padding, most long answers changed with their neighbours.
"""

import inspect
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    DynamicCache,
    GenerationConfig,
    LogitsProcessorList,
    PreTrainedModel,
    StoppingCriteriaList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)
from transformers.cache_utils import DynamicLayer
from transformers.modeling_outputs import CausalLMOutputWithPast

from models.attention import PACKED

# Processors without state. Others may keep state per row of the batch.
BY_ROW = (TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper)
# The name of the cache among the arguments and outputs of a model. transformers before 5.24 calls
# it `past_key_values`.
CACHE = "cache" if "cache" in CausalLMOutputWithPast.__dataclass_fields__ else "past_key_values"
PROMPTS_AT_ONCE = 16  # prompts of similar length; 96 at once padded 64 positions to 82 on average
# Sees each token that is drawn: the row of the batch, the token, and how many positions of the row
# come before the token. Returns whether the row goes on.
Watch = Callable[[int, int, int], bool]
BLOCK = 16  # positions; kernels add up in vectors of as many


class Rows:
    """The rows of a batch that have not ended, and where their next positions are.

    index: (rows,) each row's place in the given batch.
    counts: (rows,) positions that the cache holds of each row.
    places: (rows, 1) next positions; of at least two rows, as all that a step computes.
    size: how many positions of the cache the next step looks at.
    mask: (rows, 1, 1, size) which of these each row looks at.
    """

    def __init__(self, index: Tensor, counts: Tensor) -> None:
        self.put(index, counts)

    def put(self, index: Tensor, counts: Tensor) -> None:
        """Set the rows and what follows from them, once for all layers."""
        self.index, self.counts, self.places = index, counts, _pair(counts[:, None])
        self.size = _blocks(int(counts.max()) + 1)
        self.mask = (torch.arange(self.size, device=counts.device) <= self.places)[:, None, None]


class RoomyLayer(DynamicLayer):
    """Cache layer that keeps keys and values in one buffer with room for the answer.

    DynamicLayer copies all keys and values per new token: a fifth of a step's time with 96 rows.
    """

    def __init__(self, parts: list[tuple[Tensor, Tensor]], rows: Rows, more: int) -> None:
        """Copy the keys and values of groups of prompts into one buffer.

        parts: keys and values per group, (rows, heads, n, width); rows start at 0.
        rows: the batch, which the loop keeps up to date for all layers.
        more: number of positions for the answer.
        """
        super().__init__()
        self.lazy_initialization(*parts[0])
        self.batch = rows
        room = _blocks(int(rows.counts.max()) + more + 1)
        heads = [(part.shape[1], part.shape[-1]) for part in parts[0]]
        self.buffers = [parts[0][0].new_zeros(len(rows.places), count, room, width) for count, width in heads]
        at = 0
        for part in parts:
            for buffer, states in zip(self.buffers, part, strict=True):
                n = min(room, states.shape[-2])
                buffer[at : at + len(states), :, :n] = states[:, :, :n]
            at += len(part[0])
        self._show()

    def _show(self) -> None:
        self.keys, self.values = (buffer[: len(self.batch.places), :, : self.batch.size] for buffer in self.buffers)

    def update(self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object) -> tuple[Tensor, Tensor]:
        """Append one position to each row and return all keys and values."""
        places = self.batch.places[:, 0]
        rows = torch.arange(len(places), device=places.device)
        for buffer, states in zip(self.buffers, (key_states, value_states), strict=True):
            buffer[rows, :, places] = states[:, :, 0].to(buffer.dtype)
        self._show()
        return cast(Tensor, self.keys), cast(Tensor, self.values)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep the rows `indices`, and copy only rows that change their place."""
        moved = (indices != torch.arange(len(indices), device=indices.device)).nonzero().flatten()
        for buffer in self.buffers:
            buffer[moved] = buffer[indices[moved]]


def decode(
    model: PreTrainedModel,
    input_ids: Tensor,
    logits_processor: LogitsProcessorList,
    *,
    stopping_criteria: StoppingCriteriaList,
    generation_config: GenerationConfig,
    watch: Watch | None = None,
    **kwargs: Any,
) -> Tensor:
    """Decode greedily or by sampling, as `GenerationMixin._sample` does.

    Pass this function to `generate` as `custom_generate`, with `inputs_embeds` and a left-padded
    `attention_mask`. Returns new ids (batch, n), padded at the right.

    watch: may end a row before `stopping_criteria` do.

    Prompts are read in groups of similar length. A row that has ended leaves the batch.

    transformers' own loop handles the other cases: an LM that `starts_rows_at_0` does not hold for,
    and logits processors other than temperature, top-k and top-p. There `watch` sees the tokens
    when all are drawn.
    """
    lm = cast(Any, model)
    if not (starts_rows_at_0(lm) and all(isinstance(processor, BY_ROW) for processor in logits_processor)):
        drawn = lm._sample(input_ids, logits_processor, stopping_criteria, generation_config, **kwargs)
        if watch:
            _show_all(drawn, kwargs, stopping_criteria, watch=watch)
        return drawn
    more = (stopping_criteria.max_length or 0) - input_ids.shape[1]
    rows, logits, cache = _prefill(lm, kwargs["inputs_embeds"], kwargs.get("attention_mask"), more=more)
    ids = input_ids[rows.index]
    texts: list[Tensor] = list(input_ids)
    with lm._optimize_model_for_decode():
        while True:
            scores = logits_processor(cast(torch.LongTensor, ids), cast(torch.FloatTensor, logits))
            sampled = generation_config.do_sample
            chosen = torch.multinomial(scores.softmax(-1), 1) if sampled else scores.argmax(-1, keepdim=True)
            ids = torch.cat([ids, chosen], dim=-1)
            ended = stopping_criteria(cast(Any, ids), cast(Any, None))
            if watch:
                ended = ended | _unwanted(watch, rows, chosen)
            if bool(ended.any()):
                for row in ended.nonzero().flatten().tolist():
                    texts[int(rows.index[row])] = ids[row]
                left = _closed_up(ended)
                if not len(left):
                    break
                ids, chosen = ids[left], chosen[left]
                rows.put(rows.index[left], rows.counts[left])
                cache.batch_select_indices(left)
            outputs = lm(
                input_ids=_pair(chosen),
                attention_mask=rows.mask,
                position_ids=rows.places,
                use_cache=True,
                return_dict=True,
                **{CACHE: cache},
            )
            rows.put(rows.index, rows.counts + 1)
            logits = outputs.logits[: len(chosen), -1].float()
            del outputs
    pad = cast(Any, generation_config)._pad_token_tensor
    return pad_sequence(texts, batch_first=True, padding_value=0 if pad is None else int(pad))


def _unwanted(watch: Watch, rows: Rows, chosen: Tensor) -> Tensor:
    """Return which rows (rows,) `watch` ends, after it has seen their tokens (rows, 1)."""
    seen = zip(rows.index.tolist(), chosen[:, 0].tolist(), rows.counts.tolist(), strict=True)
    return torch.tensor([not watch(*one) for one in seen], device=chosen.device)


def _show_all(ids: Tensor, given: dict[str, Any], stopping_criteria: StoppingCriteriaList, *, watch: Watch) -> None:
    """Show `watch` the tokens of each row of `ids` (batch, n), up to the one that ends the row."""
    embeds, mask = given["inputs_embeds"], given.get("attention_mask")
    counts = [embeds.shape[1]] * len(embeds) if mask is None else mask.sum(dim=1).tolist()
    for row, count in enumerate(counts):
        for at, token in enumerate(ids[row].tolist()):
            ended = stopping_criteria(cast(Any, ids[row : row + 1, : at + 1]), cast(Any, None))
            if not watch(row, token, count + at) or bool(ended.any()):
                break


def starts_rows_at_0(lm: PreTrainedModel) -> bool:
    """Return whether rows of an LM's cache can each have a length of their own.

    The cache keeps every position, and the LM takes each row's positions and a mask of its own.
    """
    layers = DynamicCache(config=lm.config).layers
    keeps_all = bool(layers) and all(type(layer) is DynamicLayer for layer in layers)
    takes = inspect.signature(lm.forward).parameters
    return keeps_all and lm.config._attn_implementation in ("sdpa", PACKED) and {"position_ids", "logits_to_keep"} <= set(takes)


def _blocks(positions: int) -> int:
    """Return `positions`, rounded up to whole blocks."""
    return -(-positions // BLOCK) * BLOCK


def _pair(rows: Tensor) -> Tensor:
    """Return `rows`, the first one twice if it is the only one.

    Products of one row have another kernel, which adds up in another order.
    """
    return rows if len(rows) > 1 else rows.expand(2, *rows.shape[1:])


def _prefill(lm: PreTrainedModel, embeds: Tensor, mask: Tensor | None, *, more: int) -> tuple[Rows, Tensor, DynamicCache]:
    """Read the prompts, shortest first.

    embeds: (batch, n, width), left-padded where mask (batch, n) is 0; a batch without padding may
    have no mask. more: number of positions for the answer.

    Returns the rows, the logits (rows, vocabulary) of their next tokens, and the cache.
    """
    n = embeds.shape[1]
    counts = torch.full((len(embeds),), n, device=embeds.device) if mask is None else mask.sum(dim=1)
    index = counts.argsort(stable=True)
    logits, caches = [], []
    for group in index.split(PROMPTS_AT_ONCE):
        room = _blocks(int(counts[group].max()))
        prompts = embeds.new_zeros(len(group), room, embeds.shape[-1])
        for place, (row, count) in enumerate(zip(group.tolist(), counts[group].tolist(), strict=True)):
            prompts[place, :count] = embeds[row, n - count :]
        ends, which = (counts[group] - 1).unique(return_inverse=True)
        outputs = lm(
            inputs_embeds=prompts,
            attention_mask=torch.ones(room, room, dtype=torch.bool, device=embeds.device).tril()[None, None],
            position_ids=torch.arange(room, device=embeds.device).expand(len(group), -1),
            use_cache=True,
            logits_to_keep=_pair(ends),
            return_dict=True,
            **{CACHE: DynamicCache(config=lm.config)},
        )
        logits.append(outputs.logits[torch.arange(len(group), device=embeds.device), which].float())
        caches.append(outputs[CACHE])
    rows = Rows(index, counts[index])
    cache = DynamicCache(config=lm.config)
    cache.layers = [
        RoomyLayer([(part.layers[at].keys, part.layers[at].values) for part in caches], rows, more)
        for at in range(len(cache.layers))
    ]
    return rows, torch.cat(logits), cache


def _closed_up(ended: Tensor) -> Tensor:
    """Return the indices of the rows that have not ended.

    The last of these rows fill the places of ended rows. The others keep their places.
    """
    left = torch.arange(int((~ended).sum()), device=ended.device)
    holes = ended[: len(left)].nonzero().flatten()
    left[holes] = (~ended[len(left) :]).nonzero().flatten() + len(left)
    return left
