"""Compute what hearing gives of reading's benefit, from losses of held-out continuations."""

from dataclasses import dataclass

import numpy as np

from inserter.evaluation import Difference, HeldOutFigures, HeldOutReport
from inserter.scoring.intervals import share_interval
from inserter.tables import HeldOutContext

HEARD = ("heard_own", "heard_other")
CONTEXTS = (*HEARD, "read_own", "read_other", "absent")
CASCADE = ("cascade_own", "cascade_other")  # the recogniser's transcript in place of the clip
Pairs = list[tuple[float, int]]  # (summed loss, tokens) per document
Measured = dict[str, Pairs]  # by context


@dataclass(frozen=True)
class HeldOut:
    """What was measured of the held-out documents."""

    documents: list[HeldOutContext]
    """The row of every document."""

    seen: Measured
    """Losses of every document, in voices that training heard."""

    both: list[int]
    """Indices of the documents whose two contexts an unseen voice speaks too."""

    unseen: Measured | None
    """Losses of the documents in `both`, in unseen voices; None if there are none."""

    kl: dict[str, Pairs]
    """By voice, KL(read || heard) per document; empty if it was not asked for."""


def mean(pairs: Pairs) -> float:
    """Return the loss per token over all examples, in nats."""
    return sum(loss for loss, _ in pairs) / max(1, sum(count for _, count in pairs))


def gap_closed(loss: dict[str, float], how: str = "heard") -> float | None:
    """Return the share of reading's benefit that hearing also gives.

    The share is (L_heard(other) - L_heard(own)) / (L_read(other) - L_read(own)). The share is 1 if
    hearing helps as much as reading, and 0 for a deaf model. The share is None if reading does not
    help: then there is no gap. how: "heard", or "cascade" for the benefit of reading a transcript.

    Another document's context is the baseline on purpose. Against an absent context, a model that
    uses nothing of what it heard scores 23-33 %, since any context of the right kind helps.
    """
    gap = loss["read_other"] - loss["read_own"]
    return (loss[f"{how}_other"] - loss[f"{how}_own"]) / gap if gap > 0 else None


def figures(found: HeldOut) -> HeldOutReport:
    """Return the figures over the held-out rows, by name.

    - "continuation": mean loss by context
    - "gap_closed", "gap_closed_interval", "documents"
    - "cascade": its gap (with transcripts)
    - "heard_minus_cascade": paired difference of the gaps, with its interval (with transcripts)
    - "kl_read_heard": nats per token (with transcripts)
    - "voices": the same figures as {"seen": ..., "unseen": ...}

    The "seen" voices are those that training heard, the "unseen" ones all others. Both cover the
    documents that have their own context and the other one's in both. The losses after a read
    context are the same in both. "unseen" is None if there is no such document.
    """
    same = {context: [pairs[i] for i in found.both] for context, pairs in found.seen.items()} if found.both else found.seen
    kl = found.kl.get("seen")
    same_kl = [kl[i] for i in found.both] if kl and found.both else kl
    unseen = _figures(same | found.unseen, found.kl.get("unseen")) if found.unseen else None
    return {**_figures(found.seen, kl), "voices": {"seen": _figures(same, same_kl), "unseen": unseen}}


def _figures(measured: Measured, kl: Pairs | None = None) -> HeldOutFigures:
    means = {context: mean(pairs) for context, pairs in measured.items()}
    closed = gap_closed(means)
    beside: HeldOutFigures = {"kl_read_heard": mean(kl)} if kl else {}
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
    """Return by how many nats each document's own context helps more than another's: (documents,).

    A document has the same number of tokens in every context, so sums of losses stand for means.
    """
    other, own = (np.array([loss for loss, _ in measured[f"{how}_{whose}"]]) for whose in ("other", "own"))
    return other - own


def share_of_reading(gained: np.ndarray, read: np.ndarray, name: str) -> list[float] | None:
    """Return the 95 % interval of sum(gained) / sum(read), by resampling documents.

    Return None if there are fewer than two documents or an end is not finite.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        found = share_interval(gained, read, name)
    return found if found and np.isfinite(found).all() else None


def _gap_interval(measured: Measured, how: str = "heard") -> list[float] | None:
    return share_of_reading(gains(measured, how), gains(measured, "read"), "gap closed")


def _behind(measured: Measured, heard: float | None, cascade: float | None) -> Difference:
    """Return {"difference", "low", "high"}: gap closed by hearing, less that by the cascade.

    Both are over the same documents.
    """
    if heard is None or cascade is None:
        return {"difference": None, "low": None, "high": None}
    interval = share_of_reading(gains(measured, "heard") - gains(measured, "cascade"), gains(measured, "read"), "heard - cascade")
    low, high = interval or (None, None)
    return {"difference": heard - cascade, "low": low, "high": high}
