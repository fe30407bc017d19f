"""`inserter versions`: list the registered versions with scores, gates, decision and lineage."""

import textwrap
from collections.abc import Mapping
from datetime import UTC, datetime
from io import StringIO
from typing import TYPE_CHECKING, TypedDict

from flows.evaluated import record, recorded, shown_score
from inserter.params import Register, load
from inserter.registry.place import local_file

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

WIDTH = 120
SHORT = 7  # digits of a hash that a table shows
CORPUS = "data.data/corpus"  # tag with DVC's hash of the corpus
SCORES = {"heard": "follow.heard", "read": "follow.read", "chance": "follow.chance", "gap_closed": "gap_closed"}


class Listed(TypedDict):
    """A version. What is not known is None or empty."""

    version: int
    aliases: list[str]
    created: str
    """ISO 8601, UTC."""
    run_id: str | None
    description: str
    scores: dict[str, float | None]
    """Shares by the names in SCORES, on the items with which the version was registered."""
    gates: dict[str, str]
    """{gate: "passed" or "failed"}."""
    decision: dict[str, str]
    """The last one: decision, reason, by, time and figures."""
    commit: str
    items: str | None
    """Fingerprint of the benchmark."""
    corpus: str | None
    evaluated: dict[str, dict[str, float | None]]
    """{items: scores} of `inserter evaluate`, newest first."""


def listed() -> list[Listed]:
    """Return all versions of `register.model`, newest first. No registry is made."""
    from inserter.registry.tracking import connect
    from inserter.registry.versions import versions

    register: Register = load().register_
    local = local_file(register)
    if local and not local.exists():
        return []
    client = connect(register)
    found = client.search_registered_models(f"name = '{register.model}'")
    aliases: dict[int, list[str]] = {}
    for alias, number in sorted(found[0].aliases.items() if found else []):
        aliases.setdefault(int(number), []).append(alias)
    rows = [_listed(version, aliases.get(int(version.version), [])) for version in versions(client, register.model)]
    return sorted(rows, key=lambda row: -row["version"])


def _listed(version: "ModelVersion", aliases: list[str]) -> Listed:
    tags = version.tags
    return {
        "version": int(version.version),
        "aliases": aliases,
        "created": datetime.fromtimestamp(version.creation_timestamp / 1000, UTC).isoformat(timespec="seconds"),
        "run_id": version.run_id,
        "description": version.description or "",
        "scores": _scores(tags),
        "gates": _below(tags, "gate."),
        "decision": _below(tags, "promotion."),
        "commit": tags.get("git.commit", "unknown"),
        "items": tags.get("items"),
        "corpus": tags.get(CORPUS),
        "evaluated": {items: _scores(record(tags, items)) for items in recorded(tags)},
    }


def _scores(tags: Mapping[str, str]) -> dict[str, float | None]:
    return {name: None if tags.get(tag, "None") == "None" else float(tags[tag]) for name, tag in SCORES.items()}


def _below(tags: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): tags[name] for name in sorted(tags) if name.startswith(prefix)}


def table(rows: list[Listed]) -> str:
    """Return the versions as a table of at most 120 columns, and the reasons of decisions below."""
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name in ("version", "alias", "created (UTC)"):
        shown.add_column(name)
    for name in ("heard", "read", "chance", "gap"):
        shown.add_column(name, justify="right")
    for name in ("gates", "decision", "commit", "items", "corpus"):
        shown.add_column(name)
    for row in rows:
        for line in _lines(row):
            shown.add_row(*line)
    text = StringIO()
    Console(file=text, width=WIDTH, markup=False, highlight=False).print(shown)
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    return "\n".join([*lines, "", *(part for row in rows if row["decision"] for part in _reason(row))]).rstrip()


def _lines(row: Listed) -> list[list[str]]:
    """Return the line of a version, and one per record of `inserter evaluate`."""
    failed = [name for name, verdict in row["gates"].items() if verdict != "passed"]
    gates = f"{len(row['gates']) - len(failed)} of {len(row['gates'])}" if row["gates"] else "-"
    first = [str(row["version"]), "\n".join(row["aliases"]), row["created"][:16].replace("T", " "), *_figures(row["scores"]), gates]
    data = [row["decision"].get("decision", "-"), *(_short(row[name]) for name in ("commit", "items", "corpus"))]  # type: ignore[literal-required]
    again = [["", "evaluated", "", *_figures(scores), "", "", "", _short(items), ""] for items, scores in row["evaluated"].items()]
    return [first + data, *again]


def _figures(scores: Mapping[str, float | None]) -> list[str]:
    return [shown_score(scores[name]) for name in SCORES]


def _short(value: str | None) -> str:
    return "-" if value in (None, "unknown") else str(value)[:SHORT]


def _reason(row: Listed) -> list[str]:
    decision = row["decision"]
    when = " ".join(
        filter(None, (decision.get("time", "")[:16].replace("T", " "), f"by {decision['by']}" if "by" in decision else ""))
    )
    text = f"{row['version']} {decision.get('decision', '')} {when}: {decision.get('reason', '')}"
    return textwrap.wrap(" ".join(text.split()), WIDTH, subsequent_indent="  ", break_long_words=True)
