"""`inserter judge`: answers that code cannot check are put to a judge, any OpenAI-compatible endpoint."""

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from stages.common.errors import InserterError
from stages.common.quiet import quiet

if TYPE_CHECKING:
    from stages.evaluate.judge import JudgeSettings, Usage

judge_app = typer.Typer(help="Have open and adjustment answers judged by a model.", no_args_is_help=True)

SHOWN_REASONS = 5
File = Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="The benchmark's records, each with a response.")]
Out = Annotated[Path, typer.Option(metavar="JUDGED.jsonl", help="The same records with the judge's replies.")]
Model = Annotated[str | None, typer.Option(metavar="NAME", help="Default: INSERTER_JUDGE_MODEL.")]
BaseUrl = Annotated[str | None, typer.Option(metavar="URL", help="Default: INSERTER_JUDGE_BASE_URL, OPENAI_BASE_URL.")]
N = Annotated[int, typer.Option(min=1, help="Completions a record.")]
Concurrency = Annotated[int, typer.Option(min=1, help="Requests at a time.")]
Reask = Annotated[int, typer.Option(min=0, help="Ask again for a reply that is no verdict; 0: take what comes.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds a request may take.")]
PriceIn = Annotated[float | None, typer.Option(min=0.0, help="Price of a million prompt tokens.")]
PriceOut = Annotated[float | None, typer.Option(min=0.0, help="Price of a million completion tokens.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON and nothing else.")]


@judge_app.command("open", epilog="Example: `inserter judge open answers.jsonl --out judged.jsonl`")
def judge_open(
    file: File, out: Out, model: Model = None, base_url: BaseUrl = None, n: N = 4, concurrency: Concurrency = 8,
    reask: Reask = 2, timeout: Timeout = 120.0, price_in: PriceIn = None, price_out: PriceOut = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Judge open-ended answers: YES or NO to each decomposed question. The key: INSERTER_JUDGE_API_KEY."""
    changes = _changes(n, concurrency, reask, timeout, price_in, price_out)
    _judge("open", file, out, model, base_url, changes, as_json)


@judge_app.command("adjustment", epilog="Example: `inserter judge adjustment answers.jsonl --out judged.jsonl`")
def judge_adjustment(
    file: File, out: Out, model: Model = None, base_url: BaseUrl = None, n: N = 4, concurrency: Concurrency = 8,
    reask: Reask = 2, timeout: Timeout = 120.0, price_in: PriceIn = None, price_out: PriceOut = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Judge answers to instructions that are corrected in mid-speech. The key: INSERTER_JUDGE_API_KEY."""
    changes = _changes(n, concurrency, reask, timeout, price_in, price_out)
    _judge("adjustment", file, out, model, base_url, changes, as_json)


def _changes(
    n: int, concurrency: int, reask: int, timeout: float, price_in: float | None, price_out: float | None
) -> dict[str, Any]:
    return {
        "n": n, "concurrency": concurrency, "reask": reask, "timeout": timeout,
        "price_in": price_in, "price_out": price_out,
    }  # fmt: skip


def _judge(
    task: Literal["open", "adjustment"], file: Path, out: Path, model: str | None, base_url: str | None,
    changes: dict[str, Any], as_json: bool,
) -> None:  # fmt: skip
    quiet()
    from stages.evaluate.judge import JudgeSettings, judge_file
    from stages.evaluate.judge.settings import missing

    settings = JudgeSettings.from_environment(model, base_url, **changes)
    if settings is None:
        raise InserterError("no judge is configured", missing(model, base_url))
    # a script's background job is born deaf to SIGINT: who sends it one means it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        usage = judge_file(file, out, task, settings)
    except KeyboardInterrupt:
        print("inserter: interrupted. Every reply that came is kept: run it again and it goes on", file=sys.stderr)
        raise typer.Exit(130) from None
    summary = usage.summary(settings)
    print(json.dumps(summary, ensure_ascii=False) if as_json else render(usage, settings, task, out))
    if not usage.judged:
        raise InserterError("none of the records could be judged", next(iter(summary["reasons"])))


def render(usage: "Usage", settings: "JudgeSettings", task: str, out: Path) -> str:
    """What was judged, what it took, what failed and why, and what to do next."""
    cost = usage.cost(settings)
    price = "" if cost is None else f"; cost {cost:.4f}"
    shared = f"; {usage.shared} records with the content of another" if usage.shared else ""
    lines = [
        f"judged {usage.judged} of {usage.records} records by {settings.model}: {out}",
        f"calls {usage.calls}, retries {usage.retries}; replies {usage.completions}, from cache {usage.cached}{shared}",
        f"tokens {usage.prompt_tokens:,} in, {usage.completion_tokens:,} out{price}",
    ]
    if usage.calls_without_usage:
        lines.append(f"not in the sums: {usage.calls_without_usage} calls of which the server gave no token counts")
    if usage.failed:
        lines.append(f"not judged {usage.failed}:")
        lines += [f"  {count} x {reason}" for reason, count in usage.reasons.most_common(SHOWN_REASONS)]
    if usage.judged:
        lines.append(f"next: inserter score {task} {out}")
    return "\n".join(lines)
