"""The pipeline's commands of `inserter`.

Heavy imports stand inside the commands, so that --help is quick.
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from inserter.cli import main, new_app
from inserter.errors import InserterError
from inserter.run.quiet import quiet

app = new_app()


def _epilog(*examples: str) -> str:
    return "Examples: " + " · ".join(f"`{example}`" for example in examples)


@app.command(epilog=_epilog("inserter run", "inserter run pretrain", "inserter run synthesize --force"))
def run(
    stages: Annotated[list[str] | None, typer.Argument(help="Stages to bring up to date with all they need.")] = None,
    force: Annotated[bool, typer.Option(help="Run the named stages (all, if none is named) even if unchanged.")] = False,
) -> None:
    """Run what has changed, as a Prefect flow over DVC's graph, and print the summary."""
    from flows.run import run as run_pipeline

    raise typer.Exit(run_pipeline(stages or None, force))


@app.command(epilog=_epilog("inserter status"))
def status() -> None:
    """Show each stage's state, time and memory, the gates, and the model aliases.

    A stage is up to date, changed (and why), or was never run. Time and memory are those of its
    last run.
    """
    from flows.status import status as show

    show()


ModelOption = Annotated[
    str | None, typer.Option(metavar="DIR|models:/NAME@ALIAS", help="Default: the registered champion, else data/sft/model.")
]
AUDIO_FILE = "wav, flac, ogg or mp3, any rate."


@app.command(epilog=_epilog("inserter ask question.wav", 'inserter ask talk.wav --text "Summarise what you heard."'))
def ask(
    audio: Annotated[Path, typer.Argument(metavar="AUDIO.wav", help=AUDIO_FILE)],
    text: Annotated[str | None, typer.Option(help="What to say in writing after the audio.")] = None,
    model: ModelOption = None,
) -> None:
    """Speak to the model, and print only its answer."""
    quiet()
    from flows.ask import answer

    print(answer(audio, text, model))


@app.command(epilog=_epilog("inserter hear question.wav", "inserter hear *.wav --asr", "inserter hear talk.wav --json"))
def hear(
    audio: Annotated[list[Path], typer.Argument(metavar="FILE...", help=AUDIO_FILE)],
    asr: Annotated[bool, typer.Option("--asr", help="Beside it what the recogniser of params.yaml writes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line, with times and positions.")] = False,
    *,
    model: ModelOption = None,
) -> None:
    """Print what the model hears as text, one line per file."""
    quiet()
    import json

    from flows.hear import hear as listen

    failed = False
    for row in listen(audio, model, asr):
        failed |= "error" in row
        if as_json:
            print(json.dumps(row, ensure_ascii=False), flush=True)
        elif "error" in row:
            print(f"inserter: {row['error']}", file=sys.stderr)
        else:
            texts = [row["heard"], *([row["asr"]] if asr else [])]
            print("\t".join([row["file"], *(" ".join(text.split()) for text in texts)]), flush=True)
    raise typer.Exit(failed)


@app.command(epilog=_epilog("inserter clip sotu-00012-003 > clip.flac", "inserter clip sotu-00012-003 --original --out voice.flac"))
def clip(
    utterance: Annotated[str, typer.Argument(metavar="ID", help="utt_id of any table, or item_id of the benchmark.")],
    original: Annotated[bool, typer.Option(help="As the voice said it, before noise, room and level.")] = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE.flac", help="Default: standard output.")] = None,
) -> None:
    """Write the sound of one utterance, clean or quarantined, as FLAC."""
    from flows.clip import clip as find
    from inserter.files import atomic

    if out is None and sys.stdout.isatty():
        raise InserterError("FLAC is not for a terminal", f"Use `inserter clip {utterance} > clip.flac`, or --out clip.flac")
    data = find(utterance, original)
    if out is None:
        sys.stdout.buffer.write(data)
    else:
        atomic(out, lambda path: path.write_bytes(data))


@app.command(epilog=_epilog("inserter promote", "inserter promote --version 3"))
def promote(
    version: Annotated[int | None, typer.Option(help="Which version. Default: the one with alias challenger.")] = None,
) -> None:
    """Make a version champion if it is measurably better, and say why or why not."""
    from flows.record import decide
    from flows.run import quiet_prefect

    quiet_prefect()

    print(decision_line(decide(version)))


@app.command("compare", epilog=_epilog("inserter compare 1 2", "inserter compare data/evaluate @champion --json"))
def compare_models(
    a: Annotated[str, typer.Argument(metavar="A", help="A folder or file of results, a version (3, @champion), or a run id.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The same.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Compare two models over the documents and prompts that both were measured on.

    Differences are paired, with 95 % intervals.
    """
    quiet()
    import json

    from flows.compare import compare, table

    found = compare(a, b)
    print(json.dumps(found, ensure_ascii=False, indent=1) if as_json else table(found))


@app.command(epilog=_epilog("inserter assets"))
def assets() -> None:
    """Prepare the models and texts of params.yaml, and show where they are.

    Each asset is found, verified and converted once.
    """
    quiet()
    from rich.console import Console
    from rich.table import Table

    from inserter import assets as store
    from inserter.params import load

    store.prepare_all(load().assets)
    table = Table("asset", "ready", "MB", "licence", "where", box=None)
    for row in store.status():
        size = f"{row['bytes'] / 1e6:.0f}" if row["bytes"] else ""
        table.add_row(row["name"], "yes" if row["ready"] else "no", size, row["licence"], row["where"])
    Console(width=None if sys.stdout.isatty() else 160).print(table)


@app.command(epilog=_epilog("inserter plan", "inserter plan --overlay docs/paper.yaml --processes 64"))
def plan(
    overlay: Annotated[Path | None, typer.Option(help="Parameters laid over params.yaml.")] = None,
    processes: Annotated[int, typer.Option(help="How many share the weights (FSDP2).", min=1)] = 1,
) -> None:
    """Estimate what pre-training takes, without loading a weight.

    The figures are parameters, positions, memory and FLOP.
    """
    quiet()
    from flows.plan import plan as estimate
    from flows.plan import show
    from inserter.params import load

    show(estimate(load(overlay=overlay), processes))


@app.command(epilog=_epilog("inserter ablate main", "inserter ablate main --arm asr --seed 2", "inserter ablate --list"))
def ablate(
    groups: Annotated[list[str] | None, typer.Argument(metavar="[GROUP]...", help="Groups of arms. Default: all.")] = None,
    arm: Annotated[str | None, typer.Option(help="Only this arm.")] = None,
    seed: Annotated[int | None, typer.Option(help="Only this seed.")] = None,
    *,
    arms: Annotated[Path | None, typer.Option(help="Arms of your own. Default: flows/ablate/arms.yaml.")] = None,
    show: Annotated[bool, typer.Option("--list", help="Show the experiments and what each one sets.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Check every parameter, and show what would run.")] = False,
    tables: Annotated[bool, typer.Option(help="Only make the tables of docs/RESULTS.md anew.")] = False,
) -> None:
    """Run the experiments of arms.yaml that have no result yet.

    Results go to MLflow, docs/results.json and docs/RESULTS.md.
    """
    quiet()
    from flows.ablate import run
    from flows.ablate.arms import ARMS

    chosen, source = (groups or [], arm, seed), arms or ARMS
    if tables:
        run.renew_tables(source)
    elif show:
        run.show_groups(*chosen, source=source)
    elif dry_run:
        run.show_new(*chosen, source=source)
    else:
        raise typer.Exit(run.ablate(*chosen, source=source))


@app.command(epilog=_epilog("inserter experiment", "inserter experiment --overlay mine.yaml --name mine"))
def experiment(
    overlay: Annotated[Path, typer.Option(help="Parameters laid over params.yaml.")] = Path("docs/experiment.yaml"),
    name: Annotated[str, typer.Option(help="What its result is called.")] = "two-hours",
    seed: Annotated[int, typer.Option(help="Of pre-training and fine-tuning.")] = 1,
) -> None:
    """Run the whole pipeline with other parameters, in a working copy of its own.

    The result stands beside those of `ablate`.
    """
    quiet()
    from flows.ablate import run

    raise typer.Exit(run.experiment(overlay, name, seed))


def decision_line(decision: dict[str, Any]) -> str:
    return f"{decision.get('model', 'model')} version {decision['version']}: {decision['decision']}: {decision['reason']}"


if __name__ == "__main__":
    main()
