"""Teach the adapter alone to spell the LM's own tokens from encoder states, with a CTC loss.

Without the warm-up a small budget closes none of the gap: -0.5 % against 15 % at 66 k positions
with the paper's adapter.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor

from inserter.params import Warmup
from inserter.seeds import np_rng, rng
from inserter.tables import Verified
from inserter.training.loop import Phase
from inserter.training.states import States, batch
from models import InserterForConditionalGeneration, InserterProcessor
from models.adapter import DecoderAdapter, SoftTokenAdapter

# Batches whose clips are sorted by length together. With 16, 95 % of the frames are real, and the
# order is random enough.
POOL = 16


def targets(processor: InserterProcessor, rows: list[Verified]) -> dict[str, list[int]]:
    """Return {utt_id: tokens}: what the adapter is to spell.

    The tokens are the LM's, of the written form as it stands after a blank.
    """
    return {row["utt_id"]: processor.encode(" " + row["written"]) for row in rows}


def plan(rows: list[Verified], steps: int, batch_seconds: float, *, seed: int) -> list[list[str]]:
    """Return the clips of each step: at most `batch_seconds` of padded audio.

    Clips of similar lengths share a step.
    """
    result: list[list[str]] = []
    epoch = 0
    durations = {row["utt_id"]: row["duration"] + 0.5 for row in rows}
    while len(result) < steps:
        random = rng(seed, "warmup", epoch)
        order = sorted(durations)
        random.shuffle(order)
        mean = sum(durations.values()) / len(durations)
        size = max(1, round(POOL * batch_seconds / mean))
        batches: list[list[str]] = []
        for start in range(0, len(order), size):
            group: list[str] = []
            for utt_id in sorted(order[start : start + size], key=lambda u: (durations[u], u)):
                if group and (len(group) + 1) * durations[utt_id] > batch_seconds:
                    batches.append(group)
                    group = []
                group.append(utt_id)
            batches.append(group)
        random.shuffle(batches)
        result += batches
        epoch += 1
    return result[:steps]


@dataclass(frozen=True)
class Spelling:
    """The training loop's `Task`: spell clips with the adapter.

    A piece is (step, one rank's clips).
    """

    w: Warmup
    adapter: SoftTokenAdapter
    """What learns: a copy of the model's adapter."""

    model: InserterForConditionalGeneration
    """Provides the LM's table of token embeddings."""

    states: States
    spelled: dict[str, list[int]]
    """{utt_id: tokens to spell}."""

    batches: list[list[str]]
    """The clips of each step."""

    def pieces(self, step: int, rank: int, world: int) -> list[tuple[int, list[str]]]:
        return [(step, self.batches[step][rank::world])]

    def tokens(self, step: int) -> int:
        return sum(len(self.spelled[clip]) for clip in self.batches[step])

    def loss(self, piece: tuple[int, list[str]]) -> tuple[Tensor, int]:
        """Return the loss summed over the piece's tokens, and the number of its frames.

        A rank without a clip takes part with a zero loss. The other ranks wait for it if weights
        are sharded.
        """
        step, mine = piece
        clips = mine or self.batches[step][:1]
        random = np_rng(self.w.seed, "negatives", step).integers(0, self.model.config.text_config.vocab_size, self.w.negatives)
        # Tokens of all ranks' clips.
        others = [token for clip in self.batches[step] for token in self.spelled[clip]]
        padded, lengths = batch([self.states[clip] for clip in clips], self.model.device)
        own = [self.spelled[clip] for clip in clips]
        negatives = torch.from_numpy(np.concatenate([random, np.array(others, dtype=random.dtype)]))
        total = self.adapter.ctc_loss(padded, lengths, own, embeddings=self.model.table, negatives=negatives) * sum(map(len, own))
        return (total, int(lengths.sum())) if mine else (0.0 * total, 0)


def phase(
    w: Warmup,
    adapter: SoftTokenAdapter,
    model: InserterForConditionalGeneration,
    *,
    states: States,
    spelled: dict[str, list[int]],
    rows: list[Verified],
) -> Phase:
    task = Spelling(w, adapter, model, states, spelled, plan(rows, w.steps, w.batch_seconds, seed=w.seed))
    return Phase(
        name="warmup",
        seed=w.seed,
        steps=w.steps,
        parts=[(adapter, w.lr)],
        task=task,
        weight_decay=w.weight_decay,
        clip=w.clip,
        warmup_share=w.warmup_share,
        precision=w.precision,
        checkpoint_steps=w.checkpoint_steps,
        keep_checkpoints=w.keep_checkpoints,
    )


def token_error(
    model: InserterForConditionalGeneration, processor: InserterProcessor, states: States, *, rows: list[Verified]
) -> float:
    """Return the edits per written token when the adapter alone spells held-out clips.

    0 is perfect.
    """
    model.eval()
    wanted = targets(processor, rows)
    edits, adapter = 0, cast(SoftTokenAdapter | DecoderAdapter, model.adapter)
    for start in range(0, len(rows), 16):
        group = [row["utt_id"] for row in rows[start : start + 16]]
        heard = adapter.spell(*batch([states[u] for u in group], model.device), model.table)
        edits += sum(Levenshtein.distance(h, wanted[u]) for h, u in zip(heard, group, strict=True))
    return edits / sum(map(len, wanted.values()))
