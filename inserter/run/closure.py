"""Compute from source code what a module imports inside the project; no list is kept by hand.

The keys of unfinished work and of recorded experiments depend on the imported code. A test compares
that code with the `deps` of dvc.yaml.
"""

import ast
from collections.abc import Collection, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DATA = (".yaml", ".json", ".css", ".js", ".j2", ".txt")  # files that code reads from beside it

# Code that a stage imports but that decides no byte of its results: file or folder -> reason.
DECIDES_NOTHING = {
    "inserter/assets": "models are converted once, and identified by SHA-256 and conversion revision",
    "inserter/cli": "the command line",
    "inserter/errors.py": "error messages",
    "inserter/evaluation.py": "types alone",
    "inserter/files.py": "reads and writes the content that callers give",
    "inserter/params": "the values that a stage reads are its `params`",
    "inserter/paths.py": "paths of files",
    "inserter/registry": "connects to MLflow, and sends what training measures",
    "inserter/reports.py": "types alone",
    "inserter/run": "how a stage runs: processes, locks, unfinished work",
    "inserter/tables.py": "a new column is new code in the stage that writes it",
    "inserter/training/live.py": "reports what training measures",
    "models/precision.py": "which precision is faster; where it counts, it is in the key of unfinished work",
    "inserter/yaml_files.py": "reads and writes the content that callers give",
}


def deciding(*modules: str, root: Path = ROOT, without: Collection[str] = ()) -> list[Path]:
    """Return the `closure` of `modules` without the code in DECIDES_NOTHING and `without`.

    without: files or folders below `root` that do not decide what the caller keeps.
    """
    unwanted = [*DECIDES_NOTHING, *without]
    return [path for path in closure(*modules, root=root) if not any(_below(path, root / place) for place in unwanted)]


def closure(*modules: str, root: Path = ROOT) -> list[Path]:
    """Return the files of `modules` and of all that they import below `root`, directly or not.

    The files are Python modules and the data files beside them. A package stands for all its
    modules. Imports inside functions and imports for types count.

    A package around an imported module counts only if a module takes a name from the package.

    Raises ValueError for a module that does not exist.
    """
    todo = [module for named in modules for module in _within(named, root)]
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += _imports(name, root)
    return sorted({file for name in seen for file in _files(name, root)})


def _below(path: Path, place: Path) -> bool:
    return path == place or place in path.parents


def _within(name: str, root: Path) -> Iterator[str]:
    """Yield the module `name`, or all modules of the package `name`."""
    source = _source(name, root)
    if source is None:
        raise ValueError(f"no module {name!r} in {root}")
    if source.name != "__init__.py":
        yield name
        return
    for file in source.parent.rglob("*.py"):
        parts = file.relative_to(root).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _source(name: str, root: Path) -> Path | None:
    path = root.joinpath(*name.split("."))
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)


def _imports(name: str, root: Path) -> Iterator[str]:
    """Yield the project's modules that the module `name` imports or takes a name from."""
    source = _source(name, root)
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))) if source else ():
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _source(alias.name, root))
        elif isinstance(node, ast.ImportFrom) and node.module and _source(node.module, root):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (inner if _source(inner, root) else node.module for inner in names)


def _files(name: str, root: Path) -> Iterator[Path]:
    source = _source(name, root)
    if source is None:
        return
    yield source
    folder = source.parent
    beside = [folder, *(inner for inner in folder.iterdir() if inner.is_dir() and not (inner / "__init__.py").is_file())]
    yield from (file for place in beside for file in place.iterdir() if file.suffix in DATA)
