"""The command line `inserter`.

What is in ALONE needs no checkout. Every other command belongs to the pipeline, which runs
from its checkout.
"""

import os
import sys
from importlib import import_module
from pathlib import Path

import click

from inserter.cli.answer import answer_command
from inserter.cli.judge import judge_app
from inserter.cli.page import page_command
from inserter.cli.score import score_app
from inserter.errors import InserterError, refused

HELP = "Teach a text LLM to follow spoken instructions: run the pipeline, look at it, score, ask."
OURS = ("inserter", "flows", "stages", "models")
PIPELINE, ANSWER = "`pip install 'inserter[pipeline]'`", "`pip install 'inserter[answer]'`"
ALONE: dict[str, click.Command] = {"score": score_app, "judge": judge_app, "answer": answer_command, "page": page_command}


def new_app() -> click.Group:
    """Return an app with the commands that need no checkout."""
    settings = {"show_default": True, "max_content_width": 100}
    return click.Group("inserter", {**ALONE}, help=HELP, no_args_is_help=True, context_settings=settings)


def checkout() -> Path | None:
    """Return the nearest folder that holds the pipeline: the current folder or one above it."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "flows" / "cli.py").is_file()), None)


def start() -> None:
    """Run a command with the code of the checkout that the current folder is in, and no other's."""
    folder = checkout()
    package = folder / "inserter" if folder else None
    if package is None or not package.is_dir() or package.samefile(Path(__file__).parents[1]):
        return main()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))}
    os.execve(sys.executable, [sys.executable, "-m", "inserter", *sys.argv[1:]], environment)


def _app(command: str) -> click.Group:
    folder = checkout()
    if folder is not None:
        sys.path.insert(0, str(folder))
    try:
        app: click.Group = import_module("flows.cli").app
    except ModuleNotFoundError as error:
        if error.name not in ("flows", "flows.cli"):
            raise
        if command in ALONE or command.startswith("-") or not command:
            return new_app()
        remedy = f"Change to the folder of its checkout, where `make run` or {PIPELINE} installs what it needs"
        raise InserterError(f"`inserter {command}` is a command of the pipeline", remedy) from error
    return app


def main() -> None:
    """Run a command. An InserterError becomes one line on standard error and exit code 1."""
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        _app(command)()
    except InserterError as error:
        print(f"inserter: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:  # the reader of the output has ended: `inserter status | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", *OURS):
            raise
        install = ANSWER if command in ALONE else PIPELINE
        print(f"inserter: `inserter {command}` needs the package {package}. Install it with {install}", file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        if (line := refused(error)) is None:
            raise
        print(f"inserter: {line}", file=sys.stderr)
        sys.exit(1)
