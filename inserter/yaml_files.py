"""Read and write YAML as DVC does, with ruamel.yaml (YAML 1.2).

A stage therefore sees the values that `dvc.lock` records.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from inserter.errors import InserterError

NO_FOLD = 10**6  # columns; ruamel loses one of two blanks if it folds the line between them
REMEDIES = {  # part of ruamel's message -> remedy
    "mapping values are not allowed": 'Put a value with ": " in it in quotes',
    "cannot start any token": "Indent with spaces, and put a value that begins with a sign in quotes",
    "single document": "Remove the second `---`: the file may hold one document",
    "integer string conversion": "Write a smaller number",
    "unacceptable character": "Remove the control character",
}


def read_yaml(path: Path | str, missing: str = "Run from the folder of dvc.yaml") -> Any:
    """Return the content of the YAML file `path`, or None if the file is empty.

    missing: the remedy that the error names if there is no file.
    Raises InserterError that names the line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InserterError(f"{path} is missing", missing) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InserterError(f"{path}, line {line}: byte {error.start} is not UTF-8", "Save the file as UTF-8") from error
    except OSError as error:
        raise InserterError(f"{path} cannot be read ({error.strerror})", "Give a readable file") from error
    return parse_yaml(text, path)


def parse_yaml(text: str, source: Path | str) -> object:
    """Return the one document in `text`.

    Raises InserterError that names `source`, the line and the remedy.
    """
    try:
        return _safe().load(text)
    except DuplicateKeyError as error:
        raise InserterError(f"{source}, {_given_twice(text, error)}", "Keep one of the values") from error
    except (YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        where = f"{source}, line {mark.line + 1}" if mark else f"{source}"
        problem = getattr(error, "problem", None) or getattr(error, "context", None) or str(error).splitlines()[0]
        remedy = next((remedy for said, remedy in REMEDIES.items() if said in str(error)), "Correct this line")
        raise InserterError(f"{where}: this cannot be read as YAML ({problem})", remedy) from error


def dump_yaml(value: object) -> str:
    """Return `value` as YAML that DVC and `parse_yaml` read back unchanged."""
    return _written(value, width=NO_FOLD)


def not_kept(text: str) -> str | None:
    """Return what `dvc exp run -S` would change in valid `text`, or None if nothing.

    The result names the problem and the remedy, and the line where possible.
    DVC reads the file, sets the value and rewrites the whole file.
    DVC drops quotes that ruamel does not need, and writes lists with one line per item.
    """
    for event in _safe().parse(text):
        if isinstance(event, AliasEvent):
            line = event.start_mark.line + 1
            return f"line {line}: the alias *{event.anchor} undoes values set at its anchor. Write the values out"
    for node, braces in _strings(_safe().compose(text)):
        line = f"line {node.start_mark.line + 1}"
        if "${" in node.value or node.value == "???":
            return f"{line}: DVC reads {node.value!r} as a reference. Choose another name"
        if not _can_be_read_again(node.value, braces):
            remedy = "Write each key of its {...} on a line of its own" if braces else "Choose another name"
            return f"{line}: DVC would write {node.value!r} in a form that is not readable. {remedy}"
    if _safe().load(_rewritten(text)) == _safe().load(text):
        return None
    return "DVC would change values of the file. Start no line with %, and put no two spaces in a row in a long value"


def _safe() -> YAML:
    return YAML(typ="safe")


def _rewritten(text: str) -> str:
    def without_style(value: Any, listed: bool = False) -> object:
        if isinstance(value, list):
            return [without_style(item, listed=True) for item in value]
        if isinstance(value, dict) and listed:
            return {key: without_style(item, listed) for key, item in value.items()}
        for key in value if isinstance(value, dict) else ():
            value[key] = without_style(value[key])
        return value

    return _written(without_style(YAML().load(text)))


def _written(value: object, width: int | None = None, braces: bool = False) -> str:
    yaml, text = YAML(), io.StringIO()
    yaml.default_flow_style = braces
    if width is not None:
        yaml.width = width
    yaml.dump(value, text)
    return text.getvalue()


def _can_be_read_again(value: str, braces: bool) -> bool:
    try:
        return _safe().load(_written({"key": value}, braces=braces)) == {"key": value}
    except YAMLError:
        return False


def _given_twice(text: str, error: DuplicateKeyError) -> str:
    """Return the key of `error` and the lines on which its mapping has that key."""
    at = (error.problem_mark.line, error.problem_mark.column)
    keys = next(keys for keys in _keys(_safe().compose(text)) if at in map(_place, keys))
    name = next(key.value for key in keys if _place(key) == at)
    lines = [key.start_mark.line + 1 for key in keys if key.value == name]
    return f"lines {' and '.join(map(str, lines))}: the key {name} is given twice"


def _place(node: Node) -> tuple[int, int]:
    return node.start_mark.line, node.start_mark.column


def _keys(node: Node) -> Iterator[list[Node]]:
    """Yield the keys of every mapping in `node`."""
    if isinstance(node, MappingNode):
        yield [key for key, _ in node.value]
    for part in node.value if not isinstance(node, ScalarNode) else ():
        yield from _keys(part[1] if isinstance(part, tuple) else part)


def _strings(node: Node | None, braces: bool = False, listed: bool = False) -> Iterator[tuple[ScalarNode, bool]]:
    """Yield every value that is text, and whether DVC writes the value inside {...}."""
    if isinstance(node, MappingNode):
        for _, value in node.value:
            yield from _strings(value, braces or (node.flow_style and not listed), listed)
    elif isinstance(node, SequenceNode):
        for value in node.value:
            yield from _strings(value, braces, True)
    elif isinstance(node, ScalarNode) and node.tag == "tag:yaml.org,2002:str":
        yield node, braces
