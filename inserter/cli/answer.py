"""The command `inserter answer`: any model answers the benchmark's items."""

import json
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inserter.errors import InserterError
from inserter.run.quiet import quiet
from inserter.tables import TASKS

if TYPE_CHECKING:
    from inserter.answering.items import AskedForm
    from inserter.answering.sheet import Sheet, Tally

SHOWN_REASONS = 5
FILE = click.Path(path_type=Path)
EXAMPLES = (
    "Examples: `inserter answer closed --endpoint http://localhost:8000/v1 --model NAME` · "
    "`inserter answer all --hf ORG/NAME --form read --limit 20`"
)


@click.command("answer", epilog=EXAMPLES)
@click.argument("task", type=click.Choice([*TASKS, "all"]))
@click.option("--endpoint", metavar="URL", help="Base URL of an OpenAI-style chat API; most end in /v1.")
@click.option("--model", metavar="NAME", help="The model at the endpoint.")
@click.option("--hf", metavar="DIR|ORG/NAME", help="A model that transformers loads, instead of an endpoint.")
@click.option("--trust-remote-code", is_flag=True, help="Run the code that the --hf model brings along.")
@click.option("--items", type=FILE, default="data/benchmark", help="Folder that the stage `benchmark` wrote.")
@click.option("--form", type=click.Choice(["heard", "read"]), default="heard", help="Send the sound, or the same words.")
@click.option("--out", type=FILE, metavar="FILE|DIR", help="Default: answers/MODEL[-read]/TASK.jsonl. For `all`, a folder.")
@click.option("--limit", type=click.IntRange(1), help="Items per task; a larger limit adds to the same ones.")
@click.option("--concurrency", type=click.IntRange(1), default=8, help="Requests at a time; with --hf, items per batch.")
@click.option("--max-tokens", type=click.IntRange(1), default=512, help="Largest number of tokens of an answer.")
@click.option("--temperature", type=click.FloatRange(0), default=0.0, help="0: greedy.")
@click.option("--timeout", type=click.FloatRange(0.1), default=120.0, help="Seconds per request.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON and nothing else.")
def answer_command(
    task: str,
    items: Path,
    form: "AskedForm",
    *,
    out: Path | None,
    limit: int | None,
    as_json: bool,
    **asked: Any,
) -> None:
    """Put the benchmark's items to a model, and write its answers for `inserter score`.

    Answers are appended as they come, and a second call asks only for what is missing. The key:
    INSERTER_ANSWER_API_KEY, or OPENAI_API_KEY at OpenAI's own address.
    """
    quiet()
    from inserter.answering.items import choose, load
    from inserter.answering.sheet import opened

    every = load(items)
    chosen = {one: choose(every, one, limit) for one in (TASKS if task == "all" else (task,))}
    name, system, answer = _model(**asked)
    # A script's background jobs start with SIGINT ignored; restore the signal.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    default = Path("answers") / (re.sub(r"[^\w.-]+", "-", name).strip("-.") + ("-read" if form == "read" else ""))
    for one, wanted in chosen.items():
        path = (out or default) / f"{one}.jsonl" if task == "all" or out is None else out
        try:
            with opened(path, wanted, form, system=system) as sheet:
                answer(sheet, items)
        except KeyboardInterrupt:
            print("inserter: interrupted. The answers so far are kept: run the same command again to resume", file=sys.stderr)
            raise SystemExit(130) from None
        tally = sheet.tally
        print(json.dumps({"task": one, "file": str(path), **tally.summary()}) if as_json else render(tally, name, one, path=path))
        if tally.stopped:
            raise InserterError(f"stopped early: {tally.stopped}", tally.remedy)
        if not tally.answered:
            (reason, _), *_ = (tally.failed or tally.not_asked).most_common(1)
            raise InserterError(f"none of the {tally.items} items was answered: {reason}", "Mend that, then run again")


def _model(
    endpoint: str | None,
    model: str | None,
    hf: str | None,
    *,
    trust_remote_code: bool,
    concurrency: int,
    max_tokens: int,
    temperature: float,
    timeout: float,
) -> "tuple[str, dict[str, object], Callable[[Sheet, Path], None]]":
    """Return the model's name, what decides its answers, and the function that asks it."""
    if hf is not None and (endpoint or model):
        raise InserterError("--hf and --endpoint name two models", "Give one of them")
    if hf is not None:
        from inserter.answering import local

        chosen = local.LocalSettings(hf, trust_remote_code, batch_size=concurrency, max_tokens=max_tokens, temperature=temperature)
        model_here = local.LocalModel(chosen)
        return hf, chosen.system(), lambda sheet, folder: local.answer(sheet, folder, model_here)
    if not endpoint or not model:
        raise InserterError("no model is named", "Give --endpoint URL and --model NAME, or --hf DIR")
    from inserter.answering.chat import AnswerSettings, answer

    settings = AnswerSettings(
        endpoint,
        model,
        AnswerSettings.key_for(endpoint),
        concurrency=concurrency,
        max_tokens=max_tokens,
        temperature=temperature,
        timeout=timeout,
    )
    return model, settings.system(), lambda sheet, folder: answer(sheet, folder, settings)


def render(tally: "Tally", name: str, task: str, *, path: Path) -> str:
    """Return the counts as text, with reasons and the next command."""
    before = f" ({tally.earlier} of them by earlier calls)" if tally.earlier else ""
    lines = [f"{task}: {name} answered {tally.answered} of {tally.items} items{before}: {path}"]
    for word, reasons in (("failed", tally.failed), ("not asked", tally.not_asked)):
        if reasons:
            lines.append(f"{word} {reasons.total()}:")
            lines += [f"  {count} x {reason}" for reason, count in reasons.most_common(SHOWN_REASONS)]
    if tally.answered:
        judged = path.with_name(f"{path.stem}-judged.jsonl")
        follow = f"score closed {path} --intervals" if task == "closed" else f"judge {task} {path} --out {judged}"
        lines.append(f"next: inserter {follow}")
    return "\n".join(lines)
