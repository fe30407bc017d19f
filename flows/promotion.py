"""Move the alias `champion`: by the rules, by force, or back to the champion before.

The first champion has to keep every rule. A later one has to be better on paired items.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prefect import flow
from prefect.runtime import flow_run

from flows.evaluated import recorded, responses
from flows.record import FORCED, KEPT, MOVES, REFUSED, RESTORED, WITHDRAWN, before, write_down
from flows.rules import Decision, Verdicts, alike, compare, first, gates, people
from inserter.errors import InserterError
from inserter.evaluation import Response
from inserter.files import read_jsonl
from inserter.params import Register, load
from inserter.registry.tracking import CHALLENGER, CHAMPION, RESPONSES, connect
from inserter.registry.versions import by_alias, numbered
from inserter.run.git import author
from stages.register.inputs import BENCHMARK, items_fingerprint

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


@flow(name="promote", log_prints=True)
def promotion_flow(version: int | None = None, params_file: str = "params.yaml") -> dict[str, object]:
    """Run `promote` as a Prefect flow, for a schedule or a button."""
    result = promote(load(params_file).register_, version)
    print(f"{result['model']} version {result['version']}: {result['decision']}: {result['reason']}")
    return result


def promote(register: Register, version: int | None = None, because: str | None = None) -> dict[str, object]:
    """Decide on `version` (default: the challenger), move the alias if earned, and record why.

    because: a person's reason to move the alias whatever the rules say.

    Return {"decision", "reason", "model", "version", "alias", "against", "by", "flow_run", "time"},
    and figures by name.
    alias: "champion" if the version holds it now, else None. against: the champion at that time.
    flow_run: the id of the Prefect flow run, or None.
    A move has "before", the champions before, oldest first.

    Raises InserterError if there is no such version, or if the reason is empty.
    """
    if because is not None and not because.strip():
        raise InserterError("a forced promotion needs a reason", 'Give one: --because "TEXT"')
    client = connect(register, write=True)
    candidate = _candidate(client, register.model, version)
    champion = by_alias(client, register.model, CHAMPION)
    if champion and champion.version == candidate.version:
        return _result(candidate, Decision(KEPT, "this version is already the champion", {}), champion, when="")
    forced = None if because is None else Decision(FORCED, because.strip(), {})
    decision = forced or _decide(client, candidate, champion, register=register)
    result = _result(candidate, decision, champion)
    if decision.decision in MOVES:
        result["before"] = [*before(client, champion), int(champion.version)] if champion else []
    write_down(client, candidate, result)
    if decision.decision in MOVES:  # last, so that a run killed before decides again
        client.set_registered_model_alias(register.model, CHAMPION, str(candidate.version))
    return result


def rollback(register: Register, because: str | None = None) -> list[dict[str, object]]:
    """Give the alias back to the champion before, and record it with both versions.

    Return what `promote` would return of the version that is withdrawn and of the one restored. By
    the rules, a withdrawn version is not promoted again.

    Raises InserterError if there is no champion, or if the record has no champion before it.
    """
    client = connect(register, write=True)
    champion = by_alias(client, register.model, CHAMPION)
    if champion is None:
        raise InserterError(f"{register.model} has no champion in the registry", "`inserter versions` shows the versions")
    earlier = before(client, champion)
    found = None
    while earlier and found is None:
        found = _if_there(client, register.model, earlier.pop())
    if found is None:
        raise InserterError(
            f"the record has no champion before version {champion.version}",
            'Name one: `inserter promote --version N --force --because "TEXT"`',
        )
    why = (because or "").strip() or "no reason given"
    gone = _result(champion, Decision(WITHDRAWN, why, {}), found) | {"alias": None}
    back = _result(found, Decision(RESTORED, f"version {champion.version} was withdrawn: {why}", {}), champion)
    back["before"] = earlier
    write_down(client, champion, gone)
    write_down(client, found, back)
    client.set_registered_model_alias(register.model, CHAMPION, str(found.version))  # last, as in `promote`
    return [gone, back]


def _decide(client: "MlflowClient", candidate: "ModelVersion", champion: "ModelVersion | None", *, register: Register) -> Decision:
    if (withdrawn := candidate.tags.get(WITHDRAWN)) is not None:
        remedy = f'`inserter promote --version {candidate.version} --force --because "TEXT"` moves the alias all the same'
        return Decision(REFUSED, f"the version was withdrawn by a rollback ({withdrawn}): {remedy}", {})
    if champion is None:
        return first(candidate.tags, register)
    if failed := gates(candidate.tags)[0]:
        return Decision(REFUSED, failed, {})
    for items, new, old in _pairs(client, candidate, champion):
        if alike(new, old):
            found = compare(new, old, register.confidence, champion=int(champion.version))
            return replace(found, figures={**found.figures, "measured_on": items, **people(candidate.tags)})
    return _other_items(candidate, champion)


def _pairs(client: "MlflowClient", candidate: "ModelVersion", champion: "ModelVersion") -> Iterator[tuple[str, Verdicts, Verdicts]]:
    """Yield (items, verdicts of the candidate, verdicts of the champion) of items that both have.

    The items with which the candidate was registered come first, then records, newest first.
    """
    others = _measured(champion)
    read: dict[tuple[str, str], Verdicts] = {}
    for items, files in _measured(candidate).items():
        for new in files:
            for old in others.get(items, []):
                for version, file in ((candidate, new), (champion, old)):
                    if (key := (version.version, file)) not in read:
                        read[key] = verdicts(client, version, file)
                yield items, read[candidate.version, new], read[champion.version, old]


def _measured(version: "ModelVersion") -> dict[str, list[str]]:
    """Return {items: artifacts with the version's verdicts on these items}."""
    found: dict[str, list[str]] = {version.tags["items"]: [RESPONSES]} if "items" in version.tags else {}
    for items in recorded(version.tags):
        found.setdefault(items, []).append(responses(items))
    return found


def _other_items(candidate: "ModelVersion", champion: "ModelVersion") -> Decision:
    """Refuse, and name the commands after which both are measured on the same items."""
    today = items_fingerprint() if (BENCHMARK / "items.parquet").exists() else None
    lacking = [version for version in (champion, candidate) if today and today not in _measured(version)]
    if not today:
        lacking = [champion]
    commands = [f"inserter evaluate --version {version.version}" for version in lacking or (champion, candidate)]
    commands.append(f"inserter promote --version {candidate.version}")
    reason = f"version {champion.version} was measured on other benchmark items: run `{'`, then `'.join(commands)}`"
    return Decision(REFUSED, reason, {})


def verdicts(client: "MlflowClient", version: "ModelVersion", file: str = RESPONSES) -> Verdicts:
    """Return the verdicts of the heard items that have strict verdicts.

    file: the artifact of the version's run that has the answers.

    Raises InserterError if the version has none on record.
    """
    from mlflow.exceptions import MlflowException

    try:
        return _heard(read_jsonl(client.download_artifacts(version.run_id or "", file)))
    except (MlflowException, OSError) as error:
        raise InserterError(
            f"the verdicts of version {version.version} of {version.name} cannot be read",
            "Delete that version, then register the model again with `dvc repro -f -s register`",
        ) from error


def _heard(rows: Iterable[Response]) -> Verdicts:
    return {row["item_id"]: (row["key"], strict) for row in rows if row["form"] == "heard" and (strict := row.get("strict"))}


def _candidate(client: "MlflowClient", model: str, version: int | None) -> "ModelVersion":
    if version is not None:
        return numbered(client, model, version)
    found = by_alias(client, model, CHALLENGER)
    if found is None:
        raise InserterError(f"{model} has no challenger in the registry", "Register a model with `dvc repro -f -s register`")
    return found


def _if_there(client: "MlflowClient", model: str, version: int) -> "ModelVersion | None":
    try:
        return numbered(client, model, version)
    except InserterError:  # deleted since
        return None


def _result(
    candidate: "ModelVersion", decision: Decision, champion: "ModelVersion | None", *, when: str | None = None
) -> dict[str, object]:
    """Return a decision as it is recorded.

    champion: the one at the time of the decision. when: its time; None: now.
    """
    against = int(champion.version) if champion else None
    holds = decision.decision in MOVES or against == int(candidate.version)
    return {
        "decision": decision.decision,
        "reason": decision.reason,
        "model": candidate.name,
        "version": int(candidate.version),
        "alias": CHAMPION if holds else None,
        "against": against,
        "by": author(),
        "flow_run": flow_run.id,
        "time": datetime.now(UTC).isoformat(timespec="seconds") if when is None else when,
        **decision.figures,
    }
