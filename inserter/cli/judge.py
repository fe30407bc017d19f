"""The command `inserter judge`: a judge decides on answers that code cannot check.

The judge is a model at any OpenAI-compatible endpoint.
"""

import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from inserter.errors import InserterError
from inserter.run.quiet import quiet

if TYPE_CHECKING:
    from inserter.scoring.judge import JudgeSettings, Usage

judge_app = click.Group(help="Have open and adjustment answers judged by a model.", no_args_is_help=True)

SHOWN_REASONS = 5
FILE = click.Path(path_type=Path)


def _number(
    name: str, default: float | None, about: str, *, least: float = 0, most: float | None = None, envvar: str | None = None
) -> click.Option:
    """Return an option that takes a number, a whole one if `default` is whole."""
    kind = click.IntRange if isinstance(default, int) else click.FloatRange
    return click.Option([f"--{name}"], type=kind(least, most), default=default, help=about, show_envvar=True, envvar=envvar)


PARAMETERS: list[click.Parameter] = [
    click.Argument(["file"], type=FILE, metavar="FILE"),
    click.Option(
        ["--out"],
        type=FILE,
        required=True,
        metavar="JUDGED.jsonl",
        help="With the judge's replies; also .jsonl.gz or .parquet.",
    ),
    click.Option(["--model"], metavar="NAME", help="Default: INSERTER_JUDGE_MODEL."),
    click.Option(["--base-url"], metavar="URL", help="Default: INSERTER_JUDGE_BASE_URL, OPENAI_BASE_URL."),
    _number("n", 4, "Completions per record.", least=1),
    _number("concurrency", 8, "Requests at a time.", least=1),
    _number("reask", 2, "Ask again for a reply that is no verdict; 0: take what comes."),
    _number("timeout", 120.0, "Seconds per request.", least=0.1),
    _number(
        "max-tokens",
        1024,
        "Length of a completion; a judge that thinks needs more.",
        least=1,
        envvar="INSERTER_JUDGE_MAX_TOKENS",
    ),
    _number("temperature", 0.5, "Of the judge's sampling.", envvar="INSERTER_JUDGE_TEMPERATURE"),
    _number("top-p", 0.95, "Of the judge's sampling.", most=1.0, envvar="INSERTER_JUDGE_TOP_P"),
    _number("price-in", None, "Price of a million prompt tokens."),
    _number("price-out", None, "Price of a million completion tokens."),
    click.Option(["--json", "as_json"], is_flag=True, help="Print the summary as JSON and nothing else."),
]


def _command(task: Literal["open", "adjustment"], said: str) -> None:
    """Add the command of a task.

    said: what the command does, for --help.
    """

    def command(file: Path, out: Path, *, model: str | None, base_url: str | None, as_json: bool, **changes: object) -> None:
        _judge(task, file, out, model=model, base_url=base_url, changes=changes, as_json=as_json)

    about = f"{said}\n\nFILE has records with a response: JSON Lines, Parquet or CSV. The key: INSERTER_JUDGE_API_KEY."
    example = f"Example: `inserter judge {task} answers.jsonl --out judged.jsonl`"
    judge_app.add_command(click.Command(task, callback=command, params=PARAMETERS, help=about, epilog=example))


_command("open", "Judge open-ended answers: YES or NO to each decomposed question.")
_command("adjustment", "Judge answers to instructions that are corrected in mid-speech.")


def _judge(
    task: Literal["open", "adjustment"],
    file: Path,
    out: Path,
    *,
    model: str | None,
    base_url: str | None,
    changes: Mapping[str, object],
    as_json: bool,
) -> None:
    quiet()
    from inserter.scoring.judge import JudgeSettings, judge_file
    from inserter.scoring.judge.settings import missing

    settings = JudgeSettings.from_environment(model, base_url, **changes)
    if settings is None:
        raise InserterError("no judge is configured", missing(model, base_url))
    # A script's background jobs start with SIGINT ignored; restore the signal.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        usage = judge_file(file, out, task, settings=settings)
    except KeyboardInterrupt:
        print("inserter: interrupted. The replies so far are kept: run the same command again to resume", file=sys.stderr)
        raise SystemExit(130) from None
    summary = usage.summary(settings)
    print(json.dumps(summary, ensure_ascii=False) if as_json else render(usage, settings, task, out=out))
    if usage.stopped:
        raise InserterError(f"stopped early: {usage.stopped} ({usage.paid()})", usage.remedy or "")
    if not usage.judged:
        (reason, _), *_ = usage.reasons.most_common(1)
        raise InserterError(f"none of the records could be judged: {reason} ({usage.paid()})", remedy(reason, settings))


def remedy(reason: str, settings: "JudgeSettings") -> str:
    """Return what to do about the reason why a record was not judged."""
    from inserter.scoring.judge.replies import WHY

    found = (todo for words, todo in WHY.values() if reason.endswith(words))
    return next(found, "Mend that, then run again").format(max_tokens=settings.max_tokens)


def render(usage: "Usage", settings: "JudgeSettings", task: str, *, out: Path) -> str:
    """Return the summary as text: results, cost, failures with reasons, and the next command."""
    cost = usage.cost(settings)
    price = "" if cost is None else f"; cost {cost:.4f}"
    shared = f"; {usage.shared} records with the content of another" if usage.shared else ""
    lines = [
        f"judged {usage.judged} of {usage.records} records by {settings.model}: {out}",
        f"calls {usage.calls}, retries {usage.retries}; replies {usage.completions}, from cache {usage.cached}{shared}",
        f"tokens {usage.prompt_tokens:,} in, {usage.completion_tokens:,} out{price}",
    ]
    if usage.changes:
        lines.append(f"the server refused what was asked, so it was asked: {'; '.join(usage.changes)}")
    if usage.calls_without_usage:
        lines.append(f"not in the sums: {usage.calls_without_usage} calls of which the server gave no token counts")
    if usage.failed:
        lines.append(f"not judged {usage.failed}:")
        lines += [f"  {count} x {reason}" for reason, count in usage.reasons.most_common(SHOWN_REASONS)]
    if usage.judged:
        lines.append(f"next: inserter score {task} {out}")
    return "\n".join(lines)
