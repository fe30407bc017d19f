"""The command `inserter page`: systems side by side on one page."""

from pathlib import Path

import click

from inserter.run.quiet import quiet

FILE = click.Path(path_type=Path)


@click.command("page", epilog="Example: `inserter page answers/a answers/b --out benchmark.html`")
@click.argument("files", type=FILE, nargs=-1, required=True, metavar="FILE|DIR...")
@click.option("--out", type=FILE, default="benchmark.html", help="The page; its sound goes into a folder of that name.")
@click.option("--items", type=FILE, default="data/benchmark", help="Folder that the stage `benchmark` wrote; it has the sound.")
def page_command(files: tuple[Path, ...], out: Path, items: Path) -> None:
    """Show the scores and answers of any number of systems on one page.

    FILE has answers of a system: `inserter answer` or `inserter judge` wrote it. DIR has such
    files.
    """
    quiet()
    from inserter.page.systems import build

    found = build(files, out, items)
    print(f"{out}: {found['systems']} systems, {found['items']} items, {found['answers']} answers, {found['audio']} with sound")
