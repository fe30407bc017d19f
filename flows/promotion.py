"""Decide whether `challenger` becomes `champion`.

The first champion has to keep every rule. A later one has to be better on paired items.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from prefect import flow

from inserter.errors import InserterError
from inserter.evaluation import Response
from inserter.files import read_jsonl
from inserter.params import Register, load
from inserter.registry.tracking import CHALLENGER, CHAMPION, RESPONSES, connect
from inserter.scoring.intervals import sign_flip_p

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

LOG = "promotion.jsonl"  # artifact of the version's run: one line per decision

BESIDE = "heard_minus_cascade.instructions"
ABOVE = "heard_minus_chance.instructions"
DIFFERENCES = tuple(f"{name}.{end}" for name in (ABOVE, BESIDE) for end in ("difference", "low", "high"))
FIGURES = ("gap_closed", "follow.heard", "follow.chance", *DIFFERENCES)
AGAIN = "evaluate heard, cascade and at least four prompts, then run `dvc repro -f evaluate register`"

PROMOTED, KEPT, REFUSED = "promoted", "kept", "refused"
Verdicts = dict[str, tuple[str, list[bool]]]  # item_id -> (key, strict verdict of each instruction)


@dataclass(frozen=True)
class Decision:
    """A decision on a version, with its reason."""

    decision: str
    """`promoted`, `kept` (the champion stays) or `refused` (the version may not compete)."""

    reason: str
    figures: dict[str, float | int]
    """What was measured, by name."""


@flow(name="promote", log_prints=True)
def promotion_flow(version: int | None = None, params_file: str = "params.yaml") -> dict[str, object]:
    """Run `promote` as a Prefect flow, for a schedule or a button."""
    result = promote(load(params_file).register_, version)
    print(f"{result['model']} version {result['version']}: {result['decision']}: {result['reason']}")
    return result


def promote(register: Register, version: int | None = None) -> dict[str, object]:
    """Decide on `version` (default: the challenger), move the alias if earned, and record why.

    Return {"decision", "reason", "model", "version", "alias", "against", "time", ...figures}.
    alias: "champion" if the version holds it now, else None.

    Raises InserterError if there is no such version.
    """
    client = connect(register, write=True)
    candidate = _candidate(client, register.model, version)
    champion = _by_alias(client, register.model, CHAMPION)
    against = int(champion.version) if champion else None
    if champion and against == int(candidate.version):
        return _result(candidate, Decision(KEPT, "this version is already the champion", {}), against, when="")
    decision = _decide(client, candidate, champion, register=register)
    when = datetime.now(UTC).isoformat(timespec="seconds")
    result = _result(candidate, decision, against, when=when)
    _write_down(client, candidate, result)
    if decision.decision == PROMOTED:  # last, so that a run killed before decides again
        client.set_registered_model_alias(register.model, CHAMPION, str(candidate.version))
    return result


def _decide(client: "MlflowClient", candidate: "ModelVersion", champion: "ModelVersion | None", *, register: Register) -> Decision:
    if champion is None:
        return first(candidate.tags, register)
    if failed := _gates(candidate.tags)[0]:
        return Decision(REFUSED, failed, {})
    if candidate.tags["items"] != champion.tags["items"]:
        return _other_items(int(champion.version))
    found = compare(verdicts(client, candidate), verdicts(client, champion), register.confidence, champion=int(champion.version))
    return replace(found, figures=found.figures | _people(candidate.tags))


def _people(tags: dict[str, str]) -> dict[str, float]:
    """Return the figures of recordings of people: they are on record, and decide nothing."""
    return {name: float(value) for name, value in tags.items() if name.startswith("recordings.")}


def first(tags: dict[str, str], register: Register) -> Decision:
    """Decide on a version by its tags if there is no champion.

    The reason names every rule that the version failed.
    """
    rules = [_gates(tags), _enough_gap(tags, register), _above_chance(tags), _beside_cascade(tags, register)]
    figures = {name: value for name in FIGURES if (value := _figure(tags, name)) is not None} | _people(tags)
    if failed := [failed for failed, _ in rules if failed]:
        return Decision(REFUSED, f"no champion yet, and {'; '.join(failed)}", figures)
    return Decision(PROMOTED, f"no champion yet: {'; '.join(passed for _, passed in rules)}", figures)


def _figure(tags: dict[str, str], name: str) -> float | None:
    value = tags.get(name, "None")
    return None if value == "None" else float(value)


def _gates(tags: dict[str, str]) -> tuple[str, str]:
    """Return (the text if the rule failed, else ""; the text if the rule is kept).

    Each rule below returns such a pair.
    """
    gates = {name.removeprefix("gate."): value for name, value in tags.items() if name.startswith("gate.")}
    failed = sorted(name for name, value in gates.items() if value != "passed")
    if not gates:
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


def compare(new: Verdicts, old: Verdicts, confidence: float, *, champion: int) -> Decision:
    """Decide by a one-sided paired sign-flip test on strict instruction verdicts.

    The variants of an item are not independent of each other, so the unit is the key. Its value is
    the difference in followed instructions over all its variants.
    """
    shapes = [{item: (key, len(strict)) for item, (key, strict) in side.items()} for side in (new, old)]
    if shapes[0] != shapes[1] or not new:
        return _other_items(champion)
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


def _other_items(champion: int) -> Decision:
    return Decision(REFUSED, f"version {champion} was measured on other benchmark items: evaluate both on the same", {})


def verdicts(client: "MlflowClient", version: "ModelVersion") -> Verdicts:
    """Return the verdicts of the heard items that have strict verdicts.

    Raises InserterError if the version has none on record.
    """
    from mlflow.exceptions import MlflowException

    try:
        rows = read_jsonl(client.download_artifacts(version.run_id or "", RESPONSES))
        return _heard(rows)
    except (MlflowException, OSError) as error:
        raise InserterError(
            f"the verdicts of version {version.version} of {version.name} cannot be read",
            "Delete that version, then register the model again with `dvc repro -f -s register`",
        ) from error


def _heard(rows: Iterable[Response]) -> Verdicts:
    return {row["item_id"]: (row["key"], strict) for row in rows if row["form"] == "heard" and (strict := row.get("strict"))}


def _candidate(client: "MlflowClient", model: str, version: int | None) -> "ModelVersion":
    from mlflow.exceptions import MlflowException

    if version is None:
        found = _by_alias(client, model, CHALLENGER)
        if found is None:
            raise InserterError(f"{model} has no challenger in the registry", "Register a model with `dvc repro -f -s register`")
        return found
    try:
        return client.get_model_version(model, str(version))
    except MlflowException as error:
        known = sorted(int(v.version) for v in client.search_model_versions(f"name = '{model}'"))
        raise InserterError(
            f"{model} has no version {version}", f"Choose a registered version: {', '.join(map(str, known)) or 'none'}"
        ) from error


def _by_alias(client: "MlflowClient", model: str, alias: str) -> "ModelVersion | None":
    found = client.search_registered_models(f"name = '{model}'")
    number = found[0].aliases.get(alias) if found else None
    return client.get_model_version(model, str(number)) if number is not None else None


def _result(candidate: "ModelVersion", decision: Decision, against: int | None, *, when: str) -> dict[str, object]:
    version = int(candidate.version)
    holds = decision.decision == PROMOTED or against == version
    return {
        "decision": decision.decision,
        "reason": decision.reason,
        "model": candidate.name,
        "version": version,
        "alias": CHAMPION if holds else None,
        "against": against,
        "time": when,
        **decision.figures,
    }


def _write_down(client: "MlflowClient", candidate: "ModelVersion", result: Mapping[str, object]) -> None:
    """Write tags promotion.* on the version, and a line in its run."""
    from mlflow.exceptions import MlflowException

    facts = {k: v for k, v in result.items() if k not in ("model", "version", "alias") and v is not None}
    tags = {f"promotion.{key}": str(value) for key, value in facts.items()}
    for key in candidate.tags:
        if key.startswith("promotion.") and key not in tags:  # a figure of an earlier decision
            client.delete_model_version_tag(candidate.name, str(candidate.version), key)
    for key, value in tags.items():
        client.set_model_version_tag(candidate.name, str(candidate.version), key, value)
    run_id = candidate.run_id or ""
    try:
        earlier = list(read_jsonl(client.download_artifacts(run_id, LOG)))
    except (MlflowException, OSError):  # the first decision
        earlier = []
    lines = [json.dumps(line, sort_keys=True, ensure_ascii=False) for line in [*earlier, result]]
    client.log_text(run_id, "\n".join(lines) + "\n", LOG)
