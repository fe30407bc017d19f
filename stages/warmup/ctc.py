"""The adapter alone learns to spell the LM's own tokens from encoder states, with a CTC loss.

Without it a small budget closes none of the gap (-0.5 % against 15 % at 66 k positions with the paper's adapter).
"""

from typing import Any, cast

import torch
from rapidfuzz.distance import Levenshtein

from models import InserterForConditionalGeneration, InserterProcessor
from models.adapter import SoftTokenAdapter
from stages.common.params import Warmup
from stages.common.seeds import np_rng, rng
from stages.common.training.loop import Phase
from stages.common.training.states import States, batch

POOL = 16  # batches whose clips are sorted together by length: 16 keep 95 % of the frames real and the order random enough
FRAMES_A_SECOND = 50


def targets(processor: InserterProcessor, rows: list[dict[str, Any]]) -> dict[str, list[int]]:
    """What the adapter is to spell: the written form as it stands after a blank, in the LM's tokens."""
    texts = processor.tokenizer([" " + row["written"] for row in rows], add_special_tokens=False)["input_ids"]
    return {row["utt_id"]: ids for row, ids in zip(rows, texts, strict=True)}


def plan(rows: list[dict[str, Any]], steps: int, batch_seconds: float, seed: int) -> list[list[str]]:
    """The clips of each step: at most batch_seconds of padded audio, like lengths together."""
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


def phase(
    w: Warmup, adapter: SoftTokenAdapter, model: InserterForConditionalGeneration, states: States,
    spelled: dict[str, list[int]], rows: list[dict],
) -> Phase:  # fmt: skip
    """What `adapter` learns, a copy of the model's: the LM's table is `model`'s."""
    batches = plan(rows, w.steps, w.batch_seconds, w.seed)
    vocabulary = model.config.text_config.vocab_size

    def loss(step: int, rank: int, world: int) -> tuple[torch.Tensor, int, int]:
        mine = batches[step][rank::world]
        tokens = sum(len(spelled[clip]) for clip in batches[step])
        if not mine:
            return sum(q.sum() for q in adapter.parameters()) * 0.0, tokens, 0  # type: ignore[return-value]
        negatives = np_rng(w.seed, "negatives", step).integers(0, vocabulary, w.negatives)
        padded, lengths = batch([states[clip] for clip in mine], model.device)
        own = [spelled[clip] for clip in mine]
        mean = adapter.ctc_loss(padded, lengths, own, model.table, torch.from_numpy(negatives))
        return mean * sum(map(len, own)), tokens, int(lengths.sum())

    return Phase(
        "warmup", w.seed, w.steps, [(adapter, w.lr)], loss, w.weight_decay, w.clip, w.warmup_share, w.precision,
        w.checkpoint_steps, w.keep_checkpoints,
    )  # fmt: skip


def token_error(
    model: InserterForConditionalGeneration, processor: InserterProcessor, states: States, rows: list[dict[str, Any]]
) -> float:
    """Edits a written token when the adapter alone spells held-out clips (0: perfect)."""
    model.eval()
    wanted = targets(processor, rows)
    edits, adapter = 0, cast(SoftTokenAdapter, model.adapter)
    for start in range(0, len(rows), 16):
        group = [row["utt_id"] for row in rows[start : start + 16]]
        heard = adapter.spell(*batch([states[u] for u in group], model.device), model.table)
        edits += sum(Levenshtein.distance(h, wanted[u]) for h, u in zip(heard, group, strict=True))
    return edits / sum(map(len, wanted.values()))
