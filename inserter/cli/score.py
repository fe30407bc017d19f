"""The command `inserter score`: score files of answers by SpeechInstructBench's rules.

Scoring needs no model, no judge and no network.
"""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import click

from inserter.errors import InserterError
from inserter.run.quiet import quiet

score_app = click.Group(help="Score answers by SpeechInstructBench's rules: docs/SCORING.md.", no_args_is_help=True)
FILE = click.Path(path_type=Path)


def _command(task: str) -> Callable[[Callable[..., None]], click.Command]:
    """Return the decorator that adds the command of a task, with what the three share."""
    example = f"inserter score {task} answers.jsonl"
    examples = f"Examples: `{example} --intervals` · `{example} --details verdicts.jsonl --json`"
    parts = [
        click.option("--json", "as_json", is_flag=True, help="Print the result as JSON and nothing else."),
        click.option("--details", type=FILE, metavar="OUT.jsonl", help="Write a line of verdicts per record."),
        click.option("--intervals", is_flag=True, help="Also score by variant, with 95 % intervals; closed: beside chance."),
        click.option("--mode", default="robust", help="robust, or reference (the published scorer, bug for bug)."),
        click.argument("file", type=FILE, metavar="FILE"),
    ]

    def add(function: Callable[..., None]) -> click.Command:
        for part in parts:
            function = part(function)
        return score_app.command(task, epilog=examples)(function)

    return add


def _score(task: str, scorer: ModuleType, file: Path, *, mode: str, details: Path | None, intervals: bool, as_json: bool) -> None:
    if mode not in ("robust", "reference"):
        raise InserterError(f"unknown mode {mode!r}", "Choose robust or reference")
    result, shown = scorer.score_file(file, mode, details), None
    if intervals:
        from inserter.scoring.breakdown import breakdown, render, scored_rows

        rows = scored_rows(file, task, "reference" if mode == "reference" else "robust")
        parts = breakdown(rows, task)
        result, shown = {**result, **parts}, render(parts, task)
    print(json.dumps(result, ensure_ascii=False) if as_json else "\n\n".join(filter(None, (scorer.render(result), shown))))
    if not result["n_prompts" if scorer.__name__.endswith("closed") else "n_counted"]:
        reasons = ", ".join(f"{reason} {count}" for reason, count in result["dropped"].items())
        judged = "not judged" in result["dropped"]
        remedy = "Have them judged first: `inserter judge`" if judged else "docs/SCORING.md shows what a record needs"
        raise InserterError(f"none of the {result['n_dropped']} records of {file} could be scored: {reasons}", remedy)


@_command("closed")
def closed(file: Path, mode: str, *, details: Path | None, intervals: bool, as_json: bool) -> None:
    """Score closed-ended answers: strict, loose and mean, by prompt and by instruction.

    FILE has records with a response: JSON Lines, Parquet or CSV.
    """
    quiet()
    from inserter.scoring import closed as scorer

    _score("closed", scorer, file, mode=mode, details=details, intervals=intervals, as_json=as_json)


@_command("open")
def open_ended(file: Path, mode: str, *, details: Path | None, intervals: bool, as_json: bool) -> None:
    """Score judged open-ended answers: by prompt and by decomposed question.

    FILE has records with pred_score, the judge's replies.
    """
    quiet()
    from inserter.scoring import open_ended as scorer

    _score("open", scorer, file, mode=mode, details=details, intervals=intervals, as_json=as_json)


@_command("adjustment")
def adjustment(file: Path, mode: str, *, details: Path | None, intervals: bool, as_json: bool) -> None:
    """Score judged answers to corrected instructions.

    FILE has records with pred_score, the judge's replies. IAR: higher is better. ECR: lower is
    better.
    """
    quiet()
    from inserter.scoring import adjustment as scorer

    _score("adjustment", scorer, file, mode=mode, details=details, intervals=intervals, as_json=as_json)
