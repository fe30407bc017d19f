"""Parse lists and objects that a table holds as text.

The text is JSON, Python's notation, or numpy's, which has no commas.
"""

import ast
import io
import json
import tokenize
from collections.abc import Mapping

LONGEST = 1_000_000  # characters in Python's notation, whose parser takes memory for each


def structure(value: object) -> object:
    """Return the list or object that the text `value` holds, else `value` itself.

    Parquet, CSV and JSON Lines files hold nested columns as JSON text, or as Python wrote them
    ("['a', 'b']").
    """
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{", "("):
        return value
    for parse in (json.loads, _python):
        try:
            found = parse(value)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError, tokenize.TokenError):
            continue
        if isinstance(found, list | dict | tuple):
            return list(found) if isinstance(found, tuple) else found
    return value


def instructions(record: Mapping[str, object]) -> tuple[object, object]:
    """Return `instruction_id_list` and `kwargs` of a record as lists, also if they are text.

    Their parts may be text too. A table may also keep one list per argument, {"num_words": [3,
    None]}, as `datasets` makes of a sequence of objects.
    """
    ids, kwargs = structure(record.get("instruction_id_list")), structure(record.get("kwargs"))
    if isinstance(kwargs, dict) and kwargs and isinstance(ids, list):
        columns = list(kwargs.values())
        if all(isinstance(one, list) and len(one) == len(ids) for one in columns):
            kwargs = [dict(zip(kwargs, row, strict=True)) for row in zip(*columns, strict=True)]
    return ids, [structure(given) for given in kwargs] if isinstance(kwargs, list) else kwargs


def _python(text: str) -> object:
    if len(text) > LONGEST:
        raise ValueError("too long")
    return ast.literal_eval(_with_commas(text.strip()))


def _with_commas(text: str) -> str:
    """Put a comma between elements that only a blank separates, as numpy writes arrays.

    Without the comma, Python would join two such strings into one.
    """
    pieces: list[str] = []
    last = ""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT):
            continue
        starts = token.type in (tokenize.STRING, tokenize.NUMBER, tokenize.NAME) or token.string in ("[", "{")
        if starts and last and (last in "]}" or last[-1] in "'\"" or last[0].isalnum()):
            pieces.append(",")
        pieces.append(token.string)
        last = token.string
    return " ".join(pieces)
