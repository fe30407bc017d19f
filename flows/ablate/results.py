"""Record the results of experiments in docs/results.json and docs/prompts.jsonl.

results.json has one object per experiment, taken from the reports of its working copy. What was not
measured is null. prompts.jsonl has what each experiment followed of each prompt.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from flows.ablate import copies
from flows.ablate.arms import Experiment
from flows.ablate.curves import gap_by_positions
from inserter.errors import InserterError
from inserter.evaluation import ClosedCell, EvaluateReport, Response
from inserter.files import fingerprint, read_json, read_jsonl, write_json, write_jsonl
from inserter.params import checked, laid_over
from inserter.paths import DATA, REPORTS
from inserter.scoring.chance import chance
from inserter.scoring.scores import followed_by_prompt, share_by_prompt
from inserter.tables import known

RESULTS, PROMPTS = Path("docs/results.json"), Path("docs/prompts.jsonl")
IDENTITY = ("group", "arm", "seed")
FORMS = ("heard", "read")
STAGES = ("warmup", "pretrain", "sft", "evaluate")
Row = dict[str, Any]


def effective(experiment: Experiment, below: object) -> dict[str, object]:
    """Return `below` (params.yaml) with the experiment's overrides.

    An unknown key is refused.
    """
    params = laid_over(below, experiment.overrides)
    checked(params, experiment.source)
    return params


def key_of(params: Mapping[str, object], code: str) -> str:
    """Return a key: the same code and parameters have the same key.

    The section of `register` is left out, since it changes no result.
    """
    return fingerprint({name: section for name, section in params.items() if name != "register"}, code)


def read_results(path: Path = RESULTS) -> list[Row]:
    return read_json(path) if path.exists() else []


def recorded(experiment: Experiment, key: str) -> bool:
    return any(_same(row, experiment) and row["key"] == key for row in read_results())


def read_prompts(path: Path = PROMPTS) -> list[Row]:
    """Return rows of IDENTITY and, by form, {prompt: [instructions followed, asked]}."""
    return list(read_jsonl(path)) if path.exists() else []


def record(row: Row, prompts: Row) -> None:
    """Add both rows, in place of what the same arm and seed had before.

    `row` is written last, since it is what marks the experiment as recorded.
    """
    write_jsonl(PROMPTS, _added(read_prompts(), prompts))
    write_json(RESULTS, _added(read_results(), row))


def _added(rows: list[Row], row: Row) -> list[Row]:
    others = [old for old in rows if any(old[name] != row[name] for name in IDENTITY)]
    return sorted([*others, row], key=lambda r: [r[name] for name in IDENTITY])


def result(experiment: Experiment, key: str, folder: Path, *, revision: str) -> Row:
    """Return the experiment's row of results, from the reports below `folder`.

    Raises InserterError if a report is missing.
    """
    found = {name: read_json(folder / REPORTS / f"{name}.json") for name in STAGES}
    warmup, pretrain = found["warmup"], found["pretrain"]
    evaluate: EvaluateReport = found["evaluate"]
    by_language = evaluate["speechinstructbench"]["closed"]
    closed = by_language[_language(by_language)]
    variants = {
        variant: {form: scores["mean"]["instruction"] for form, scores in forms.items()} for variant, forms in closed.items()
    }
    standard = variants.get("standard", {})
    unseen = evaluate["voices"]["unseen"]
    return {
        "group": experiment.group,
        "arm": experiment.arm,
        "seed": experiment.seed,
        "key": key,
        "commit": revision,
        "command": experiment.command,
        "gap_closed": evaluate["gap_closed"],
        "gap_closed_interval": evaluate["gap_closed_interval"],
        "unseen_gap": unseen["gap_closed"] if unseen else None,
        **_company(evaluate),
        "heard": standard.get("heard"),
        "read": standard.get("read"),
        "variants": variants,
        **_intervals(closed.get("standard", {})),
        **_spoken(folder),
        "text_nll_drift": evaluate["text_nll"] / pretrain["text_nll"]["before"] - 1,
        "transcript_nll": pretrain["transcript_nll"],
        "token_error": warmup["heldout_token_error"],
        "positions": pretrain["positions"],
        "gap_by_positions": gap_by_positions(folder / REPORTS / "plots"),
        "hours": warmup["hours"],
        "precision": evaluate["precision"],
    }


def _company(evaluate: EvaluateReport) -> Row:
    """Return the figures of the model's own cascade, and the two divergences.

    What was not measured is None.
    """
    cascade, beside, likelihood = evaluate.get("cascade"), evaluate.get("heard_minus_cascade"), evaluate.get("likelihood")
    ends = [beside.get("low"), beside.get("high")] if beside else [None]
    return {
        "cascade_gap": cascade.get("gap_closed") if cascade else None,
        "cascade_gap_interval": cascade.get("gap_closed_interval") if cascade else None,
        "heard_minus_cascade": beside.get("difference") if beside else None,
        "heard_minus_cascade_interval": None if None in ends else ends,
        "kl_read_heard": evaluate.get("kl_read_heard"),
        "kl_base_model": likelihood["forgetting"].get("kl") if likelihood else None,
    }


def followed(experiment: Experiment, folder: Path) -> Row:
    """Return a row of PROMPTS, from the answers below `folder`."""
    by_form = {form: followed_by_prompt(answers) for form, answers in _answers(folder).items()}
    return {name: getattr(experiment, name) for name in IDENTITY} | by_form


def _answers(folder: Path) -> dict[str, list[Response]]:
    """Return by form the closed-ended answers in one language to all items that are spoken.

    A read prompt, too, counts once per variant that is spoken.
    """
    rows: list[Response] = [row for row in read_jsonl(folder / DATA / "evaluate" / "responses.jsonl") if row["task"] == "closed"]
    language = _language({row["lang"] for row in rows})
    spoken = [row for row in rows if row["lang"] == language and row["voice"]]
    return {form: [row for row in spoken if row["form"] == form] for form in FORMS}


def _language(asked: Collection[str]) -> str:
    """Return the language that arms are compared in: English if it was asked, else the first."""
    if not asked:
        raise InserterError("reports/evaluate.json has no closed-ended score", "Check evaluate.languages and evaluate.items")
    return "en" if "en" in asked else min(asked)


def _intervals(standard: Mapping[str, ClosedCell]) -> Row:
    cells = {form: standard.get(form) for form in FORMS}
    return {f"{form}_interval": known(cell["interval"])["mean"]["instruction"] if cell else None for form, cell in cells.items()}


def _spoken(folder: Path) -> Row:
    """Return the instructions followed over all variants together, heard and read.

    Intervals are over prompts, since each prompt is in every variant. The share followed by chance
    stands beside them.
    """
    row: Row = {}
    for form, answers in _answers(folder).items():
        share, interval = share_by_prompt(answers)
        dealt = chance(answers)
        row |= {f"{form}_all": share, f"{form}_all_interval": interval, f"{form}_chance": dealt and dealt["mean-instruction"]}
    return row


def _same(row: Row, experiment: Experiment) -> bool:
    return (row["group"], row["arm"], row["seed"]) == (experiment.group, experiment.arm, experiment.seed)


def new(experiments: list[Experiment], revision: str) -> list[tuple[Experiment, dict[str, object], str]]:
    """Return (experiment, its parameters, its key) of those without a recorded result.

    Raises InserterError for a wrong parameter.
    """
    below, code = copies.params_at(revision), copies.code_at(revision)
    ready = [(experiment, params, key_of(params, code)) for experiment in experiments for params in [effective(experiment, below)]]
    return [(experiment, params, key) for experiment, params, key in ready if not recorded(experiment, key)]
