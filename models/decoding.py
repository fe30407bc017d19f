"""A decoding loop for transformers' `generate` that drops ended rows and needless padding."""

from typing import Any, cast

import torch
from torch import Tensor
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

# Processors without state. Others may keep state per row of the batch.
BY_ROW = (TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper)
# The name of the cache among the arguments and outputs of a model. transformers before 5.24 calls
# it `past_key_values`.
CACHE = "cache" if "cache" in CausalLMOutputWithPast.__dataclass_fields__ else "past_key_values"
PROMPTS_AT_ONCE = 16  # prompts of similar length; 96 at once padded 64 positions to 82 on average


class RoomyLayer(DynamicLayer):
    """Cache layer that keeps keys and values in one buffer with room for the answer.

    DynamicLayer copies all keys and values per new token: a fifth of a step's time with 96 rows.
    """

    def __init__(self, parts: list[tuple[Tensor, Tensor]], more: int) -> None:
        """Copy the keys and values of groups of prompts into one left-padded buffer.

        parts: keys and values per group, each (rows, heads, n, width).
        more: number of positions for the answer.
        """
        super().__init__()
        self.lazy_initialization(*parts[0])
        rows, longest = sum(len(keys) for keys, _ in parts), max(keys.shape[-2] for keys, _ in parts)
        heads = [(part.shape[1], part.shape[-1]) for part in parts[0]]
        self.buffers = [parts[0][0].new_zeros(rows, count, longest + more, width) for count, width in heads]
        at = 0
        for part in parts:
            for buffer, states in zip(self.buffers, part, strict=True):
                buffer[at : at + len(states), :, longest - states.shape[-2] : longest] = states
            at += len(part[0])
        self.rows, self.first, self.end = rows, 0, longest
        self._show()

    def _show(self) -> None:
        self.keys, self.values = (buffer[: self.rows, :, self.first : self.end] for buffer in self.buffers)

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append one or more positions and return all keys and values."""
        start, self.end = self.end, self.end + key_states.shape[-2]
        for buffer, states in zip(self.buffers, (key_states, value_states), strict=True):
            buffer[: self.rows, :, start : self.end] = states
        self._show()
        return cast(Tensor, self.keys), cast(Tensor, self.values)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep the rows `indices`, and copy only rows that change their place."""
        moved = (indices != torch.arange(len(indices), device=indices.device)).nonzero().flatten()
        for buffer in self.buffers:
            buffer[moved] = buffer[indices[moved]]
        self.rows = len(indices)
        self._show()

    def forget(self, count: int) -> None:
        """Drop the first `count` positions."""
        self.first += count
        self._show()


def decode(
    model: PreTrainedModel,
    input_ids: Tensor,
    logits_processor: LogitsProcessorList,
    stopping_criteria: StoppingCriteriaList,
    generation_config: GenerationConfig,
    **kwargs: Any,
) -> Tensor:
    """Decode greedily or by sampling, as `GenerationMixin._sample` does.

    Pass this function to `generate` as `custom_generate`, with `inputs_embeds` and a left-padded
    `attention_mask`. Returns new ids (batch, n), padded at the right.

    Prompts are read in groups of similar length. A row that has ended leaves the batch, and so does
    padding that no other row needs.

    transformers' own loop handles two cases: an LM whose cache drops positions, and logits
    processors other than temperature, top-k and top-p.
    """
    lm = cast(Any, model)
    if not (keeps_all(lm.config) and all(isinstance(processor, BY_ROW) for processor in logits_processor)):
        return lm._sample(input_ids, logits_processor, stopping_criteria, generation_config, **kwargs)
    rows, logits, kwargs = _prefill(lm, input_ids, generation_config, stopping_criteria.max_length or 0, kwargs)
    ids = input_ids[rows]
    texts: list[Tensor] = list(input_ids)
    with lm._optimize_model_for_decode():
        while True:
            scores = logits_processor(cast(Any, ids), cast(Any, logits))
            drawn = generation_config.do_sample
            chosen = torch.multinomial(scores.softmax(-1), 1) if drawn else scores.argmax(-1, keepdim=True)
            ids = torch.cat([ids, chosen], dim=-1)
            ended = stopping_criteria(cast(Any, ids), cast(Any, None))
            if bool(ended.any()):
                for row in ended.nonzero().flatten().tolist():
                    texts[int(rows[row])] = ids[row]
                left = _closed_up(ended)
                if not len(left):
                    break
                rows, ids = rows[left], ids[left]
                _keep(left, kwargs)
            outputs = lm(**lm.prepare_inputs_for_generation(ids, next_sequence_length=1, **kwargs), return_dict=True)
            kwargs = lm._update_model_kwargs_for_generation(outputs, kwargs)
            logits = outputs.logits[:, -1].float()
            del outputs
    pad = cast(Any, generation_config)._pad_token_tensor
    return torch.nn.utils.rnn.pad_sequence(texts, batch_first=True, padding_value=0 if pad is None else int(pad))


def keeps_all(config: Any) -> bool:
    """Return whether each layer of an LM's cache keeps every position.

    The rows of such a cache can be joined, moved and cut.
    """
    layers = DynamicCache(config=config).layers
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


def _prefill(
    lm: Any, input_ids: Tensor, generation_config: GenerationConfig, longest: int, kwargs: dict[str, Any]
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Read the prompts, shortest first.

    Returns each row's index in the given batch, the logits (rows, vocabulary) of the next token,
    and the arguments of the next step.
    """
    embeds, mask = kwargs.pop("inputs_embeds"), kwargs.pop("attention_mask", None)
    if mask is None:  # transformers passes no mask for a batch without padding
        mask = torch.ones(embeds.shape[:2], dtype=torch.long, device=embeds.device)
    for name in (CACHE, "position_ids"):
        kwargs.pop(name, None)
    counts = mask.sum(dim=1)
    rows = counts.argsort(stable=True)
    logits, caches = [], []
    for group in rows.split(PROMPTS_AT_ONCE):
        n = int(counts[group].max())
        given = {"inputs_embeds": embeds[group, -n:], "attention_mask": mask[group, -n:]}
        places = (given["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        outputs = lm._prefill(
            input_ids[group],
            generation_config,
            {**kwargs, **given, "position_ids": places, CACHE: DynamicCache(config=lm.config)},
        )
        logits.append(outputs.logits[:, -1].float())
        caches.append(outputs[CACHE])
    cache, more = DynamicCache(config=lm.config), longest - input_ids.shape[1]
    cache.layers = [
        RoomyLayer([(part.layers[at].keys, part.layers[at].values) for part in caches], more) for at in range(len(cache.layers))
    ]
    mask = torch.cat([mask[rows], mask.new_ones(len(mask), 1)], dim=1)
    ahead = {"attention_mask": mask, "position_ids": counts[rows, None], CACHE: cache}
    return rows, torch.cat(logits), {**kwargs, **ahead}


def _closed_up(ended: Tensor) -> Tensor:
    """Return the indices of the rows that have not ended.

    The last of these rows fill the places of ended rows. The others keep their places.
    """
    left = torch.arange(int((~ended).sum()), device=ended.device)
    holes = ended[: len(left)].nonzero().flatten()
    left[holes] = (~ended[len(left) :]).nonzero().flatten() + len(left)
    return left


def _keep(left: Tensor, kwargs: dict[str, Any]) -> None:
    """Keep the rows `left` in the arguments of the next step.

    Leading positions that are padding in all of these rows are dropped.
    """
    mask = kwargs["attention_mask"][left]
    padding = int(mask.any(dim=0).int().argmax())
    kwargs["attention_mask"], kwargs["position_ids"] = mask[:, padding:], kwargs["position_ids"][left]
    for layer in kwargs[CACHE].layers:
        layer.batch_select_indices(left)
        layer.forget(padding)
