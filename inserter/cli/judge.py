"""The command `inserter judge`: a judge decides on answers that code cannot check.

The judge is a model at any OpenAI-compatible endpoint.
"""

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from inserter.errors import InserterError
from inserter.run.quiet import quiet

if TYPE_CHECKING:
    from inserter.scoring.judge import JudgeSettings, Usage

judge_app = typer.Typer(help="Have open and adjustment answers judged by a model.", no_args_is_help=True)

SHOWN_REASONS = 5
File = Annotated[Path, typer.Argument(metavar="FILE", help="Records with a response: JSON Lines, Parquet, CSV.")]
Out = Annotated[Path, typer.Option(metavar="JUDGED.jsonl", help="With the judge's replies; also .jsonl.gz or .parquet.")]
Model = Annotated[str | None, typer.Option(metavar="NAME", help="Default: INSERTER_JUDGE_MODEL.")]
BaseUrl = Annotated[str | None, typer.Option(metavar="URL", help="Default: INSERTER_JUDGE_BASE_URL, OPENAI_BASE_URL.")]
N = Annotated[int, typer.Option(min=1, help="Completions a record.")]
Concurrency = Annotated[int, typer.Option(min=1, help="Requests at a time.")]
Reask = Annotated[int, typer.Option(min=0, help="Ask again for a reply that is no verdict; 0: take what comes.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds a request may take.")]
MaxTokens = Annotated[
    int, typer.Option(min=1, envvar="INSERTER_JUDGE_MAX_TOKENS", help="Length of a completion; a judge that thinks needs more.")
]
Temperature = Annotated[float, typer.Option(min=0.0, envvar="INSERTER_JUDGE_TEMPERATURE", help="Of the judge's sampling.")]
TopP = Annotated[float, typer.Option(min=0.0, max=1.0, envvar="INSERTER_JUDGE_TOP_P", help="Of the judge's sampling.")]
PriceIn = Annotated[float | None, typer.Option(min=0.0, help="Price of a million prompt tokens.")]
PriceOut = Annotated[float | None, typer.Option(min=0.0, help="Price of a million completion tokens.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON and nothing else.")]


def _command(task: Literal["open", "adjustment"], said: str) -> None:
    """Add the command of a task.

    said: what the command does, for --help.
    """

    example = f"Example: `inserter judge {task} answers.jsonl --out judged.jsonl`"

    @judge_app.command(task, help=f"{said} The key: INSERTER_JUDGE_API_KEY.", epilog=example)
    def command(
        file: File,
        out: Out,
        model: Model = None,
        *,
        base_url: BaseUrl = None,
        n: N = 4,
        concurrency: Concurrency = 8,
        reask: Reask = 2,
        timeout: Timeout = 120.0,
        max_tokens: MaxTokens = 1024,
        temperature: Temperature = 0.5,
        top_p: TopP = 0.95,
        price_in: PriceIn = None,
        price_out: PriceOut = None,
        as_json: AsJson = False,
    ) -> None:
        changes = {
            "n": n,
            "concurrency": concurrency,
            "reask": reask,
            "timeout": timeout,
            "max_tokens": max_tokens,
            "temperature": temperature,
            "top_p": top_p,
            "price_in": price_in,
            "price_out": price_out,
        }
        _judge(task, file, out, model=model, base_url=base_url, changes=changes, as_json=as_json)


_command("open", "Judge open-ended answers: YES or NO to each decomposed question.")
_command("adjustment", "Judge answers to instructions that are corrected in mid-speech.")


def _judge(
    task: Literal["open", "adjustment"],
    file: Path,
    out: Path,
    *,
    model: str | None,
    base_url: str | None,
    changes: dict[str, Any],
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
        print("inserter: interrupted. Every reply that came is kept: run it again and it resumes", file=sys.stderr)
        raise typer.Exit(130) from None
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
