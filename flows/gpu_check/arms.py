"""Part 3: the paper's arms from one start over equal positions, as far as the time allows."""

import time
from dataclasses import replace
from functools import partial

import numpy as np

from flows.gpu_check.bundle import Bundle
from flows.gpu_check.report import Clock, Report
from inserter.run.work import WorkFolder
from inserter.seeds import np_rng
from inserter.tables import HeldOutContext
from inserter.training.batches import packed_phase
from inserter.training.gap import CONTEXTS, Measured, figures, gains, mean
from inserter.training.heldout import Subject, context_example, continuation, divergences, measure, text_loss, transcript_loss
from inserter.training.loop import rate, train
from inserter.training.models import Pair
from inserter.training.states import States

PART = "arms"
POINTS = 5  # of an arm's curve, beside its end
RESAMPLES = 2_000
SPARE = 0.85  # of the time that is left; the rest covers loading and what was estimated too low


def arms(bundle: Bundle, report: Report, clock: Clock, *, most: float) -> None:
    """Measure the model before training (none), then train and measure one arm after the other.

    most: positions of an arm, if the time allows more.
    """
    if bundle.random:
        report.add(PART, "not measured", f"the bundle has no weights of {' and '.join(bundle.random)}")
        return
    pair = bundle.model()
    states = bundle.states(pair)
    start = time.monotonic()
    row, before = held_out(bundle, pair, states)
    cost = time.monotonic() - start
    measured = {bundle.arms[0]: before}
    report.add(PART, bundle.arms[0], {"steps": 0, "positions": 0, **row})
    trained = bundle.arms[1:]
    phase = packed_phase("arm", bundle.settings, pair[0], examples=bundle.examples(trained[0], pair), clips=states)
    speed = rate(pair[0], phase)
    # Every arm has its measurements; a point of the curve costs about half of the last one.
    seconds = SPARE * clock.left / len(trained) - (1 + POINTS / 2) * cost
    steps = max(POINTS, int(min(speed.steps * seconds / 60, most / bundle.settings.batch_positions)))
    report.add(PART, "plan", {"steps per arm": steps, "positions per second": speed.positions_a_second})
    for arm in trained:
        found = report.measure(PART, arm, partial(one, bundle, arm, states, steps=steps, measured=measured))
        if found and arm != trained[0] and trained[0] in measured:
            report.add(PART, f"{trained[0]} − {arm}", differences(measured[trained[0]], measured[arm], trained[0], arm))
    if trained[0] in measured:
        report.add(PART, f"{trained[0]} − none", differences(measured[trained[0]], before, trained[0], "none"))


def one(bundle: Bundle, arm: str, states: States, *, steps: int, measured: dict[str, Measured]) -> dict[str, object]:
    """Train an arm and return its row; its losses by document go to `measured`."""
    pair = bundle.model()
    model, processor = pair
    settings = bundle.settings.model_copy(update={"steps": steps, "checkpoint_steps": steps})
    phase = packed_phase("arm", settings, model, examples=bundle.examples(arm, pair), clips=states)
    subject = Subject(model, processor, states, settings.precision)

    def watch() -> dict[str, object]:
        found = continuation(subject, _seen(bundle))
        return {"gap closed": found["gap_closed"], "interval": found["gap_closed_interval"]}

    phase = replace(phase, watch_steps=max(1, steps // POINTS), watch=watch)
    outcome = train(model, phase, WorkFolder(f"gpu-check-{arm}", {}))
    row, measured[arm] = held_out(bundle, pair, states)
    done = np.cumsum([0, *(step["positions"] for step in outcome.curve)]).astype(int).tolist()
    end = {"step": steps, "gap closed": row["gap closed"], "interval": row["gap closed, interval"]}
    curve = [{"positions": done[min(int(str(point["step"])), len(done) - 1)], **point} for point in (*outcome.watched, end)]
    return {**outcome.summary(), "positions per second": outcome.speed, **row, "curve": curve}


def _seen(bundle: Bundle) -> list[HeldOutContext]:
    """Return the held-out rows, in the voices that training heard alone."""
    return [{**row, "unseen_utt_id": None} for row in bundle.heldout]


def held_out(bundle: Bundle, pair: Pair, states: States) -> tuple[dict[str, object], Measured]:
    """Return the measures of a model, and its losses by context and document."""
    model, processor = pair
    subject = Subject(model, processor, states, bundle.settings.precision)
    rows = bundle.heldout
    found = measure(subject, rows)
    others = {row["doc_id"]: row for row in rows}
    both = [tuple(context_example(processor, row, c, others=others) for c in ("read_own", "heard_own")) for row in rows]
    shown = figures(found)
    unseen = shown["voices"]["unseen"]
    return {
        "contexts": shown["documents"],
        "gap closed": shown["gap_closed"],
        "gap closed, interval": shown["gap_closed_interval"],
        "gap closed, unseen voice": unseen["gap_closed"] if unseen else None,
        "loss": {context: shown["continuation"][context] for context in CONTEXTS},
        "KL(read ‖ heard)": mean(divergences(subject, [(a, b) for a, b in both]).kl),
        "transcript loss": transcript_loss(subject, rows),
        "text loss": text_loss(subject, rows),
    }, found.seen


def differences(one: Measured, other: Measured, *names: str) -> dict[str, object]:
    """Return the paired differences of two models over the same documents, with 95 % intervals."""
    count = len(one["absent"])
    drawn = np_rng(0, "gpu-check", *names).integers(0, count, (RESAMPLES, count))
    everything = np.arange(count)[None]

    def gap(side: Measured, index: np.ndarray) -> np.ndarray:
        if gains(side, "read").sum() <= 0:  # reading does not help, so there is no gap
            return np.full(len(index), np.nan)
        return gains(side, "heard")[index].sum(1) / gains(side, "read")[index].sum(1)

    def heard(side: Measured, index: np.ndarray) -> np.ndarray:
        losses, tokens = np.array(side["heard_own"], float).T
        return losses[index].sum(1) / tokens[index].sum(1)

    found: dict[str, object] = {}
    for name, figure in {"gap closed": gap, "loss after a heard context": heard}.items():
        apart = figure(one, everything) - figure(other, everything)
        if np.isnan(apart).any():
            found[name] = {"difference": None, "interval": None}
            continue
        low, high = np.percentile(figure(one, drawn) - figure(other, drawn), [2.5, 97.5])
        found[name] = {"difference": float(apart[0]), "interval": [float(low), float(high)]}
    return found
