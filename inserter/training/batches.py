"""Sequences as token ids, labels and clips; and which of them make a step: decided by the seed before training begins."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from inserter.params import Pretrain, Sft
from inserter.seeds import derive, rng
from inserter.training.loop import Phase
from inserter.training.processes import world
from inserter.training.states import Clips, Sounds, batch
from inserter.training.trainable import parts_of
from models import InserterForConditionalGeneration, InserterProcessor
from models.encoder import ENCODER_FRAMES
from models.modeling import IGNORE, Sequence
from models.processor import TAIL_SECONDS

NOTHING: Mapping[str, int] = {}
Place = tuple[str, bool]  # a clip, and whether a text begins with it, since the adapter `decoder` then hears no leading blank


@dataclass(frozen=True)
class Example:
    """ids with one placeholder a clip; labels -100 where nothing is learnt; positions: an estimate before the speech is
    known (a spoken word counts as its written tokens, unless `heard_lengths` says more)."""

    ids: tuple[int, ...]
    labels: tuple[int, ...]
    clips: tuple[str, ...]
    positions: int

    @property
    def learnt(self) -> int:
        """Tokens with a loss: the first position of a sequence has nothing before it."""
        return sum(label != IGNORE for label in self.labels[1:])


def heard_lengths(model: InserterForConditionalGeneration, clips: list[dict[str, Any]]) -> dict[str, int]:
    """LM positions of each clip (utt_id, duration), where it is known before the clip is heard: so many a second (`pooling`)."""
    config = model.config
    if config.adapter != "pooling":
        return {}
    rate = ENCODER_FRAMES / config.adapter_stride
    return {clip["utt_id"]: math.ceil((clip["duration"] + TAIL_SECONDS) * rate) for clip in clips}


def example(
    processor: InserterProcessor, parts: list[dict[str, Any]], end: bool = False, lengths: Mapping[str, int] = NOTHING
) -> Example:
    """From the parts of a sequence (text, utt_id, loss). `end`: the document's end is learnt as well. lengths: see
    `heard_lengths`."""
    ids, labels, clips = [processor.document_start_id], [IGNORE], []
    positions = 1
    for part in parts:
        text = processor.encode(part["text"])
        positions += lengths.get(part["utt_id"], len(text))
        if part["utt_id"]:
            ids += processor.span_ids
            labels += [IGNORE] * len(processor.span_ids)
            clips.append(part["utt_id"])
            positions += len(processor.span_ids) - 1
        else:
            ids += text
            labels += text if part["loss"] else [IGNORE] * len(text)
    if end:
        ids.append(processor.document_start_id)
        labels.append(processor.document_start_id)
    return Example(tuple(ids), tuple(labels), tuple(clips), positions)


def as_read(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The parts of a sequence with text where speech stands."""
    return [part | {"utt_id": None} for part in parts]


def chat_example(
    processor: InserterProcessor, prompt: str, answer: str, utt_id: str | None, lengths: Mapping[str, int] = NOTHING
) -> Example:
    """A chat turn that is heard (utt_id) or read; only the answer and its end are learnt."""
    head = processor.chat([None if utt_id else prompt])
    tail = [*processor.encode(answer), processor.tokenizer.eos_token_id]
    spoken = lengths.get(utt_id, len(processor.encode(prompt))) if utt_id else 0
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


def clips_needed(examples: list[Example], settings: Pretrain | Sft) -> set[str]:
    """The clips of the examples that a phase with these settings trains on, and one for rows of text (`Packed._spare`)."""
    steps = plan(examples, settings.steps, settings.batch_positions, settings.seed)
    spare = next((e.clips[:1] for e in examples if e.clips), ())
    return {*clips_of(examples[i] for step in steps for i in step), *clips_of(examples[:1]), *spare}


def places_of(model: InserterForConditionalGeneration, examples: Iterable[Example]) -> list[Place]:
    return [place for item in examples for place in zip(item.clips, model.openings(item.ids), strict=True)]


def hear(model: InserterForConditionalGeneration, places: Iterable[Place], clips: Clips) -> dict[Place, Tensor]:
    """What the LM gets of each clip in its place (positions, LM width), all of them heard in one pass."""
    distinct = list(dict.fromkeys(places))
    if not distinct:
        return {}
    names, opening = [name for name, _ in distinct], [opens for _, opens in distinct]
    if isinstance(clips, Sounds):
        heard = model.hear(*clips.encoded(model, names), opening)
    else:
        heard = model.hear(*batch([clips[name] for name in names], model.device), opening=opening)
    return dict(zip(distinct, heard, strict=True))


def to_sequences(model: InserterForConditionalGeneration, examples: list[Example], heard: Mapping[Place, Tensor]) -> list[Sequence]:
    """What `model.packed_losses` takes. heard: every clip of the examples in its place."""
    device = model.device
    return [
        (
            torch.tensor(item.ids, device=device),
            torch.tensor(item.labels, device=device),
            [heard[place] for place in places_of(model, [item])],
        )
        for item in examples
    ]


def grouped(examples: list[Example], chosen: list[int], positions: int) -> list[list[int]]:
    """`chosen` in order, in groups of at most so many estimated positions; a longer example has a group of its own."""
    groups: list[list[int]] = [[]]
    used = 0
    for i in chosen:
        if groups[-1] and used + examples[i].positions > positions:
            groups.append([])
            used = 0
        groups[-1].append(i)
        used += examples[i].positions
    return groups


@dataclass(frozen=True)
class Packed:
    """A loop's `Task` over packed sequences. A piece: the examples of one row of about micro_positions.

    steps: the examples of each (see `plan`); process `rank` of `world` takes every world-th of them. What a row takes beyond its
    sequences is small: rows of 200, 400, 800 and 1,600 trained 221, 241, 252 and 259 positions a second on two CPU cores.

    read: the examples with text in place of speech; not empty where `distill` of the loss of what is heard is KL(read || heard).
    """

    model: InserterForConditionalGeneration
    examples: list[Example]
    steps: list[list[int]]
    clips: Clips
    micro_positions: int
    read: list[Example] = field(default_factory=list)
    distill: float = 0.0

    def pieces(self, step: int, rank: int, world: int) -> list[list[int]]:
        """Rows of this process, then empty ones where another has more."""
        shares = [grouped(self.examples, self.steps[step][start::world], self.micro_positions) for start in range(world)]
        return shares[rank] + [[]] * (max(map(len, shares)) - len(shares[rank]))

    def tokens(self, step: int) -> int:
        return sum(self.examples[i].learnt for i in self.steps[step])

    def loss(self, piece: list[int]) -> tuple[Tensor, int]:
        """Of an empty piece 0, with a gradient of zeros."""
        chosen = [self.examples[i] for i in piece] or self.examples[:1]
        places = places_of(self.model, chosen)
        heard = hear(self.model, places or self._spare(), self.clips)
        sequences = to_sequences(self.model, chosen, heard)
        losses, _ = self.model.packed_losses(sequences, self._as_read(piece), self.distill)
        total = losses.sum() if places else losses.sum() + 0.0 * sum(clip.sum() for clip in heard.values())
        if not piece:
            return 0.0 * total, 0
        return total, sum(len(ids) - len(speech) + sum(map(len, speech)) for ids, _, speech in sequences)

    def _as_read(self, piece: list[int]) -> list[Sequence] | None:
        """The piece's sequences with speech, as they are read. Over many processes the LM reads in each of them or in none."""
        if not self.distill:
            return None
        taught = [i for i in piece if self.examples[i].clips] or ([0] if world() > 1 else [])
        return to_sequences(self.model, [self.read[i] for i in taught], {})

    def _spare(self) -> list[Place]:
        """A clip for a row of text: where weights are sharded, every process has to use the adapter or none does; and where only
        what hears learns, such a row would have no gradient at all."""
        needed = world() > 1 or not any(q.requires_grad for q in self.model.language_model.parameters())
        return next(([(e.clips[0], False)] for e in self.examples if e.clips), []) if needed else []


def packed_phase(
    name: str,
    settings: Pretrain | Sft,
    model: InserterForConditionalGeneration,
    examples: list[Example],
    clips: Clips,
    read: Iterable[Example] = (),
    distill: float = 0.0,
) -> Phase:
    """The phase that trains on `examples` as the stage's section of params.yaml says. read, distill: see `Packed`."""
    s, o = settings, settings.optimizer
    steps = plan(examples, s.steps, s.batch_positions, s.seed)
    task = Packed(model, examples, steps, clips, s.micro_positions, list(read), distill)
    torch.manual_seed(derive(s.seed, name))  # LoRA's matrices
    parts = parts_of(model, s.trainable, o)
    if s.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return Phase(
        name,
        s.seed,
        s.steps,
        parts,
        task,
        o.weight_decay,
        o.clip,
        o.warmup_share,
        s.precision,
        s.checkpoint_steps,
        s.keep_checkpoints,
    )
