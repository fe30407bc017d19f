"""Write the Python files that a model needs, so that transformers loads them from its folder.

transformers copies files that lie beside each other and import each other as `from .name import`.
The package `models` and its subpackages therefore become flat files.
"""

import re
from pathlib import Path

from inserter.errors import InserterError
from inserter.files import atomic
from inserter.run.closure import ROOT, closure

PACKAGE = "models"
NEEDED = (f"{PACKAGE}.configuration", f"{PACKAGE}.modeling", f"{PACKAGE}.processor")
IMPORT = re.compile(rf"^(\s*)from {PACKAGE}\.([\w.]+) import", re.MULTILINE)
LEFT = re.compile(rf"^\s*(from {PACKAGE}\b|import {PACKAGE}\b|from \. import)", re.MULTILINE)


def auto_map(classes: dict[str, str]) -> dict[str, str]:
    """Return transformers' `auto_map` of {automatic class: full name of our class}."""
    return {auto: _flat(*name.rpartition(".")[::2]) for auto, name in classes.items()}


def write_code(folder: Path) -> list[str]:
    """Write the files into `folder` and return their names.

    Raises InserterError for an import that cannot be flat.
    """
    names = []
    for source in closure(*NEEDED):
        parts = source.relative_to(ROOT / PACKAGE).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = IMPORT.sub(lambda found: f"{found[1]}from .{_file(found[2])} import", source.read_text(encoding="utf-8"))
        if source.suffix != ".py" or not module or LEFT.search(text):
            raise InserterError(f"{source} cannot be exported", f"Import names from modules: `from {PACKAGE}.MODULE import NAME`")
        names.append(f"{_file(module)}.py")
        atomic(folder / names[-1], lambda path, text=text: path.write_text(text, encoding="utf-8"))  # type: ignore[misc]
    return names


def _file(module: str) -> str:
    """Return the flat name of a module below the package."""
    return module.replace(".", "_")


def _flat(module: str, name: str) -> str:
    return f"{_file(module.removeprefix(f'{PACKAGE}.'))}.{name}"
