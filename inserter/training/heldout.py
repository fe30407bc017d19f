"""Does the model hear? Loss of held-out continuations after a context that was heard, read, transcribed, another's, or absent."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from inserter.scoring.intervals import share_interval
from inserter.training.batches import Example, Place, example, grouped, hear, places_of, to_sequences
from inserter.training.sequences import transcript_parts
from inserter.training.states import Clips
from models import InserterForConditionalGeneration, InserterProcessor

HEARD = ("heard_own", "heard_other")
CONTEXTS = (*HEARD, "read_own", "read_other", "absent")
CASCADE = ("cascade_own", "cascade_other")  # what the recogniser writes of the clip stands where the clip would
SEEN_CLIP, UNSEEN_CLIP = "utt_id", "unseen_utt_id"  # the columns of HELDOUT that name a context's clips
BATCH_POSITIONS = 1500
CLIPS = 16  # heard at a time
KL_ROWS = 64  # of 49 k logits in fp32: 12.6 MB
Pairs = list[tuple[float, int]]  # (summed loss, tokens) of each document
Measured = dict[str, Pairs]  # by context
Transcripts = Mapping[str, str]  # by clip


class Compared(NamedTuple):
    """Of pairs of examples (p, q): KL(p || q), and the losses of each side."""

    kl: Pairs
    first: Pairs
    second: Pairs


def context_example(
    processor: InserterProcessor,
    row: dict[str, Any],
    context: str,
    others: dict[str, dict],
    clip: str = SEEN_CLIP,
    transcripts: Transcripts | None = None,
) -> Example:
    """The continuation of `row` after one context; the same tokens are learnt in each. clip: which one is heard or transcribed."""
    source = others[row["other_doc_id"]] if context.endswith("other") else row
    after = {"text": row["continuation"], "utt_id": None, "loss": True}
    if context == "absent":
        return example(processor, [after])
    spoken = source[clip] if context.startswith("heard") else None
    text = (transcripts or {})[source[clip]] if context in CASCADE else source["context"]
    return example(processor, [{"text": text, "utt_id": spoken, "loss": False}, after])


def losses(
    model: InserterForConditionalGeneration,
    examples: list[Example],
    clips: Clips,
    precision: str,
    description: str,
    heard: Mapping[Place, Tensor] | None = None,
) -> list[tuple[float, int]]:
    """(summed loss, tokens) of each example. heard: what the LM gets of their clips, where that is known already."""
    model.eval()
    result = [(0.0, 0)] * len(examples)
    by_length = sorted(range(len(examples)), key=lambda i: examples[i].positions)
    for group in tqdm(grouped(examples, by_length, BATCH_POSITIONS), desc=description, unit="batch"):
        chosen = [examples[i] for i in group]
        with _measuring(model, precision):
            known = hear(model, places_of(model, chosen), clips) if heard is None else heard
            loss, owner = model.packed_losses(to_sequences(model, chosen, known))
        for number, i in enumerate(group):
            mine = loss[owner == number]
            result[i] = (float(mine.double().sum()), len(mine))
    return result


@contextmanager
def _measuring(model: InserterForConditionalGeneration, precision: str) -> Iterator[None]:
    with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16"):
        yield


def hear_all(
    model: InserterForConditionalGeneration, examples: Iterable[Example], clips: Clips, precision: str
) -> dict[Place, Tensor]:
    """`hear` of the clips of all examples in their places, some at a time: a context is one of two documents."""
    ordered = sorted(set(places_of(model, examples)), key=lambda place: (len(clips[place[0]]), place))
    heard: dict[Place, Tensor] = {}
    model.eval()
    for start in tqdm(range(0, len(ordered), CLIPS), desc="held out: hear", unit="batch"):
        with _measuring(model, precision):
            heard |= hear(model, ordered[start : start + CLIPS], clips)
    return heard


def divergences(
    model: InserterForConditionalGeneration,
    pairs: list[tuple[Example, Example]],
    clips: Clips,
    precision: str,
    heard: Mapping[Place, Tensor] | None = None,
) -> Compared:
    """Sums in nats with their tokens, of each pair: KL of the next-token distributions at the tokens learnt in both, and losses.

    Both of a pair stand in one row, and the vocabulary is summed some rows of logits at a time.
    """
    model.eval()
    result = Compared(*([(0.0, 0)] * len(pairs) for _ in Compared._fields))
    by_length = sorted(range(len(pairs)), key=lambda i: pairs[i][1].positions)
    kept: list[Tensor] = []
    hook = model.language_model.register_forward_hook(lambda _module, _args, out: kept.append(out.logits[0].clone()))
    try:
        for group in tqdm(grouped([q for _, q in pairs], by_length, BATCH_POSITIONS // 4), desc="held out: KL", unit="batch"):
            chosen = [side for i in group for side in pairs[i]]
            with _measuring(model, precision):
                known = hear(model, places_of(model, chosen), clips) if heard is None else heard
                loss, owner = model.packed_losses(to_sequences(model, chosen, known))
            logits = kept.pop()
            for number, i in enumerate(group):
                sides = owner == 2 * number, owner == 2 * number + 1
                result.kl[i] = _divergence(*(logits[side] for side in sides))
                result.first[i], result.second[i] = ((float(loss[side].double().sum()), int(side.sum())) for side in sides)
    finally:
        hook.remove()
    return result


def forgetting(
    base: InserterForConditionalGeneration, model: InserterForConditionalGeneration, texts: list[Example], precision: str
) -> dict[str, list[float]]:
    """Return sums over the tokens of each text: "kl" of KL(base || model), "base" and "model" of the losses, and "tokens".

    texts: examples without a clip. Raises ValueError where the vocabularies differ in size.
    """
    result: dict[str, list[float]] = {name: [0.0] * len(texts) for name in ("kl", "base", "model", "tokens")}
    sides = {"base": base.eval(), "model": model.eval()}
    kept: dict[str, Tensor] = {}
    hooks = [
        side.language_model.register_forward_hook(lambda _m, _a, out, name=name: kept.update({name: out.logits[0].clone()}))
        for name, side in sides.items()
    ]
    by_length = sorted(range(len(texts)), key=lambda i: texts[i].positions)
    try:
        for group in tqdm(grouped(texts, by_length, BATCH_POSITIONS // 4), desc="held out: forgetting", unit="batch"):
            chosen = [texts[i] for i in group]
            found = {}
            for name, side in sides.items():
                with _measuring(side, precision):
                    found[name], owner = side.packed_losses(to_sequences(side, chosen, {}))
            if kept["base"].shape != kept["model"].shape:
                raise ValueError(f"vocabularies of {kept['base'].shape[-1]} and {kept['model'].shape[-1]} tokens")
            for number, i in enumerate(group):
                mine = owner == number
                result["kl"][i], result["tokens"][i] = _divergence(kept["base"][mine], kept["model"][mine])
                for name in sides:
                    result[name][i] = float(found[name][mine].double().sum())
            kept.clear()
    finally:
        for hook in hooks:
            hook.remove()
    return result


def _divergence(p: Tensor, q: Tensor) -> tuple[float, int]:
    """(summed KL(p || q), tokens) of logits (tokens, vocabulary)."""
    total = 0.0
    for one, other in zip(p.split(KL_ROWS), q.split(KL_ROWS), strict=True):
        known, guessed = one.float().log_softmax(-1), other.float().log_softmax(-1)
        total += float((known.exp() * (known - guessed)).sum(dtype=torch.float64))
    return total, len(p)


def mean(pairs: Pairs) -> float:
    """Loss a token over all examples, in nats."""
    return sum(loss for loss, _ in pairs) / max(1, sum(count for _, count in pairs))


def gap_closed(loss: dict[str, float], how: str = "heard") -> float | None:
    """(L_heard(other) - L_heard(own)) / (L_read(other) - L_read(own)): 1 when hearing helps as much as reading, 0 when deaf.

    how: "heard", or "cascade" for what reading a transcript helps.

    Another document's context is the baseline on purpose: against an absent one a model that uses nothing of what it heard
    reads 23-33 %, since any context of the right kind helps. None when reading does not help: then there is no gap.
    """
    gap = loss["read_other"] - loss["read_own"]
    return (loss[f"{how}_other"] - loss[f"{how}_own"]) / gap if gap > 0 else None


@dataclass(frozen=True)
class HeldOut:
    """What was measured. documents, seen: every document. both: the places of those that an unseen voice has too; unseen: of them.

    kl: by voice, KL(read || heard) by document; empty where it was not asked for.
    """

    documents: list[dict[str, Any]]
    seen: Measured
    both: list[int]
    unseen: Measured | None
    kl: dict[str, Pairs]


def continuation(
    model: InserterForConditionalGeneration, processor: InserterProcessor, rows: list[dict], clips: Clips, precision: str
) -> dict[str, Any]:
    """`figures` of `measure`, without the cascade."""
    return figures(measure(model, processor, rows, clips, precision))


def figures(found: HeldOut) -> dict[str, Any]:
    """{"continuation": mean loss by context, "gap_closed", "gap_closed_interval", "documents", "voices"} over the held-out rows.

    With transcripts also "cascade": its gap; "heard_minus_cascade": the paired difference of the gaps with its interval; and
    "kl_read_heard": nats per token.

    voices: {"seen": {the same of the voices that training heard}, "unseen": {... of the others}}, both over the documents that have
    their own context and the other one's in both; what was read is the same. "unseen" is None where there is no such document.
    """
    same = {context: [pairs[i] for i in found.both] for context, pairs in found.seen.items()} if found.both else found.seen
    kl = found.kl.get("seen")
    same_kl = [kl[i] for i in found.both] if kl and found.both else kl
    unseen = _figures(same | found.unseen, found.kl.get("unseen")) if found.unseen else None
    return {**_figures(found.seen, kl), "voices": {"seen": _figures(same, same_kl), "unseen": unseen}}


def measure(
    model: InserterForConditionalGeneration,
    processor: InserterProcessor,
    rows: list[dict],
    clips: Clips,
    precision: str,
    transcripts: Transcripts | None = None,
) -> HeldOut:
    """Losses by document and context. transcripts: of every clip of `rows`; with them the cascade and KL are measured too."""
    others = {row["doc_id"]: row for row in rows}
    cascade = CASCADE if transcripts is not None else ()

    def after(row: dict, context: str, clip: str) -> Example:
        return context_example(processor, row, context, others, clip, transcripts)

    spoken = [after(row, "heard_own", clip) for row in rows for clip in (SEEN_CLIP, UNSEEN_CLIP) if row[clip]]
    heard = hear_all(model, spoken, clips, precision)

    def of(contexts: Iterable[str], chosen: list[dict], clip: str) -> Measured:
        return {
            context: losses(
                model,
                [after(row, context, clip) for row in chosen],
                clips,
                precision,
                f"held out: {context}{' in an unseen voice' if clip == UNSEEN_CLIP else ''}",
                heard,
            )
            for context in contexts
        }

    both = [i for i, row in enumerate(rows) if row[UNSEEN_CLIP] and others[row["other_doc_id"]][UNSEEN_CLIP]]
    in_both = [rows[i] for i in both]
    voices = {"seen": (rows, SEEN_CLIP), "unseen": (in_both, UNSEEN_CLIP)} if cascade else {}
    compared = {
        name: divergences(
            model, [(after(row, "read_own", clip), after(row, "heard_own", clip)) for row in chosen], clips, precision, heard
        )
        for name, (chosen, clip) in voices.items()
        if chosen
    }
    known: dict[str, Measured] = {"seen": {}, "unseen": {}}  # what the divergences say of the losses
    if "seen" in compared:
        known["seen"] = {"read_own": compared["seen"].first, "heard_own": compared["seen"].second}
    if "unseen" in compared:
        known["unseen"] = {"heard_own": compared["unseen"].second}
    seen = of([c for c in (*CONTEXTS, *cascade) if c not in known["seen"]], rows, SEEN_CLIP) | known["seen"]
    unseen = None
    if both:
        unseen = of([c for c in (*HEARD, *cascade) if c not in known["unseen"]], in_both, UNSEEN_CLIP) | known["unseen"]
    return HeldOut(rows, seen, both, unseen, {name: found.kl for name, found in compared.items()})


def _figures(measured: Measured, kl: Pairs | None = None) -> dict[str, Any]:
    means = {context: mean(pairs) for context, pairs in measured.items()}
    closed = gap_closed(means)
    beside: dict[str, Any] = {"kl_read_heard": mean(kl)} if kl else {}
    if CASCADE[0] in measured:
        cascade = gap_closed(means, "cascade")
        beside["cascade"] = {
            "gap_closed": cascade,
            "gap_closed_interval": None if cascade is None else _gap_interval(measured, "cascade"),
        }
        beside["heard_minus_cascade"] = _behind(measured, closed, cascade)
    return {
        "continuation": means,
        "gap_closed": closed,
        "gap_closed_interval": None if closed is None else _gap_interval(measured),
        "documents": len(measured["absent"]),
        **beside,
    }


def gains(measured: Measured, how: str) -> np.ndarray:
    """(documents,): what the document's own context helps more than another's. A document has as many tokens in every context,
    so that sums of losses stand for means."""
    other, own = (np.array([loss for loss, _ in measured[f"{how}_{whose}"]]) for whose in ("other", "own"))
    return other - own


def share_of_reading(gained: np.ndarray, read: np.ndarray, name: str) -> list[float] | None:
    """95 % interval of sum(gained) / sum(read), by resampling documents."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = share_interval(gained, read, name)
    return found if found and np.isfinite(found).all() else None


def _gap_interval(measured: Measured, how: str = "heard") -> list[float] | None:
    return share_of_reading(gains(measured, how), gains(measured, "read"), "gap closed")


def _behind(measured: Measured, heard: float | None, cascade: float | None) -> dict[str, Any]:
    """{"difference", "low", "high"} of the gap closed by hearing less that closed by the cascade, over the same documents."""
    if heard is None or cascade is None:
        return {"difference": None, "low": None, "high": None}
    interval = share_of_reading(gains(measured, "heard") - gains(measured, "cascade"), gains(measured, "read"), "heard - cascade")
    low, high = interval or (None, None)
    return {"difference": heard - cascade, "low": low, "high": high}


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
