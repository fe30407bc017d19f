"""Does the model hear? Loss of held-out continuations after a context that was heard, read, another's, or absent."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from models import InserterForConditionalGeneration, InserterProcessor
from stages.common.sequences import transcript_parts
from stages.common.statistics import share_interval
from stages.common.training.batches import Example, clips_of, example, grouped, hear, to_sequences
from stages.common.training.states import Clips

HEARD = ("heard_own", "heard_other")
CONTEXTS = (*HEARD, "read_own", "read_other", "absent")
SEEN_CLIP, UNSEEN_CLIP = "utt_id", "unseen_utt_id"  # the columns of HELDOUT that name a context's clips
BATCH_POSITIONS = 1500
CLIPS = 16  # heard at a time
Measured = dict[str, list[tuple[float, int]]]  # by context, (summed loss, tokens) of each document


def context_example(
    processor: InserterProcessor, row: dict[str, Any], context: str, others: dict[str, dict], clip: str = SEEN_CLIP
) -> Example:
    """The continuation of `row` after one of the five contexts; the same tokens are learnt in each. clip: which one is heard."""
    source = others[row["other_doc_id"]] if context.endswith("other") else row
    after = {"text": row["continuation"], "utt_id": None, "loss": True}
    if context == "absent":
        return example(processor, [after])
    spoken = source[clip] if context.startswith("heard") else None
    return example(processor, [{"text": source["context"], "utt_id": spoken, "loss": False}, after])


def losses(
    model: InserterForConditionalGeneration,
    examples: list[Example],
    clips: Clips,
    precision: str,
    description: str,
    heard: Mapping[str, Tensor] | None = None,
) -> list[tuple[float, int]]:
    """(summed loss, tokens) of each example. heard: what the LM gets of their clips, where that is known already."""
    model.eval()
    result = [(0.0, 0)] * len(examples)
    by_length = sorted(range(len(examples)), key=lambda i: examples[i].positions)
    for group in tqdm(grouped(examples, by_length, BATCH_POSITIONS), desc=description, unit="batch"):
        chosen = [examples[i] for i in group]
        with _measuring(model, precision):
            known = hear(model, clips_of(chosen), clips) if heard is None else heard
            loss, owner = model.packed_losses(to_sequences(model, chosen, known))
        for number, i in enumerate(group):
            mine = loss[owner == number]
            result[i] = (float(mine.double().sum()), len(mine))
    return result


@contextmanager
def _measuring(model: InserterForConditionalGeneration, precision: str) -> Iterator[None]:
    with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16"):
        yield


def _hear_all(
    model: InserterForConditionalGeneration, names: Iterable[str], clips: Clips, precision: str
) -> dict[str, Tensor]:
    """`hear`, some clips at a time: every clip is a context twice, its own document's and another's."""
    ordered = sorted(set(names), key=lambda name: (len(clips[name]), name))
    heard: dict[str, Tensor] = {}
    model.eval()
    for start in tqdm(range(0, len(ordered), CLIPS), desc="held out: hear", unit="batch"):
        with _measuring(model, precision):
            heard |= hear(model, ordered[start : start + CLIPS], clips)
    return heard


def mean(pairs: list[tuple[float, int]]) -> float:
    """Loss a token over all examples, in nats."""
    return sum(loss for loss, _ in pairs) / max(1, sum(count for _, count in pairs))


def gap_closed(loss: dict[str, float]) -> float | None:
    """(L_heard(other) - L_heard(own)) / (L_read(other) - L_read(own)): 1 when hearing helps as much as reading, 0 when deaf.

    Another document's context is the baseline on purpose: against an absent one a model that uses nothing of what it heard
    reads 23-33 %, since any context of the right kind helps. None when reading does not help: then there is no gap.
    """
    gap = loss["read_other"] - loss["read_own"]
    return (loss["heard_other"] - loss["heard_own"]) / gap if gap > 0 else None


def continuation(
    model: InserterForConditionalGeneration, processor: InserterProcessor, rows: list[dict], clips: Clips, precision: str
) -> dict[str, Any]:
    """{"continuation": mean loss by context, "gap_closed", "gap_closed_interval", "documents", "voices"} over the held-out rows.

    voices: {"seen": {the same of the voices that training heard}, "unseen": {... of the others}}, both over the documents that have
    their own context and the other one's in both; what was read is the same. "unseen" is None where there is no such document.
    """
    others = {row["doc_id"]: row for row in rows}
    heard = _hear_all(model, (row[c] for row in rows for c in (SEEN_CLIP, UNSEEN_CLIP) if row[c]), clips, precision)

    def measure(contexts: Iterable[str], chosen: list[dict], clip: str) -> Measured:
        return {
            context: losses(
                model, [context_example(processor, row, context, others, clip) for row in chosen], clips, precision,
                f"held out: {context}{' in an unseen voice' if clip == UNSEEN_CLIP else ''}", heard,
            )
            for context in contexts
        }  # fmt: skip

    seen = measure(CONTEXTS, rows, SEEN_CLIP)
    both = [i for i, row in enumerate(rows) if row[UNSEEN_CLIP] and others[row["other_doc_id"]][UNSEEN_CLIP]]
    same = {context: [pairs[i] for i in both] for context, pairs in seen.items()} if both else seen
    unseen = same | measure(HEARD, [rows[i] for i in both], UNSEEN_CLIP) if both else None
    voices = {"seen": _figures(same), "unseen": _figures(unseen) if unseen else None}
    return {**_figures(seen), "voices": voices}


def _figures(measured: Measured) -> dict[str, Any]:
    means = {context: mean(pairs) for context, pairs in measured.items()}
    closed = gap_closed(means)
    return {
        "continuation": means,
        "gap_closed": closed,
        "gap_closed_interval": None if closed is None else _gap_interval(measured),
        "documents": len(measured["absent"]),
    }


def _gap_interval(measured: Measured) -> list[float] | None:
    """95 %, by resampling documents. A document has as many tokens in every context, so that sums of losses stand for means."""
    total = {context: np.array([loss for loss, _ in pairs]) for context, pairs in measured.items()}
    gains = [total[f"{how}_other"] - total[f"{how}_own"] for how in ("heard", "read")]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = share_interval(gains[0], gains[1], "gap closed")
    return found if found and np.isfinite(found).all() else None


def text_loss(
    model: InserterForConditionalGeneration, processor: InserterProcessor, rows: list[dict], clips: Clips, precision: str
) -> float:
    """Loss a token of the held-out text alone, context and continuation: has the LM forgotten?"""
    parts = [[{"text": row["context"] + row["continuation"], "utt_id": None, "loss": True}] for row in rows]
    return mean(losses(model, [example(processor, p) for p in parts], clips, precision, "held out: text"))


def transcript_loss(
    model: InserterForConditionalGeneration, processor: InserterProcessor, rows: list[dict], clips: Clips, precision: str
) -> float:
    """Loss a token of the transcript of held-out contexts, each asked for and heard as in a transcribe sequence."""
    parts = [transcript_parts({"utt_id": row[SEEN_CLIP], "written": row["context"]}) for row in rows]
    return mean(losses(model, [example(processor, p, end=True) for p in parts], clips, precision, "held out: transcripts"))
