"""Turn sequences into token ids, labels and clips, and assign them to steps.

The seed decides the assignment before training begins.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from inserter.params import Pretrain, Sft
from inserter.seeds import derive, rng
from inserter.tables import Part, Utterance
from inserter.training.loop import Phase
from inserter.training.processes import world
from inserter.training.recompute import save_memory
from inserter.training.states import Clips, Sounds, batch
from inserter.training.trainable import parts_of
from models import InserterForConditionalGeneration, InserterProcessor
from models.encoder import ENCODER_FRAMES
from models.modeling import IGNORE, Sequence
from models.processor import TAIL_SECONDS

NOTHING: Mapping[str, int] = {}
# A clip, and whether a text begins with it: the adapter `decoder` then hears no leading blank.
Place = tuple[str, bool]


@dataclass(frozen=True)
class Example:
    """One sequence to learn from or to measure."""

    ids: tuple[int, ...]
    """Token ids, with one placeholder per clip."""

    labels: tuple[int, ...]
    """Parallel to `ids`; -100 where nothing is learnt."""

    clips: tuple[str, ...]
    """Ids of the clips, in order."""

    positions: int
    """LM positions, estimated before the speech is known.

    A spoken word counts as its written tokens, unless `heard_lengths` gives the clip's positions.
    """

    @property
    def learnt(self) -> int:
        """Number of tokens with a loss: the first token of a sequence has nothing before it."""
        return sum(label != IGNORE for label in self.labels[1:])


def heard_lengths(model: InserterForConditionalGeneration, clips: Iterable[Utterance]) -> dict[str, int]:
    """Return the LM positions of each clip, if they are known before the clip is heard.

    The adapter `pooling` has a fixed number of positions per second. Other adapters give {}.
    clips: rows with utt_id, and duration in seconds.
    """
    config = model.config
    if config.adapter != "pooling":
        return {}
    rate = ENCODER_FRAMES / config.adapter_stride
    return {clip["utt_id"]: math.ceil((clip["duration"] + TAIL_SECONDS) * rate) for clip in clips}


def example(
    processor: InserterProcessor, parts: Iterable[Part], end: bool = False, *, lengths: Mapping[str, int] = NOTHING
) -> Example:
    """Return the example of a sequence's parts (text, utt_id, loss).

    end: the document's end is learnt as well. lengths: see `heard_lengths`.
    """
    ids, labels, clips = [processor.document_start_id], [IGNORE], []
    positions = 1
    for part in parts:
        text, utt_id = processor.encode(part["text"]), part["utt_id"]
        positions += len(text) if utt_id is None else lengths.get(utt_id, len(text))
        if utt_id:
            ids += processor.span_ids
            labels += [IGNORE] * len(processor.span_ids)
            clips.append(utt_id)
            positions += len(processor.span_ids) - 1
        else:
            ids += text
            labels += text if part["loss"] else [IGNORE] * len(text)
    if end:
        ids.append(processor.document_start_id)
        labels.append(processor.document_start_id)
    return Example(tuple(ids), tuple(labels), tuple(clips), positions)


def as_read(parts: Iterable[Part]) -> list[Part]:
    """Return the parts of a sequence with text in place of speech."""
    return [part | {"utt_id": None} for part in parts]


def chat_example(
    processor: InserterProcessor, prompt: str, answer: str, *, utt_id: str | None, lengths: Mapping[str, int] = NOTHING
) -> Example:
    """Return the example of a chat turn, which is heard if it has a `utt_id`, else read.

    Only the answer and its end are learnt. lengths: see `heard_lengths`.
    """
    head = processor.chat([None if utt_id else prompt])
    tail = [*processor.encode(answer), processor.tokenizer.eos_token_id]
    spoken = lengths.get(utt_id, len(processor.encode(prompt))) if utt_id else 0
    return Example(
        tuple(head + tail), tuple([IGNORE] * len(head) + tail), (utt_id,) if utt_id else (), len(head) + len(tail) + spoken
    )


def plan(examples: list[Example], steps: int, batch_positions: int, *, seed: int) -> list[list[int]]:
    """Return the indices of each step's examples: about `batch_positions` estimated positions.

    The order is a shuffle from (seed, epoch). A new epoch begins where the last one ends, also
    within a step. Nothing depends on the number of ranks.
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
    """Return the clips that a phase with these settings trains on.

    The clips of the first example are included, for empty rows (`Packed.loss`). One more clip is
    included for rows of text (`Packed._spare`).
    """
    steps = plan(examples, settings.steps, settings.batch_positions, seed=settings.seed)
    spare = next((e.clips[:1] for e in examples if e.clips), ())
    return {*clips_of(examples[i] for step in steps for i in step), *clips_of(examples[:1]), *spare}


def places_of(model: InserterForConditionalGeneration, examples: Iterable[Example]) -> list[Place]:
    """Return the places of all clips of the examples, in order."""
    return [place for item in examples for place in zip(item.clips, model.openings(item.ids), strict=True)]


def hear(model: InserterForConditionalGeneration, places: Iterable[Place], clips: Clips) -> dict[Place, Tensor]:
    """Hear all clips in one pass; return the LM's input for each place: (positions, LM width)."""
    distinct = list(dict.fromkeys(places))
    if not distinct:
        return {}
    names, opening = [name for name, _ in distinct], [opens for _, opens in distinct]
    if isinstance(clips, Sounds):
        heard = model.hear(*clips.encoded(model, names), opening=opening)
    else:
        heard = model.hear(*batch([clips[name] for name in names], model.device), opening=opening)
    return dict(zip(distinct, heard, strict=True))


def to_sequences(model: InserterForConditionalGeneration, examples: list[Example], heard: Mapping[Place, Tensor]) -> list[Sequence]:
    """Return what `model.packed_losses` takes.

    heard: the result of `hear` for every clip of the examples.
    """
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
    """Split `chosen`, in order, into groups of at most `positions` estimated positions.

    A longer example has a group of its own.
    """
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
    """A loop's `Task` over packed sequences. A piece (micro-batch) is one row of examples."""

    model: InserterForConditionalGeneration
    examples: list[Example]
    steps: list[list[int]]
    """The indices of each step's examples (see `plan`), of which each rank takes every world-th."""

    clips: Clips
    micro_positions: int
    """Estimated positions of a row, at most; a longer example has a row of its own.

    A row costs little beyond its sequences. On two CPU cores, rows of 200, 400, 800 and 1,600
    positions trained 221, 241, 252 and 259 positions per second.
    """

    read: list[Example] = field(default_factory=list)
    """The examples with text in place of speech; empty without `distill`."""

    distill: float = 0.0
    """Share, 0 to 1, of the loss of sequences with speech that is KL(read || heard)."""

    def pieces(self, step: int, rank: int, world: int) -> list[list[int]]:
        """Return the rows of this rank, then empty rows if another rank has more."""
        shares = [grouped(self.examples, self.steps[step][start::world], self.micro_positions) for start in range(world)]
        return shares[rank] + [[]] * (max(map(len, shares)) - len(shares[rank]))

    def tokens(self, step: int) -> int:
        return sum(self.examples[i].learnt for i in self.steps[step])

    def loss(self, piece: list[int]) -> tuple[Tensor, int]:
        """Return the summed loss of a row and its positions.

        An empty row has a loss of 0, no positions and a gradient of zeros. The first example stands
        in for it.
        """
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
        """Return the piece's sequences with speech, as they are read; None without `distill`.

        Over many ranks the LM has to read on all of them or on none. A rank without such a sequence
        reads the first example.
        """
        if not self.distill:
            return None
        taught = [i for i in piece if self.examples[i].clips] or ([0] if world() > 1 else [])
        return to_sequences(self.model, [self.read[i] for i in taught], {})

    def _spare(self) -> list[Place]:
        """Return a clip for a row of text, or [] if the row needs none.

        With sharded weights, either all ranks use the adapter or none does. If the LM does not
        learn, a row of text would have no gradient at all.
        """
        needed = world() > 1 or not any(q.requires_grad for q in self.model.language_model.parameters())
        return next(([(e.clips[0], False)] for e in self.examples if e.clips), []) if needed else []


def packed_phase(
    name: str,
    settings: Pretrain | Sft,
    model: InserterForConditionalGeneration,
    *,
    examples: list[Example],
    clips: Clips,
    read: Iterable[Example] = (),
    distill: float = 0.0,
) -> Phase:
    """Return the phase that trains on `examples` under a stage's section of params.yaml.

    read, distill: see `Packed`.
    """
    s, o = settings, settings.optimizer
    steps = plan(examples, s.steps, s.batch_positions, seed=s.seed)
    task = Packed(model, examples, steps, clips, s.micro_positions, list(read), distill)
    torch.manual_seed(derive(s.seed, name))  # for LoRA's matrices
    parts = parts_of(model, s.trainable, o)
    save_memory(model, s.gradient_checkpointing)
    return Phase(
        name=name,
        seed=s.seed,
        steps=s.steps,
        parts=parts,
        task=task,
        weight_decay=o.weight_decay,
        clip=o.clip,
        warmup_share=o.warmup_share,
        precision=s.precision,
        checkpoint_steps=s.checkpoint_steps,
        keep_checkpoints=s.keep_checkpoints,
    )
