"""Does the model hear? Loss of held-out continuations after a context that was heard, read, another's, or absent."""

from typing import Any

import torch
from tqdm import tqdm

from models import InserterForConditionalGeneration, InserterProcessor
from stages.common.training.batches import Example, example, to_sequences
from stages.common.training.states import States

CONTEXTS = ("heard_own", "heard_other", "read_own", "read_other", "absent")
BATCH_POSITIONS = 1500


def context_example(processor: InserterProcessor, row: dict[str, Any], context: str, others: dict[str, dict]) -> Example:
    """The continuation of `row` after one of the five contexts; the same tokens are learnt in each."""
    source = others[row["other_doc_id"]] if context.endswith("other") else row
    after = {"text": row["continuation"], "utt_id": None, "loss": True}
    if context == "absent":
        return example(processor, [after])
    spoken = source["utt_id"] if context.startswith("heard") else None
    return example(processor, [{"text": source["context"], "utt_id": spoken, "loss": False}, after])


def losses(
    model: InserterForConditionalGeneration,
    examples: list[Example],
    states: States,
    precision: str,
    description: str,
) -> list[tuple[float, int]]:
    """(summed loss, tokens) of each example."""
    model.eval()
    result = [(0.0, 0)] * len(examples)
    groups: list[list[int]] = [[]]
    for i in sorted(range(len(examples)), key=lambda i: examples[i].positions):
        if groups[-1] and sum(examples[j].positions for j in groups[-1]) + examples[i].positions > BATCH_POSITIONS:
            groups.append([])
        groups[-1].append(i)
    for group in tqdm(groups, desc=description, unit="batch"):
        with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16"):
            loss, owner = model.packed_losses(to_sequences(model, [examples[i] for i in group], states))
        for number, i in enumerate(group):
            mine = loss[owner == number]
            result[i] = (float(mine.double().sum()), len(mine))
    return result


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
    model: InserterForConditionalGeneration, processor: InserterProcessor, rows: list[dict], states: States, precision: str
) -> dict[str, Any]:
    """{"continuation": mean loss by context, "gap_closed": ..., "documents": n} over the held-out rows."""
    others = {row["doc_id"]: row for row in rows}
    result = {}
    for context in CONTEXTS:
        examples = [context_example(processor, row, context, others) for row in rows]
        result[context] = mean(losses(model, examples, states, precision, f"held out: {context}"))
    return {"continuation": result, "gap_closed": gap_closed(result), "documents": len(rows)}


def text_loss(
    model: InserterForConditionalGeneration, processor: InserterProcessor, rows: list[dict], states: States, precision: str
) -> float:
    """Loss a token of the held-out text alone, context and continuation: has the LM forgotten?"""
    parts = [[{"text": row["context"] + row["continuation"], "utt_id": None, "loss": True}] for row in rows]
    return mean(losses(model, [example(processor, p) for p in parts], states, precision, "held out: text"))
