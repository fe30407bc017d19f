"""Read what a version is made from: model, verdicts, reports, lock file and commit."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec  # importing `models` itself takes seconds
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

from inserter.errors import InserterError
from inserter.evaluation import Difference, EvaluateReport
from inserter.files import fingerprint, read_json, read_table
from inserter.paths import DATA, GATES, REPORTS, SYSTEM
from inserter.reports import GateReport, SystemReport
from inserter.run.git import git_state
from inserter.scoring import table as scoretable
from inserter.tables import ITEMS
from inserter.yaml_files import read_yaml

MODEL = DATA / "sft" / "model"
RESPONSES_FILE = DATA / "evaluate" / "responses.jsonl"
LOSSES_FILE = DATA / "evaluate" / "losses.parquet"
BENCHMARK = DATA / "benchmark"
LOCK = Path("dvc.lock")
PARAMS = Path("params.yaml")
OWN = "register"


class Out(TypedDict):
    """An output of a stage in dvc.lock."""

    path: str
    md5: NotRequired[str]


class LockEntry(TypedDict, total=False):
    """A stage in dvc.lock, as far as it is read."""

    outs: list[Out]


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a version is made from."""

    fingerprint: str
    """Versions with the same fingerprint are the same; see `read_inputs`."""

    items: str
    """Fingerprint of the benchmark."""

    reports: dict[str, dict[str, object]]
    """Content of reports/STAGE.json by stage, without `register`."""

    system: dict[str, SystemReport]
    """Content of reports/system/STAGE.json by stage."""

    gates: dict[str, GateReport]
    """Content of reports/gates/NAME.json by name."""

    lock: dict[str, LockEntry]
    """Entries of dvc.lock by stage, without `register`."""

    commit: str
    """The git commit, or "unknown"."""

    dirty: str
    """"true" if there are uncommitted changes, else "false"; "unknown" without git."""

    @property
    def evaluate(self) -> EvaluateReport:
        """Return the content of reports/evaluate.json."""
        return cast(EvaluateReport, self.reports["evaluate"])


def read_inputs() -> Inputs:
    """Read the inputs of a version.

    Versions are the same if their fingerprints are. The fingerprint covers the model's files and
    code, the verdicts, the score, the benchmark and the gates.

    Raises InserterError if the model, the verdicts or the score is missing.
    """
    for path in (MODEL / "config.json", RESPONSES_FILE, REPORTS / "evaluate.json"):
        if not path.exists():
            raise InserterError(f"{path} is missing", "Run `dvc repro`, or `dvc pull` if DVC has a remote")
    reports, gates = _json_files(REPORTS), _json_files(GATES)
    reports.pop(OWN, None)
    if "gap_closed" not in reports["evaluate"]:
        raise InserterError("reports/evaluate.json has no gap_closed", "Run `dvc repro -f evaluate`")
    code = sorted(Path(find_spec("models").origin).parent.rglob("*.py"))  # type: ignore[union-attr,arg-type]
    weights = sorted(path for path in MODEL.rglob("*") if path.is_file())
    items = items_fingerprint()
    names = [path.relative_to(MODEL).as_posix() for path in weights]
    key = fingerprint(names, gates, items, files=[*weights, *code, RESPONSES_FILE, REPORTS / "evaluate.json"])
    commit, dirty = git_state()
    return Inputs(
        fingerprint=key,
        items=items,
        reports=reports,
        system=_json_files(SYSTEM),
        gates=gates,
        lock=_lock(),
        commit=commit,
        dirty=dirty,
    )


def stage_hash(entry: Mapping[str, object]) -> str:
    """Return 16 hex digits over a stage's entry in dvc.lock.

    The entry has the command, the parameters, and the hashes of what the stage read and wrote.
    """
    return hashlib.sha256(json.dumps(entry, sort_keys=True, default=str).encode()).hexdigest()[:16]


def lineage(inputs: Inputs) -> dict[str, str]:
    """Return the tags that say where a version comes from."""
    tags = {
        "fingerprint": inputs.fingerprint,
        "items": inputs.items,
        **scores(inputs.evaluate),
        "git.commit": inputs.commit,
        "git.dirty": inputs.dirty,
        "dvc.lock": stage_hash(inputs.lock) if inputs.lock else "unknown",
    }
    begun = cast(dict[str, object], inputs.reports.get("pretrain", {}).get("from") or {})  # the champion that training went on from
    tags.update({f"pretrain.from.{name}": str(value) for name, value in begun.items()})
    for name, entry in inputs.lock.items():
        tags[f"dvc.{name}"] = stage_hash(entry)
        tags.update({f"data.{out['path']}": str(out.get("md5", "unknown")) for out in entry.get("outs", [])})
    tags.update({f"gate.{name}": "passed" if passed(report) else "failed" for name, report in inputs.gates.items()})
    # DVC's names may contain "@" and the like, MLflow's may not.
    return {"".join(c if c.isalnum() or c in "_-./ " else "." for c in key): value for key, value in tags.items()}


def scores(report: EvaluateReport) -> dict[str, str]:
    """Return what the model scored, beside its cascade and chance, by name.

    Values are texts: shares and their differences as fractions of 1, or "None" if nothing was
    measured.
    """
    beside = scoretable.company(report)
    found: dict[str, object] = {
        "gap_closed": report["gap_closed"],
        "follow.heard": beside["heard"],
        "follow.read": beside["read"],
        "follow.cascade": beside["cascade"],
        "follow.chance": beside["chance"],
        "gap_closed.cascade": cascade.get("gap_closed") if (cascade := report.get("cascade")) else None,
        **_ends("heard_minus_cascade.gap", beside["gap"]),
        **_ends("heard_minus_cascade.instructions", beside["instructions"]),
        **_ends("heard_minus_chance.instructions", beside["above_chance"]),
    }
    if people := scoretable.people(report):
        found |= {f"recordings.word_errors.{name}": cell["share"] for name, cell in people["errors"].items()}
        for lang, forms in people["follow"].items():
            found |= {f"recordings.follow.{lang}.{form}": cell["share"] for form, cell in forms.items()}
    return {name: repr(value) for name, value in found.items()}


def _ends(name: str, pair: Difference | None) -> dict[str, object]:
    return {f"{name}.{end}": value for end, value in pair.items()} if pair else {}


def passed(report: GateReport) -> bool:
    """Return whether a gate's report lets the pipeline continue."""
    return report.get("passed") is True


def items_fingerprint() -> str:
    """Return a fingerprint of the benchmark: its table, and the audio that the table points to.

    Raises InserterError if the workspace has no benchmark.
    """
    table = BENCHMARK / "items.parquet"
    shards = {row["shard"] for row in read_table(table, ITEMS) if row["shard"]}
    return fingerprint(files=[table, *(BENCHMARK / shard for shard in sorted(shards))])


def _json_files(folder: Path) -> dict[str, Any]:
    return {path.stem: read_json(path) for path in sorted(folder.glob("*.json"))}


def _lock() -> dict[str, LockEntry]:
    """Return the entries of dvc.lock by stage, without this stage.

    While DVC runs this stage, its own entry is out of date or missing.
    """
    stages = (read_yaml(LOCK) or {}).get("stages", {}) if LOCK.exists() else {}
    return {name: entry for name, entry in stages.items() if name.partition("@")[0] != OWN}
