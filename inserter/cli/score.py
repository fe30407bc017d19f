"""The command `inserter score`: score files of answers by SpeechInstructBench's rules.

Scoring needs no model, no judge and no network.
"""

import json
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from inserter.errors import InserterError
from inserter.run.quiet import quiet

score_app = typer.Typer(help="Score answers by SpeechInstructBench's rules: docs/SCORING.md.", no_args_is_help=True)

Answers = Annotated[Path, typer.Argument(metavar="FILE", help="Records with a response: JSON Lines, Parquet, CSV.")]
Judged = Annotated[Path, typer.Argument(metavar="FILE", help="Records with pred_score: the judge's replies.")]
ModeName = Annotated[str, typer.Option("--mode", help="robust, or reference (the published scorer, bug for bug).")]
Details = Annotated[Path | None, typer.Option(metavar="OUT.jsonl", help="Write a line of verdicts a record.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")]


def _epilog(task: str) -> str:
    command = f"inserter score {task} answers.jsonl"
    return f"Examples: `{command}` · `{command} --details verdicts.jsonl --json`"


def _score(scorer: ModuleType, file: Path, mode: str, *, details: Path | None, as_json: bool) -> None:
    if mode not in ("robust", "reference"):
        raise InserterError(f"unknown mode {mode!r}", "Choose robust or reference")
    result = scorer.score_file(file, mode, details)
    print(json.dumps(result, ensure_ascii=False) if as_json else scorer.render(result))
    if not result["n_prompts" if scorer.__name__.endswith("closed") else "n_counted"]:
        reasons = ", ".join(f"{reason} {count}" for reason, count in result["dropped"].items())
        judged = "not judged" in result["dropped"]
        remedy = "Have them judged first: `inserter judge`" if judged else "docs/SCORING.md shows what a record needs"
        raise InserterError(f"none of the {result['n_dropped']} records of {file} could be scored: {reasons}", remedy)


@score_app.command(epilog=_epilog("closed"))
def closed(file: Answers, mode: ModeName = "robust", details: Details = None, *, as_json: AsJson = False) -> None:
    """Score closed-ended answers: strict, loose and mean, by prompt and by instruction."""
    quiet()
    from inserter.scoring import closed as scorer

    _score(scorer, file, mode, details=details, as_json=as_json)


@score_app.command("open", epilog=_epilog("open"))
def open_ended(file: Judged, mode: ModeName = "robust", details: Details = None, *, as_json: AsJson = False) -> None:
    """Score judged open-ended answers: by prompt and by decomposed question."""
    quiet()
    from inserter.scoring import open_ended as scorer

    _score(scorer, file, mode, details=details, as_json=as_json)


@score_app.command(epilog=_epilog("adjustment"))
def adjustment(file: Judged, mode: ModeName = "robust", details: Details = None, *, as_json: AsJson = False) -> None:
    """Score judged answers to corrected instructions.

    IAR: higher is better. ECR: lower is better.
    """
    quiet()
    from inserter.scoring import adjustment as scorer

    _score(scorer, file, mode, details=details, as_json=as_json)
