"""Measure whether the model hears, by the losses of held-out continuations after several contexts.

A context is heard, read, transcribed, another document's, or absent.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

import torch
from torch import Tensor
from tqdm import tqdm

from inserter.evaluation import HeldOutReport
from inserter.tables import HeldOutContext, known
from inserter.training.batches import Place, grouped, hear, places_of, to_sequences
from inserter.training.examples import Example, example
from inserter.training.gap import CASCADE, CONTEXTS, HEARD, HeldOut, Measured, Pairs, figures, mean
from inserter.training.processes import gathered, my_share, rank
from inserter.training.sequences import text_part, transcript_parts
from inserter.training.states import Clips, Sounds
from models import InserterForConditionalGeneration, InserterProcessor

ClipColumn = Literal["utt_id", "unseen_utt_id"]  # columns of HELDOUT that name a context's clips
SEEN_CLIP: ClipColumn = "utt_id"
UNSEEN_CLIP: ClipColumn = "unseen_utt_id"
BATCH_POSITIONS = {"cpu": 1_500, "cuda": 24_576}  # of a row that is measured, by device
CLIPS = 16  # clips per pass
# Precision of what is reported of a model. In bf16, rounding alone put one model 0.006 behind its
# own cascade in an unseen voice, with an interval below 0. In fp32 it is 0.001 (docs/LOG.md).
REPORTED_IN = "fp32"
KL_ROWS = 64  # rows of 49 k logits in fp32: 12.6 MB
Transcripts = Mapping[str, str]  # by clip
Found = TypeVar("Found")


class Compared(NamedTuple):
    """Figures of pairs of examples (p, q), in nats."""

    kl: Pairs
    """KL(p || q)."""

    first: Pairs
    """Losses of p."""

    second: Pairs
    """Losses of q."""


@contextmanager
def evaluating(model: InserterForConditionalGeneration, precision: str) -> Iterator[None]:
    """Enter evaluation mode, without gradients and at `precision`."""
    model.eval()
    with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16"):
        yield


@dataclass(frozen=True)
class Subject:
    """A model whose losses are measured, with what it hears and how exactly it computes."""

    model: InserterForConditionalGeneration
    processor: InserterProcessor

    clips: Clips
    """Every clip that an example may name."""

    precision: str
    """"bf16" or "fp32"."""

    shared: bool = False
    """Whether the ranks share out what `losses` and `divergences` measure.

    Every rank then needs the whole model and gets all results. All ranks have to measure.
    """

    def measuring(self) -> AbstractContextManager[None]:
        """Evaluate the subject's model, at its precision."""
        return evaluating(self.model, self.precision)

    def hear(self, examples: Iterable[Example]) -> dict[Place, Tensor]:
        """Return what the LM gets of the clips of `examples`, each in its place."""
        return hear(self.model, places_of(self.model, examples), self.clips)


def context_example(
    processor: InserterProcessor,
    row: HeldOutContext,
    context: str,
    *,
    others: Mapping[str, HeldOutContext],
    clip: ClipColumn = SEEN_CLIP,
    transcripts: Transcripts | None = None,
) -> Example:
    """Return the continuation of `row` after one context. Each context has the same learnt tokens.

    clip: the column that names the clip to be heard or transcribed.
    """
    source = others[row["other_doc_id"]] if context.endswith("other") else row
    after = text_part(row["continuation"])
    if context == "absent":
        return example(processor, [after])
    spoken = source[clip] if context.startswith("heard") else None
    text = (transcripts or {})[known(source[clip])] if context in CASCADE else source["context"]
    return example(processor, [{"text": text, "utt_id": spoken, "loss": False}, after])


def losses(
    subject: Subject, examples: list[Example], description: str, *, heard: Mapping[Place, Tensor] | None = None
) -> list[tuple[float, int]]:
    """Return (summed loss in nats, tokens) of each example.

    heard: the result of `hear` for their clips, if it is known already.
    """
    model = subject.model

    def of(group: list[int]) -> Pairs:
        chosen = [examples[i] for i in group]
        with subject.measuring():
            loss, owner = model.packed_losses(to_sequences(model, chosen, subject.hear(chosen) if heard is None else heard))
        return [(float(mine.double().sum()), len(mine)) for mine in (loss[owner == number] for number in range(len(group)))]

    return _by_group(_rows(examples, BATCH_POSITIONS[model.device.type]), of, description, shared=subject.shared)


def _by_group(
    groups: list[list[int]], measured: Callable[[list[int]], list[Found]], description: str, *, shared: bool
) -> list[Found]:
    """Return the figure of each index from 0 on, which `groups` hold between them.

    measured: returns the figures of a group's indices, in order.
    shared: each rank measures its share of the groups and gets all figures.
    """
    mine = my_share(groups) if shared else groups
    found = [measured(group) for group in tqdm(mine, desc=description, unit="batch", disable=shared and rank() > 0)]
    by_index = {
        i: figure
        for group, figures in zip(groups, gathered(found) if shared else found, strict=True)
        for i, figure in zip(group, figures, strict=True)
    }
    return [by_index[i] for i in range(len(by_index))]


def _rows(examples: list[Example], positions: int) -> list[list[int]]:
    """Return the indices of examples in rows of about `positions` positions, shortest first."""
    lengths = [item.positions for item in examples]
    return grouped(lengths, sorted(range(len(examples)), key=lengths.__getitem__), positions)


def hear_all(subject: Subject, examples: Iterable[Example]) -> dict[Place, Tensor]:
    """Return the result of `hear` for the clips of all examples, a few clips per pass.

    Each clip is heard once, although two documents use the same context.
    """
    model, clips = subject.model, subject.clips
    ordered = sorted(set(places_of(model, examples)), key=lambda place: (_length(clips, place[0]), place))
    heard: dict[Place, Tensor] = {}
    for start in tqdm(range(0, len(ordered), CLIPS), desc="held out: encode", unit="batch"):
        with subject.measuring():
            heard |= hear(model, ordered[start : start + CLIPS], clips)
    return heard


def _length(clips: Clips, name: str) -> float:
    """Return how long a clip is, without decoding it."""
    return clips.seconds(name) if isinstance(clips, Sounds) else len(clips[name])


def divergences(subject: Subject, pairs: list[tuple[Example, Example]], *, heard: Mapping[Place, Tensor] | None = None) -> Compared:
    """Return KL and both losses of each pair, as sums in nats with their tokens.

    KL compares the next-token distributions at the tokens learnt in both examples. Both examples of
    a pair stand in one row. The vocabulary is summed for a few rows of logits at a time.
    """
    model = subject.model
    kept: list[Tensor] = []

    def of(group: list[int]) -> list[tuple[tuple[float, int], ...]]:
        chosen = [side for i in group for side in pairs[i]]
        with subject.measuring():
            loss, owner = model.packed_losses(to_sequences(model, chosen, subject.hear(chosen) if heard is None else heard))
        logits = kept.pop()
        found = []
        for number in range(len(group)):
            sides = owner == 2 * number, owner == 2 * number + 1
            kl = _divergence(*(logits[side] for side in sides))
            found.append((kl, *((float(loss[side].double().sum()), int(side.sum())) for side in sides)))
        return found

    groups = _rows([q for _, q in pairs], BATCH_POSITIONS[model.device.type] // 4)
    hook = model.language_model.register_forward_hook(lambda _module, _args, out: kept.append(out.logits[0].clone()))
    try:
        found = _by_group(groups, of, "held out: KL", shared=subject.shared)
    finally:
        hook.remove()
    return Compared(*map(list, zip(*found, strict=True)))


def forgetting(
    base: InserterForConditionalGeneration,
    model: InserterForConditionalGeneration,
    texts: list[Example],
    *,
    precision: str,
    shared: bool = False,
) -> dict[str, list[float]]:
    """Return "kl", "base", "model" and "tokens", each with one value per text.

    "kl" sums KL(base || model) over the tokens of a text, "base" and "model" sum the losses, all in
    nats. "tokens" is the number of tokens. texts: examples without a clip. shared: see `Subject`.
    Raise ValueError if the vocabularies differ in size.
    """
    sides = {"base": base, "model": model}
    kept: dict[str, Tensor] = {}
    hooks = [
        side.language_model.register_forward_hook(lambda _m, _a, out, name=name: kept.update({name: out.logits[0].clone()}))
        for name, side in sides.items()
    ]

    def of(group: list[int]) -> list[dict[str, float]]:
        chosen = [texts[i] for i in group]
        loss = {}
        for name, side in sides.items():
            with evaluating(side, precision):
                loss[name], owner = side.packed_losses(to_sequences(side, chosen, {}))
        if kept["base"].shape != kept["model"].shape:
            raise ValueError(
                f"the two LMs have different vocabularies: {kept['base'].shape[-1]} and {kept['model'].shape[-1]} tokens"
            )
        figures = []
        for number in range(len(group)):
            mine = owner == number
            kl, tokens = _divergence(kept["base"][mine], kept["model"][mine])
            figures.append({"kl": kl, "tokens": tokens, **{name: float(loss[name][mine].double().sum()) for name in sides}})
        kept.clear()
        return figures

    try:
        found = _by_group(_rows(texts, BATCH_POSITIONS[model.device.type] // 4), of, "held out: forgetting", shared=shared)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: [figures[name] for figures in found] for name in ("kl", "base", "model", "tokens")}


def _divergence(p: Tensor, q: Tensor) -> tuple[float, int]:
    """Return (summed KL(p || q), tokens) of logits (tokens, vocabulary)."""
    total = 0.0
    for one, other in zip(p.split(KL_ROWS), q.split(KL_ROWS), strict=True):
        known, guessed = one.float().log_softmax(-1), other.float().log_softmax(-1)
        total += float((known.exp() * (known - guessed)).sum(dtype=torch.float64))
    return total, len(p)


def continuation(subject: Subject, rows: list[HeldOutContext]) -> HeldOutReport:
    """Return `figures` of `measure`, without the cascade."""
    return figures(measure(subject, rows))


def measure(subject: Subject, rows: list[HeldOutContext], transcripts: Transcripts | None = None) -> HeldOut:
    """Measure the losses by document and context.

    transcripts: of every clip of `rows`. With transcripts, the cascade and KL are measured too.
    """
    others = {row["doc_id"]: row for row in rows}
    cascade = CASCADE if transcripts is not None else ()

    def after(row: HeldOutContext, context: str, clip: ClipColumn) -> Example:
        return context_example(subject.processor, row, context, others=others, clip=clip, transcripts=transcripts)

    spoken = [after(row, "heard_own", clip) for row in rows for clip in (SEEN_CLIP, UNSEEN_CLIP) if row[clip]]
    heard = hear_all(subject, spoken)

    def of(contexts: Iterable[str], chosen: list[HeldOutContext], clip: ClipColumn) -> Measured:
        return {
            context: losses(
                subject,
                [after(row, context, clip) for row in chosen],
                f"held out: {context}{' in an unseen voice' if clip == UNSEEN_CLIP else ''}",
                heard=heard,
            )
            for context in contexts
        }

    both = [i for i, row in enumerate(rows) if row[UNSEEN_CLIP] and others[row["other_doc_id"]][UNSEEN_CLIP]]
    in_both = [rows[i] for i in both]
    voices = {"seen": (rows, SEEN_CLIP), "unseen": (in_both, UNSEEN_CLIP)} if cascade else {}
    compared = {
        name: divergences(subject, [(after(row, "read_own", clip), after(row, "heard_own", clip)) for row in chosen], heard=heard)
        for name, (chosen, clip) in voices.items()
        if chosen
    }
    known: dict[str, Measured] = {"seen": {}, "unseen": {}}  # losses that `divergences` measured
    if "seen" in compared:
        known["seen"] = {"read_own": compared["seen"].first, "heard_own": compared["seen"].second}
    if "unseen" in compared:
        known["unseen"] = {"heard_own": compared["unseen"].second}
    seen = of([c for c in (*CONTEXTS, *cascade) if c not in known["seen"]], rows, SEEN_CLIP) | known["seen"]
    unseen = None
    if both:
        unseen = of([c for c in (*HEARD, *cascade) if c not in known["unseen"]], in_both, UNSEEN_CLIP) | known["unseen"]
    return HeldOut(rows, seen, both, unseen, {name: found.kl for name, found in compared.items()})


def text_loss(subject: Subject, rows: list[HeldOutContext]) -> float:
    """Return the loss per token of the held-out text alone, context and continuation.

    The loss shows whether the LM has forgotten.
    """
    parts = [[text_part(row["context"] + row["continuation"])] for row in rows]
    return mean(losses(subject, [example(subject.processor, p) for p in parts], "held out: text"))


def transcript_loss(subject: Subject, rows: list[HeldOutContext]) -> float:
    """Return the loss per token of the transcripts of held-out contexts.

    Each transcript is asked for, and its clip heard, as in a transcribe sequence.
    """
    parts = [transcript_parts({"utt_id": known(row[SEEN_CLIP]), "written": row["context"]}) for row in rows]
    return mean(losses(subject, [example(subject.processor, p, end=True) for p in parts], "held out: transcripts"))
