"""Turn examples into rows for the LM, and assign the rows to micro-batches and ranks.

The seed decides the assignment before training begins.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from inserter.params import Pretrain, Sft
from inserter.seeds import derive
from inserter.training.cliptable import ClipTable
from inserter.training.compiled import compile_layers
from inserter.training.examples import Example
from inserter.training.loop import Phase
from inserter.training.plan import Plan
from inserter.training.processes import world
from inserter.training.recompute import save_memory
from inserter.training.states import Ahead, Clips, Sounds, batch
from inserter.training.tokens import UNKNOWN, Tokens
from inserter.training.trainable import parts_of, whole_parts
from models import InserterForConditionalGeneration
from models.adapter import ProjectionAdapter, stacked_lengths
from models.encoder import ENCODER_FRAMES
from models.modeling import Sequence
from models.processor import TAIL_SECONDS
from models.sound import SAMPLE_RATE

# A clip, and whether a text begins with it: the adapter `decoder` then hears no leading blank.
Place = tuple[str, bool]
# Positions of a rank whose clips are read and encoded together: up to an hour of speech at 25 per
# second and a third of the positions.
WINDOW = 1 << 18


class HeardLengths(Mapping[str, int]):
    """The LM positions of each clip, where they are known before the clip is heard.

    The adapters `pooling` and `stacking` have a fixed number of positions per second. For other
    adapters no clip is known. The lengths are exact for clips of one encoder window. A longer clip
    is cut where it pauses, and has a few positions more.
    """

    def __init__(self, model: InserterForConditionalGeneration, *clips: ClipTable) -> None:
        """clips: the first table that has a clip counts."""
        self.encoder, self.adapter = model.encoder, model.adapter
        self.clips = clips if isinstance(model.adapter, ProjectionAdapter) else ()

    def of(self, names: np.ndarray) -> np.ndarray:
        """Return the positions (n,) of clips, or UNKNOWN.

        names: bytes (n,), the UTF-8 ids of the clips.
        """
        samples = np.full(len(names), -1)
        for table in reversed(self.clips):
            found = table.samples(names)
            samples = np.where(found < 0, samples, found)
        frames = torch.from_numpy((samples + int(TAIL_SECONDS * SAMPLE_RATE)) * 2 * ENCODER_FRAMES // SAMPLE_RATE)
        lengths = self.encoder.state_lengths(frames)
        if isinstance(self.adapter, ProjectionAdapter):
            lengths = stacked_lengths(lengths, self.adapter.stride)
        return np.where(samples < 0, UNKNOWN, lengths.numpy())

    def __getitem__(self, utt_id: str) -> int:
        found = int(self.of(np.array([utt_id.encode()]))[0])
        if found == UNKNOWN:
            raise KeyError(utt_id)
        return found

    def __contains__(self, utt_id: object) -> bool:
        return any(utt_id in clips for clips in self.clips)

    def __iter__(self) -> Iterator[str]:
        return (utt_id for clips in self.clips for utt_id in clips)

    def __len__(self) -> int:
        return sum(map(len, self.clips))


def planned(examples: Tokens, settings: Pretrain | Sft) -> Plan:
    """Return the plan of a phase with these settings. With `minutes`, it has no last step."""
    steps = settings.steps if _minutes(settings) is None else sys.maxsize
    return Plan(examples.positions, steps, settings.batch_positions, seed=settings.seed)


def _minutes(settings: Pretrain | Sft) -> float | None:
    return settings.minutes if isinstance(settings, Pretrain) else None


def clips_needed(examples: Tokens, settings: Pretrain | Sft) -> set[str]:
    """Return the clips that a phase with these settings trains on, with those of `_stand_ins`.

    With `minutes` it may train on all.
    """
    if _minutes(settings) is not None:
        return {name.decode() for name in examples.clips.tolist()}
    steps = planned(examples, settings)
    return {*_stand_ins(examples), *(clip for step in steps for i in step for clip in examples.clips_of(i))}


def _stand_ins(examples: Tokens) -> tuple[str, ...]:
    """Return the clips of the first example, for empty rows, and one clip for rows of text.

    See `Packed.loss` and `Packed._spare`.
    """
    return (*examples.clips_of(0), *(name.decode() for name in examples.clips[:1].tolist())) if len(examples) else ()


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
    return [
        (torch.tensor(item.ids), torch.tensor(item.labels), [heard[place] for place in places_of(model, [item])])
        for item in examples
    ]


def grouped(positions: SequenceOf[int] | np.ndarray, chosen: list[int], most: int) -> list[list[int]]:
    """Split `chosen`, in order, into groups of at most `most` estimated positions.

    positions: of every example, of which `chosen` are indices. A longer example has a group of its
    own.
    """
    groups: list[list[int]] = [[]]
    used = 0
    for i in chosen:
        length = int(positions[i])
        if groups[-1] and used + length > most:
            groups.append([])
            used = 0
        groups[-1].append(i)
        used += length
    return groups


@dataclass(frozen=True)
class Packed:
    """A loop's `Task` over packed sequences. A piece (micro-batch) is one row of examples."""

    model: InserterForConditionalGeneration
    examples: Tokens
    steps: SequenceOf[list[int]]
    """The indices of each step's examples (see `Plan`), of which each rank takes every world-th."""

    clips: Clips
    micro_positions: int
    """Estimated positions of a row, at most; a longer example has a row of its own.

    A row costs little beyond its sequences. On two CPU cores, rows of 200, 400, 800 and 1,600
    positions trained 221, 241, 252 and 259 positions per second.
    """

    read: Tokens | None = None
    """The examples with text in place of speech; None without `distill`."""

    distill: float = 0.0
    """Share, 0 to 1, of the loss of sequences with speech that is KL(read || heard)."""

    window: int = 1
    """Steps whose clips are made ready together."""

    def pieces(self, step: int, rank: int, world: int) -> list[list[int]]:
        """Return the rows of this rank, then empty rows if another rank has more.

        The clips of the rows are ready from here on.
        """
        if isinstance(self.clips, Sounds | Ahead):
            self.clips.reach(step // self.window, lambda window: self._heard_in(window, rank, world))
        chosen, most = self.steps[step], self.micro_positions
        shares = [grouped(self.examples.positions, chosen[start::world], most) for start in range(world)]
        return shares[rank] + [[]] * (max(map(len, shares)) - len(shares[rank]))

    def _heard_in(self, window: int, rank: int, world: int) -> list[str]:
        """Return the clips of a rank's examples in a window of steps, and those of `_stand_ins`."""
        steps = range(window * self.window, min(len(self.steps), (window + 1) * self.window))
        chosen = (i for step in steps for i in self.steps[step][rank::world])
        return list(dict.fromkeys((*_stand_ins(self.examples), *(clip for i in chosen for clip in self.examples.clips_of(i)))))

    def tokens(self, step: int) -> int:
        return int(self.examples.learnt[self.steps[step]].sum())

    def loss(self, piece: list[int]) -> tuple[Tensor, int]:
        """Return the summed loss of a row and its positions.

        An empty row has a loss of 0, no positions and a gradient of zeros. The first example stands
        in for it.
        """
        chosen = [self.examples[i] for i in piece or [0]]
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
        if self.read is None:
            return None
        taught = [i for i in piece if self.examples.clips_of(i)] or ([0] if world() > 1 else [])
        return to_sequences(self.model, [self.read[i] for i in taught], {})

    def _spare(self) -> list[Place]:
        """Return a clip for a row of text, or [] if the row needs none.

        With sharded weights, either all ranks use the adapter or none does. If the LM does not
        learn, a row of text would have no gradient at all.
        """
        needed = world() > 1 or not any(q.requires_grad for q in self.model.language_model.parameters())
        return [(name.decode(), False) for name in self.examples.clips[:1].tolist()] if needed else []


def packed_phase(
    name: str,
    settings: Pretrain | Sft,
    model: InserterForConditionalGeneration,
    *,
    examples: Tokens,
    clips: Clips,
    read: Tokens | None = None,
    distill: float = 0.0,
) -> Phase:
    """Return the phase that trains on `examples` under a stage's section of params.yaml.

    read, distill: see `Packed`.
    """
    s, o = settings, settings.optimizer
    window = max(1, WINDOW * world() // s.batch_positions)
    task = Packed(model, examples, planned(examples, s), clips, s.micro_positions, read, distill, window)
    torch.manual_seed(derive(s.seed, name))  # for LoRA's matrices
    parts = parts_of(model, s.trainable, o)
    save_memory(model, s.gradient_checkpointing)
    if isinstance(s, Pretrain) and s.compile:
        compile_layers(model.language_model)
    return Phase(
        name=name,
        seed=s.seed,
        steps=s.steps,
        parts=parts,
        whole=whole_parts(model, encoder=s.trainable.encoder),
        task=task,
        weight_decay=o.weight_decay,
        clip=o.clip,
        warmup_share=o.warmup_share,
        precision=s.precision,
        checkpoint_steps=s.checkpoint_steps,
        keep_checkpoints=s.keep_checkpoints,
        minutes=_minutes(s),
    )
