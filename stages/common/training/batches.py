"""Sequences as token ids, labels and clips; and which of them make a step: decided by the seed before training begins."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models import InserterForConditionalGeneration, InserterProcessor
from models.configuration import AUDIO, AUDIO_BOS, AUDIO_EOS
from models.modeling import IGNORE, Sequence
from stages.common.params import Pretrain, Sft
from stages.common.seeds import rng
from stages.common.training.loop import Phase
from stages.common.training.states import States, batch
from stages.common.training.trainable import parts_of

SPEECH_TAIL = 2  # <|audio_bos|> and <|audio_eos|>


@dataclass(frozen=True)
class Example:
    """ids with one placeholder a clip; labels -100 where nothing is learnt; positions: an estimate before the speech is
    known (a spoken word counts as its written tokens)."""

    ids: tuple[int, ...]
    labels: tuple[int, ...]
    clips: tuple[str, ...]
    positions: int

    @property
    def learnt(self) -> int:
        """Tokens with a loss: the first position of a sequence has nothing before it."""
        return sum(label != IGNORE for label in self.labels[1:])


def example(processor: InserterProcessor, parts: list[dict[str, Any]], end: bool = False) -> Example:
    """From the parts of a sequence (text, utt_id, loss). `end`: the document's end is learnt as well."""
    tokenizer = processor.tokenizer
    bos, audio, eos = tokenizer.convert_tokens_to_ids([AUDIO_BOS, AUDIO, AUDIO_EOS])
    ids, labels, clips = [processor.document_start_id], [IGNORE], []
    positions = 1
    for part in parts:
        text = tokenizer(part["text"], add_special_tokens=False)["input_ids"]
        positions += len(text)
        if part["utt_id"]:
            ids += [bos, audio, eos]
            labels += [IGNORE] * 3
            clips.append(part["utt_id"])
            positions += SPEECH_TAIL
        else:
            ids += text
            labels += text if part["loss"] else [IGNORE] * len(text)
    if end:
        ids.append(processor.document_start_id)
        labels.append(processor.document_start_id)
    return Example(tuple(ids), tuple(labels), tuple(clips), positions)


def chat_example(processor: InserterProcessor, prompt: str, answer: str, utt_id: str | None) -> Example:
    """A chat turn that is heard (utt_id) or read; only the answer and its end are learnt."""
    tokenizer = processor.tokenizer
    head = tokenizer(processor.chat([None if utt_id else prompt]), add_special_tokens=False)["input_ids"]
    tail = tokenizer(answer + tokenizer.eos_token, add_special_tokens=False)["input_ids"]
    spoken = len(tokenizer(prompt, add_special_tokens=False)["input_ids"]) if utt_id else 0
    return Example(
        tuple(head + tail), tuple([IGNORE] * len(head) + tail), (utt_id,) if utt_id else (), len(head) + len(tail) + spoken
    )


def plan(examples: list[Example], steps: int, batch_positions: int, seed: int) -> list[list[int]]:
    """For each step the indices of its examples: about batch_positions estimated positions.

    The order is a shuffle from (seed, epoch); a new epoch begins where one ends. Nothing depends on the number of processes.
    """
    order: list[int] = []
    result: list[list[int]] = []
    epoch = 0
    for _ in range(steps):
        chosen: list[int] = []
        positions = 0
        while positions < batch_positions:
            if not order:
                order = list(range(len(examples)))
                rng(seed, "epoch", epoch).shuffle(order)
                epoch += 1
            following = examples[order[-1]].positions
            if chosen and positions + following > 1.1 * batch_positions:
                break
            chosen.append(order.pop())
            positions += following
        result.append(chosen)
    return result


def clips_of(examples: Iterable[Example]) -> list[str]:
    return [clip for item in examples for clip in item.clips]


def hear(model: InserterForConditionalGeneration, clips: Iterable[str], states: States) -> dict[str, Tensor]:
    """What the LM gets of each clip (positions, LM width), all of them heard in one pass."""
    distinct = list(dict.fromkeys(clips))
    heard = model.hear(*batch([states[clip] for clip in distinct], model.device)) if distinct else []
    return dict(zip(distinct, heard, strict=True))


def to_sequences(
    model: InserterForConditionalGeneration, examples: list[Example], heard: Mapping[str, Tensor]
) -> list[Sequence]:
    """What `model.packed_losses` takes. heard: every clip of the examples."""
    device = model.device
    return [
        (torch.tensor(item.ids, device=device), torch.tensor(item.labels, device=device), [heard[clip] for clip in item.clips])
        for item in examples
    ]


def packed_loss(
    model: InserterForConditionalGeneration, examples: list[Example], steps: list[list[int]], states: States
) -> Callable[[int, int, int], tuple[Tensor, int, int]]:
    """The loss of a `Phase` over packed sequences: process `rank` of `world` takes every world-th example of the step."""

    def loss(step: int, rank: int, world: int) -> tuple[Tensor, int, int]:
        everything = [examples[i] for i in steps[step]]
        mine = everything[rank::world]
        chosen = mine or everything[:1]
        sequences = to_sequences(model, chosen, hear(model, clips_of(chosen), states))
        losses, _ = model.packed_losses(sequences)
        positions = sum(len(ids) - len(speech) + sum(map(len, speech)) for ids, _, speech in sequences)
        if not mine:  # a process without an example still takes part in the sum of the gradients
            return 0.0 * losses.sum(), sum(e.learnt for e in everything), 0
        return losses.sum(), sum(e.learnt for e in everything), positions

    return loss


def packed_phase(
    name: str, settings: Pretrain | Sft, model: InserterForConditionalGeneration, examples: list[Example], states: States
) -> Phase:
    """The phase that trains on `examples` as the stage's section of params.yaml says."""
    s, o = settings, settings.optimizer
    steps = plan(examples, s.steps, s.batch_positions, s.seed)
    return Phase(
        name, s.seed, s.steps, parts_of(model, s.trainable, o), packed_loss(model, examples, steps, states),
        o.weight_decay, o.clip, o.warmup_share, s.precision, s.checkpoint_steps, s.keep_checkpoints,
    )  # fmt: skip
