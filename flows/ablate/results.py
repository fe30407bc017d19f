"""docs/results.json: one object an experiment, taken from the reports of its working copy. What was not measured is null."""

from pathlib import Path
from typing import Any

from flows.ablate import copies
from flows.ablate.arms import Experiment
from stages.common.errors import InserterError
from stages.common.files import fingerprint, read_json, read_jsonl, write_json
from stages.common.params import checked, laid_over
from stages.common.paths import DATA, REPORTS
from stages.evaluate.scores import share_by_prompt

RESULTS = Path("docs/results.json")
STAGES = ("warmup", "pretrain", "sft", "evaluate")
Row = dict[str, Any]


def effective(experiment: Experiment, below: Any) -> dict[str, Any]:
    """`below` (params.yaml) with the experiment's overrides; a key that is unknown is refused."""
    params = laid_over(below, experiment.overrides)
    checked(params, experiment.source)
    return params


def key_of(params: dict[str, Any], code: list[str]) -> str:
    """The same code and parameters have the same key. What `register` does changes no result."""
    return fingerprint({name: section for name, section in params.items() if name != "register"}, code)


def read_results(path: Path = RESULTS) -> list[Row]:
    return read_json(path) if path.exists() else []


def recorded(experiment: Experiment, key: str) -> bool:
    return any(_same(row, experiment) and row["key"] == key for row in read_results())


def record(row: Row) -> None:
    """Add `row` in the place of what the same arm and seed had before."""
    others = [old for old in read_results() if any(old[name] != row[name] for name in ("group", "arm", "seed"))]
    write_json(RESULTS, sorted([*others, row], key=lambda r: (r["group"], r["arm"], r["seed"])))


def result(experiment: Experiment, key: str, folder: Path, revision: str) -> Row:
    """What the reports below `folder` say. Raises InserterError when one is missing."""
    found = {name: read_json(folder / REPORTS / f"{name}.json") for name in STAGES}
    warmup, pretrain, evaluate = found["warmup"], found["pretrain"], found["evaluate"]
    language, closed = _closed(evaluate["speechinstructbench"]["closed"])
    variants = {
        variant: {form: scores["mean"]["instruction"] for form, scores in forms.items()} for variant, forms in closed.items()
    }
    standard = variants.get("standard", {})
    answers = [
        row for row in read_jsonl(folder / DATA / "evaluate" / "responses.jsonl")
        if row["task"] == "closed" and row["lang"] == language
    ]
    unseen = evaluate["voices"]["unseen"]
    return {
        "group": experiment.group, "arm": experiment.arm, "seed": experiment.seed, "key": key, "commit": revision,
        "command": experiment.command,
        "gap_closed": evaluate["gap_closed"], "gap_closed_interval": evaluate["gap_closed_interval"],
        "unseen_gap": unseen["gap_closed"] if unseen else None,
        "heard": standard.get("heard"), "read": standard.get("read"), "variants": variants,
        **_intervals(closed.get("standard", {})), **_spoken(answers),
        "text_nll_drift": evaluate["text_nll"] / pretrain["text_nll"]["before"] - 1,
        "transcript_nll": pretrain["transcript_nll"], "token_error": warmup["heldout_token_error"],
        "positions": pretrain["positions"], "hours": warmup["hours"],
    }  # fmt: skip


def _closed(closed: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The first language that was asked, and its closed-ended scores by variant and form."""
    if not closed:
        raise InserterError("reports/evaluate.json has no closed-ended score", "Look at evaluate.languages and evaluate.items")
    language = "en" if "en" in closed else next(iter(closed))
    return language, closed[language]


def _intervals(standard: dict[str, Any]) -> Row:
    cells = {form: standard.get(form) for form in ("heard", "read")}
    return {f"{form}_interval": cell["interval"]["mean"]["instruction"] if cell else None for form, cell in cells.items()}


def _spoken(answers: list[Row]) -> Row:
    """Instructions followed over all variants together, heard and read, with intervals over prompts: a prompt is in each."""
    row: Row = {}
    for form in ("heard", "read"):
        share, interval = share_by_prompt([answer for answer in answers if answer["form"] == form and answer["voice"]])
        row |= {f"{form}_all": share, f"{form}_all_interval": interval}
    return row


def _same(row: Row, experiment: Experiment) -> bool:
    return (row["group"], row["arm"], row["seed"]) == (experiment.group, experiment.arm, experiment.seed)


def new(experiments: list[Experiment], revision: str) -> list[tuple[Experiment, dict[str, Any], str]]:
    """(experiment, its parameters, its key) of those without a recorded result. Raises InserterError for a wrong parameter."""
    below, code = copies.params_at(revision), copies.code_at(revision)
    ready = [(experiment, params, key_of(params, code)) for experiment in experiments for params in [effective(experiment, below)]]
    return [(experiment, params, key) for experiment, params, key in ready if not recorded(experiment, key)]
