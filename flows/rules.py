"""The rules of a promotion: what a version has to reach, by its tags and by paired verdicts."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from flows.record import KEPT, PROMOTED, REFUSED
from inserter.params import Register
from inserter.scoring.intervals import sign_flip_p

BESIDE = "heard_minus_cascade.instructions"
ABOVE = "heard_minus_chance.instructions"
DIFFERENCES = tuple(f"{name}.{end}" for name in (ABOVE, BESIDE) for end in ("difference", "low", "high"))
FIGURES = ("gap_closed", "follow.heard", "follow.chance", *DIFFERENCES)
AGAIN = "evaluate heard, cascade and at least four prompts, then run `dvc repro -f evaluate register`"

Verdicts = dict[str, tuple[str, list[bool]]]  # item_id -> (key, strict verdict of each instruction)


@dataclass(frozen=True)
class Decision:
    """A decision on a version, with its reason."""

    decision: str
    """What happened to the version.

    - by the rules: `promoted`, `kept` (the champion stays) or `refused` (it may not compete)
    - by a person: `forced` (champion whatever the rules say), `restored` (champion again), or
      `withdrawn` (champion no longer)
    """

    reason: str
    figures: Mapping[str, float | int | str]
    """What was measured, by name."""


def first(tags: dict[str, str], register: Register) -> Decision:
    """Decide on a version by its tags if there is no champion.

    The reason names every rule that the version failed.
    """
    rules = [gates(tags), _enough_gap(tags, register), _above_chance(tags), _beside_cascade(tags, register)]
    figures = {name: value for name in FIGURES if (value := _figure(tags, name)) is not None} | people(tags)
    if failed := [failed for failed, _ in rules if failed]:
        return Decision(REFUSED, f"no champion yet, and {'; '.join(failed)}", figures)
    return Decision(PROMOTED, f"no champion yet: {'; '.join(passed for _, passed in rules)}", figures)


def _figure(tags: dict[str, str], name: str) -> float | None:
    value = tags.get(name, "None")
    return None if value == "None" else float(value)


def gates(tags: dict[str, str]) -> tuple[str, str]:
    """Return (the text if the rule failed, else ""; the text if the rule is kept).

    Each rule below returns such a pair.
    """
    verdicts = {name.removeprefix("gate."): value for name, value in tags.items() if name.startswith("gate.")}
    failed = sorted(name for name, value in verdicts.items() if value != "passed")
    if not verdicts:
        return "the version has no gate report", ""
    return f"gates not passed: {', '.join(failed)}" if failed else "", "all gates passed"


def _enough_gap(tags: dict[str, str], register: Register) -> tuple[str, str]:
    gap = _figure(tags, "gap_closed")
    if gap is None:
        return "reading the context did not lower the loss, so there is no gap to measure", ""
    text = f"gap closed {gap:.3f} against a minimum of {register.min_gap_closed}"
    return ("" if gap >= register.min_gap_closed else text), text


def _above_chance(tags: dict[str, str]) -> tuple[str, str]:
    """Check that the model follows more instructions than chance.

    The rule fails if the difference is not above 0. Fifty prompts seldom tell a small model from
    chance, so the text says whether they do.
    """
    heard, chance = _figure(tags, "follow.heard"), _figure(tags, "follow.chance")
    if heard is None or chance is None:
        return f"the shares of instructions followed when heard and by chance are missing: {AGAIN}", ""
    points, low = _points(tags, ABOVE, heard - chance), _figure(tags, f"{ABOVE}.low")
    text = f"follows {100 * heard:.1f} % of the spoken instructions, chance {100 * chance:.1f} %: {points}"
    if heard <= chance:
        return f"{text}, not above chance", text
    return "", text if low is None else f"{text}, {'told apart' if low > 0 else 'not told apart'}"


def _beside_cascade(tags: dict[str, str], register: Register) -> tuple[str, str]:
    """Check that hearing is not too far behind the model's own cascade.

    The rule fails if the whole interval lies below what is allowed. Without an interval, the
    difference stands for it.
    """
    behind = _figure(tags, f"{BESIDE}.difference")
    if behind is None:
        return f"the difference between hearing and the cascade is missing: {AGAIN}", ""
    high = _figure(tags, f"{BESIDE}.high")
    text = f"heard minus cascade {_points(tags, BESIDE, behind)}, at most {register.max_behind_cascade:g} behind"
    return (text if 100 * (behind if high is None else high) < -register.max_behind_cascade else ""), text


def _points(tags: dict[str, str], name: str, difference: float) -> str:
    """Return `+9.6 points (95 % -1.0 to +19.5)`, with the interval if there is one."""
    low, high = _figure(tags, f"{name}.low"), _figure(tags, f"{name}.high")
    between = "" if low is None or high is None else f" (95 % {100 * low:+.1f} to {100 * high:+.1f})"
    return f"{100 * difference:+.1f} points{between}"


def alike(new: Verdicts, old: Verdicts) -> bool:
    """Return whether both are verdicts on the same instructions of the same items, and on any."""
    shapes = [{item: (key, len(strict)) for item, (key, strict) in side.items()} for side in (new, old)]
    return shapes[0] == shapes[1] and bool(new)


def compare(new: Verdicts, old: Verdicts, confidence: float, *, champion: int) -> Decision:
    """Decide by a one-sided paired sign-flip test on strict instruction verdicts.

    The variants of an item are not independent of each other, so the unit is the key. Its value is
    the difference in followed instructions over all its variants. Both sides have `alike` items.
    """
    by_key: dict[str, int] = defaultdict(int)
    for item, (key, strict) in new.items():
        by_key[key] += sum(strict) - sum(old[item][1])
    differences = np.array([by_key[key] for key in sorted(by_key)], dtype=float)
    total = sum(len(strict) for _, strict in new.values())
    p_value = sign_flip_p(differences, "greater", "promotion")
    rates = [sum(sum(strict) for _, strict in side.values()) / total for side in (new, old)]
    better = p_value <= 1 - confidence
    reason = (
        f"follows {rates[0]:.1%} of the spoken instructions, version {champion} {rates[1]:.1%} (strict, {len(by_key)} "
        f"paired items, {len(new)} clips; one-sided p = {p_value:.4f}, "
        f"{'at most' if better else 'above'} {1 - confidence:.4g})"
    )
    figures = {"rate": rates[0], "champion_rate": rates[1], "p_value": p_value, "items": len(by_key), "clips": len(new)}
    return Decision(PROMOTED if better else KEPT, reason, figures)


def people(tags: dict[str, str]) -> dict[str, float]:
    """Return the figures of recordings of people: they are on record, and decide nothing."""
    return {name: float(value) for name, value in tags.items() if name.startswith("recordings.")}
