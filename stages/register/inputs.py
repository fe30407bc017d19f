"""What a version is made from, read once: the model, the verdicts, the reports, the lock file and the commit."""

import hashlib
import json
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec  # importing `models` itself takes seconds
from pathlib import Path
from typing import Any

from inserter.errors import InserterError
from inserter.files import fingerprint, read_json, read_table
from inserter.paths import DATA, GATES, REPORTS, SYSTEM
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


@dataclass(frozen=True)
class Inputs:
    """reports, system, gates: content of the JSON files by stage. lock: the stages of dvc.lock without this one."""

    fingerprint: str
    items: str
    reports: dict[str, dict[str, Any]]
    system: dict[str, dict[str, Any]]
    gates: dict[str, dict[str, Any]]
    lock: dict[str, dict[str, Any]]
    commit: str
    dirty: str

    @property
    def gap_closed(self) -> float | None:
        """None where reading the context did not help, so that there was no gap."""
        return self.reports["evaluate"]["gap_closed"]


def read_inputs() -> Inputs:
    """Raises InserterError when the model, the verdicts or the score is missing.

    The fingerprint says which versions are the same: the model's files and code, the verdicts, the score and the gates.
    """
    for path in (MODEL / "config.json", RESPONSES_FILE, REPORTS / "evaluate.json"):
        if not path.exists():
            raise InserterError(f"{path} is not there", "Run `dvc repro`, or `dvc pull` where there is a remote")
    reports, gates = _json_files(REPORTS), _json_files(GATES)
    reports.pop(OWN, None)
    if "gap_closed" not in reports["evaluate"]:
        raise InserterError("reports/evaluate.json has no gap_closed", "Run `dvc repro -f evaluate`")
    code = sorted(Path(find_spec("models").origin).parent.rglob("*.py"))  # type: ignore[union-attr,arg-type]
    weights = sorted(path for path in MODEL.rglob("*") if path.is_file())
    items = _items()
    names = [path.relative_to(MODEL).as_posix() for path in weights]
    key = fingerprint(names, gates, items, files=[*weights, *code, RESPONSES_FILE, REPORTS / "evaluate.json"])
    commit, dirty = _git()
    return Inputs(key, items, reports, _json_files(SYSTEM), gates, _lock(), commit, dirty)


def stage_hash(entry: dict[str, Any]) -> str:
    """16 hex digits of a stage's entry in dvc.lock: command, parameters, and the hashes of what it read and wrote."""
    return hashlib.sha256(json.dumps(entry, sort_keys=True, default=str).encode()).hexdigest()[:16]


def lineage(inputs: Inputs) -> dict[str, str]:
    """Tags of a version that say where it comes from."""
    tags = {
        "fingerprint": inputs.fingerprint,
        "items": inputs.items,
        "gap_closed": repr(inputs.gap_closed),
        **_company(inputs.reports["evaluate"]),
        "git.commit": inputs.commit,
        "git.dirty": inputs.dirty,
        "dvc.lock": stage_hash(inputs.lock) if inputs.lock else "unknown",
    }
    for name, entry in inputs.lock.items():
        tags[f"dvc.{name}"] = stage_hash(entry)
        tags.update({f"data.{out['path']}": str(out.get("md5", "unknown")) for out in entry.get("outs", [])})
    tags.update({f"gate.{name}": "passed" if passed(report) else "failed" for name, report in inputs.gates.items()})
    # "@" and the like stand in DVC's names but not in MLflow's
    return {"".join(c if c.isalnum() or c in "_-./ " else "." for c in key): value for key, value in tags.items()}


def _company(report: dict[str, Any]) -> dict[str, str]:
    """How the model stands beside its cascade and chance, by name: shares 0 to 1, "None" where nothing was measured."""
    beside = scoretable.company(report)
    found = {f"follow.{form}": beside[form] for form in ("heard", "read", "cascade", "chance")}
    found["gap_closed.cascade"] = (report.get("cascade") or {}).get("gap_closed")
    for name in ("gap", "instructions"):
        found |= {f"heard_minus_cascade.{name}.{end}": value for end, value in (beside[name] or {}).items()}
    found |= {f"heard_minus_chance.instructions.{end}": value for end, value in (beside["above_chance"] or {}).items()}
    if people := scoretable.people(report):
        found |= {f"recordings.word_errors.{name}": cell["share"] for name, cell in people["errors"].items()}
        for lang, forms in people["follow"].items():
            found |= {f"recordings.follow.{lang}.{form}": cell["share"] for form, cell in forms.items()}
    return {name: repr(value) for name, value in found.items()}


def passed(report: dict[str, Any]) -> bool:
    """Whether a gate's report lets the pipeline go on."""
    return report.get("passed") is True


def _items() -> str:
    """Fingerprint of the benchmark: its table, and the audio that the table points to."""
    table = BENCHMARK / "items.parquet"
    shards = {row["shard"] for row in read_table(table, ITEMS) if row["shard"]}
    return fingerprint(files=[table, *(BENCHMARK / shard for shard in sorted(shards))])


def _json_files(folder: Path) -> dict[str, dict[str, Any]]:
    return {path.stem: read_json(path) for path in sorted(folder.glob("*.json"))}


def _lock() -> dict[str, dict[str, Any]]:
    """Entries of dvc.lock by stage; while DVC runs this stage, its own entry is an old one or not there."""
    stages = (read_yaml(LOCK) or {}).get("stages", {}) if LOCK.exists() else {}
    return {name: entry for name, entry in stages.items() if name.partition("@")[0] != OWN}


def _git() -> tuple[str, str]:
    """(commit, whether there are uncommitted changes), or "unknown" without git. What a run rewrites does not count."""
    commit = _run("git", "rev-parse", "HEAD")
    if commit is None:
        return "unknown", "unknown"
    changes = _run("git", "status", "--porcelain", "--", ".", ":!dvc.lock", ":!reports")
    return commit, "unknown" if changes is None else str(bool(changes)).lower()


def _run(*command: str) -> str | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
