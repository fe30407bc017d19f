"""The pipeline's commands of `inserter`.

Heavy imports stand inside the commands, so that --help is quick.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import click

from inserter.cli import main, new_app
from inserter.errors import InserterError
from inserter.run.quiet import quiet

app = new_app()


Command = TypeVar("Command", bound=Callable[..., object])
FILE = click.Path(path_type=Path)
MODEL = click.option("--model", metavar="DIR|models:/NAME@ALIAS", help="Default: the registered champion, else data/sft/model.")


def _epilog(*examples: str) -> str:
    return "Examples: " + " · ".join(f"`{example}`" for example in examples)


def _flag(name: str, about: str, *parameter: str) -> Callable[[Command], Command]:
    return click.option(name, *parameter, is_flag=True, help=about)


@app.command(epilog=_epilog("inserter run", "inserter run pretrain", "inserter run synthesize --force"))
@click.argument("stages", nargs=-1)
@_flag("--force", "Run the named stages even if unchanged; all stages if none is named.")
def run(stages: tuple[str, ...], force: bool) -> None:
    """Run what has changed, as a Prefect flow over DVC's graph, and print the summary.

    STAGES are the stages to run, with the stages that they need. Default: all.
    """
    from flows.run import run as run_pipeline

    raise SystemExit(run_pipeline(list(stages) or None, force))


@app.command(epilog=_epilog("inserter status"))
def status() -> None:
    """Show each stage's state, time and memory, the gates, and the model aliases.

    A stage is up to date, changed (and why), was never run, or is running. A running training has
    its step, loss, positions a second and the time left. Time and memory are those of a stage's
    last run.
    """
    from flows.status import status as show

    show()


@app.command(epilog=_epilog("inserter ask question.wav", 'inserter ask talk.wav --text "Summarise what you heard."'))
@click.argument("audio", type=FILE, metavar="AUDIO.wav")
@click.option("--text", help="Written text to append after the audio.")
@MODEL
def ask(audio: Path, text: str | None, model: str | None) -> None:
    """Put a spoken question to the model, and print only the answer.

    AUDIO.wav is a sound file: wav, flac, ogg or mp3, any sample rate.
    """
    quiet()
    from flows.ask import answer

    print(answer(audio, text, model))


@app.command(epilog=_epilog("inserter hear question.wav", "inserter hear *.wav --asr", "inserter hear talk.wav --json"))
@click.argument("audio", type=FILE, nargs=-1, required=True, metavar="FILE...")
@_flag("--asr", "Also print the transcript of the recogniser, assets.asr.")
@_flag("--json", "Print one JSON object per line, with times and positions.", "as_json")
@MODEL
def hear(audio: tuple[Path, ...], *, asr: bool, as_json: bool, model: str | None) -> None:
    """Print what the model hears as text, one line per file.

    A FILE is a sound file: wav, flac, ogg or mp3, any sample rate.
    """
    quiet()
    import json

    from flows.hear import hear as listen

    failed = False
    for row in listen(list(audio), model, asr):
        failed |= "error" in row
        if as_json:
            print(json.dumps(row, ensure_ascii=False), flush=True)
        elif "error" in row:
            print(f"inserter: {row['error']}", file=sys.stderr)
        else:
            texts = [row["heard"], *([row["asr"] or ""] if asr else [])]
            print("\t".join([row["file"], *(" ".join(text.split()) for text in texts)]), flush=True)
    raise SystemExit(failed)


@app.command(epilog=_epilog("inserter serve", "inserter serve --model data/sft/model --port 8080 --key-file key.txt"))
@MODEL
@click.option("--host", default="127.0.0.1", help="Address to listen at.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, help="Port to listen at. 0: a free one.")
@click.option("--key-file", type=FILE, help="File with the key that clients must give. Default: INSERTER_SERVE_KEY, if it is set.")
@click.option("--batch", type=click.IntRange(1), default=32, help="Number of requests that are answered together.")
@click.option("--requests", type=click.IntRange(1), default=128, help="Number of requests in the server; one more gets HTTP 429.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=120.0, help="Seconds per request.")
@click.option("--audio", type=click.FloatRange(min=0, min_open=True), default=600.0, help="Seconds of audio per request.")
@click.option("--body", type=click.FloatRange(min=0, min_open=True), default=32.0, help="Size of a request in MiB.")
@click.option("--follow", type=click.FloatRange(min=0, min_open=True), default=30.0, help="Seconds between looks at the alias.")
def serve(
    model: str | None,
    host: str,
    port: int,
    *,
    key_file: Path | None,
    batch: int,
    requests: int,
    timeout: float,
    audio: float,
    body: float,
    follow: float,
) -> None:
    """Serve the model over OpenAI's chat and transcription API, with a page to talk to it.

    Requests that wait together are answered together. The server follows an alias that is moved.
    """
    quiet()
    from flows.serve.limits import Limits
    from flows.serve.server import serve as run_server
    from inserter.params import load

    limits = Limits(
        batch=batch,
        requests=requests,
        seconds=timeout,
        body_bytes=int(body * 2**20),
        audio_seconds=audio,
        tokens=load().evaluate.max_new_tokens,
    )
    run_server(model, host, port, key_file=key_file, limits=limits, follow_seconds=follow)


@app.command(epilog=_epilog("inserter clip sotu-00012-003 > clip.flac", "inserter clip sotu-00012-003 --original --out voice.flac"))
@click.argument("utterance", metavar="ID")
@_flag("--original", "Write the clip as the voice said it, before noise, room and level.")
@click.option("--out", type=FILE, metavar="FILE.flac", help="File to write. Default: standard output.")
def clip(utterance: str, original: bool, out: Path | None) -> None:
    """Write the sound of one utterance, clean or quarantined, as FLAC.

    ID is the utt_id of any table, or the item_id of the benchmark.
    """
    from flows.clip import clip as find
    from inserter.files import atomic

    if out is None and sys.stdout.isatty():
        raise InserterError(
            "standard output is a terminal, which cannot show FLAC",
            f"Use `inserter clip {utterance} > clip.flac`, or --out clip.flac",
        )
    data = find(utterance, original)
    if out is None:
        sys.stdout.buffer.write(data)
    else:
        atomic(out, lambda path: path.write_bytes(data))


@app.command(epilog=_epilog("inserter export out", "inserter export out --model models:/inserter@challenger --push org/name"))
@click.argument("folder", type=FILE, metavar="DIR")
@MODEL
@click.option("--push", metavar="ORG/NAME", help="Also send the folder to this place on the hub, with the token in HF_TOKEN.")
@click.option("--license", "licence", metavar="ID", help="The model's licence, as hubs name it. Default: the LM's, if known.")
def export(folder: Path, *, model: str | None, push: str | None, licence: str | None) -> None:
    """Write a model as a folder that transformers loads without this project.

    DIR is a new folder. It gets weights, settings, processor, chat template, code and a model card.
    """
    quiet()
    from flows.export import export as write

    files = write(folder, model, repository=push, licence=licence)
    print(f"{folder}: {len(files)} files" + (f", sent to {push}" if push else ""))


@app.command(epilog=_epilog("inserter evaluate", "inserter evaluate --version 3"))
@click.option("--version", type=int, help="Version to measure. Default: the champion.")
@_flag("--champion", "Measure the champion, as without --version.")
def evaluate(version: int | None, champion: bool) -> None:
    """Measure a registered version on today's items, and keep the scores beside it.

    Today's items are in data/benchmark. `inserter promote` then compares on the same items.
    """
    quiet()
    from flows.evaluated import evaluate as measure
    from flows.evaluated import line

    if champion and version is not None:
        raise InserterError("--champion and --version name two versions", "Give one of them")
    print(line(measure(version)))


@app.command(epilog=_epilog("inserter promote", "inserter promote --version 3", 'inserter promote --force --because "TEXT"'))
@click.option("--version", type=int, help="Version to decide on. Default: the one with alias challenger.")
@_flag("--force", "Make the version champion whatever the rules say. Needs --because.")
@click.option("--because", metavar="TEXT", help="The reason of --force, which is kept on record.")
def promote(version: int | None, force: bool, because: str | None) -> None:
    """Make a version champion if it is measurably better, and say why or why not."""
    if force and because is None:
        raise InserterError("--force needs a reason", 'Give one: --because "TEXT"')
    if because is not None and not force:
        raise InserterError("--because is the reason of --force", "Give both, or neither")
    from flows.record import decide
    from flows.run import quiet_prefect

    quiet_prefect()

    print(decision_line(decide(version, because)))


@app.command(epilog=_epilog("inserter rollback", 'inserter rollback --because "it answers in the wrong language"'))
@click.option("--because", metavar="TEXT", help="The reason, which is kept on record.")
def rollback(because: str | None) -> None:
    """Make the champion before champion again, and say which."""
    from flows.record import undo
    from flows.run import quiet_prefect

    quiet_prefect()

    for decision in undo(because):
        print(decision_line(decision))


@app.command(epilog=_epilog("inserter versions", "inserter versions --json"))
@_flag("--json", "Print a list of objects as JSON.", "as_json")
def versions(as_json: bool) -> None:
    """List the registered versions, newest first: scores, gates, decision, commit and data."""
    quiet()
    import json

    from flows.versions import listed, table

    rows = listed()
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=1))
    elif rows:
        print(table(rows))
    else:
        print("no version is registered yet: register one with `inserter run`", file=sys.stderr)


@app.command(epilog=_epilog("inserter dataset spoken-instructions"))
@click.argument("out", type=FILE, metavar="DIR")
@click.option("--items", type=FILE, default="data/benchmark", help="Folder that the stage `benchmark` wrote.")
def dataset(out: Path, items: Path) -> None:
    """Write the benchmark's items as a data set that `datasets` loads, with its card.

    DIR is the new folder. Its table has the sound and all fields.
    """
    quiet()
    from inserter.answering.dataset import write
    from inserter.params import load

    settings = load().benchmark
    voices = [*filter(None, (settings.voices.en, settings.voices.cn)), *settings.variants.accents]
    found = write(items, out, {voice.name: voice.license for voice in voices})
    print(f"{out}: {found['items']} items, {found['audio']} with sound. Load it with datasets.load_dataset({str(out)!r})")


@app.command(
    "compare",
    epilog=_epilog("inserter compare 1 2", "inserter compare data/evaluate @champion --json", "inserter compare a.jsonl b.jsonl"),
)
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@_flag("--json", "Print the table as JSON.", "as_json")
def compare_models(a: str, b: str, as_json: bool) -> None:
    """Compare two models over the documents and prompts that both were measured on.

    A and B are each a file of answers, a folder or file of results, a version (3, @champion), or a
    run id. Differences are paired, with 95 % intervals.
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


@app.command(epilog=_epilog("inserter plan", "inserter plan --overlay docs/paper.yaml --processes 64 --tflops 989"))
@click.option("--overlay", type=FILE, help="YAML file whose values override params.yaml.")
@click.option("--processes", type=click.IntRange(1), default=1, help="Number of processes that share the weights (FSDP2).")
@click.option("--tflops", type=click.FloatRange(min=0, min_open=True), help="Peak of one card in TFLOPS. Prints the hours.")
@click.option("--utilisation", type=click.FloatRange(0, 1, min_open=True), default=0.4, help="Share of that peak.")
def plan(overlay: Path | None, processes: int, *, tflops: float | None, utilisation: float) -> None:
    """Estimate what pre-training takes, without loading a weight.

    The figures are parameters, positions, memory and FLOP, and hours on cards of a given speed.
    """
    quiet()
    from flows.plan import plan as estimate
    from flows.plan import show
    from inserter.params import load

    show(estimate(load(overlay=overlay), processes), tflops, utilisation)


@app.command(epilog=_epilog("inserter ablate main", "inserter ablate main --arm asr --seed 2", "inserter ablate --list"))
@click.argument("groups", nargs=-1, metavar="[GROUP]...")
@click.option("--arm", help="Run only this arm.")
@click.option("--seed", type=int, help="Run only this seed.")
@click.option("--arms", type=FILE, help="File of arms. Default: flows/ablate/arms.yaml.")
@_flag("--list", "List the experiments with their parameters; run none.", "show")
@_flag("--dry-run", "Check every parameter and list what would run; run nothing.")
@_flag("--tables", "Only rebuild the tables of docs/RESULTS.md; run nothing.")
def ablate(
    groups: tuple[str, ...], *, arm: str | None, seed: int | None, arms: Path | None, show: bool, dry_run: bool, tables: bool
) -> None:
    """Run the experiments of arms.yaml that have no result yet.

    GROUP is a group of arms. Default: all. Results go to MLflow, docs/results.json and
    docs/RESULTS.md.
    """
    quiet()
    from flows.ablate import run
    from flows.ablate.arms import ARMS

    chosen, source = (list(groups), arm, seed), arms or ARMS
    if tables:
        run.renew_tables(source)
    elif show:
        run.show_groups(*chosen, source=source)
    elif dry_run:
        run.show_new(*chosen, source=source)
    else:
        raise SystemExit(run.ablate(*chosen, source=source))


@app.command(epilog=_epilog("inserter experiment", "inserter experiment --overlay mine.yaml --name mine"))
@click.option("--overlay", type=FILE, default="docs/experiment.yaml", help="YAML file whose values override params.yaml.")
@click.option("--name", default="two-hours", help="Name of the result.")
@click.option("--seed", type=int, default=1, help="Seed of pre-training and fine-tuning.")
def experiment(overlay: Path, name: str, seed: int) -> None:
    """Run the whole pipeline with other parameters, in a working copy of its own.

    The result stands beside those of `ablate`.
    """
    quiet()
    from flows.ablate import run

    raise SystemExit(run.experiment(overlay, name, seed))


def decision_line(decision: Mapping[str, object]) -> str:
    return f"{decision.get('model', 'model')} version {decision['version']}: {decision['decision']}: {decision['reason']}"


if __name__ == "__main__":
    main()
