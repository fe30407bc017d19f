"""The yes/no questions of an open-ended record, in whichever of the data set's forms they come."""

import ast
import re
from typing import Any

MARK = re.compile(r"(?:^|(?<=\s))[(（]?(?:Q(?:uestion)?\s*)?(\d{1,2})[.):：、．）](?!\d)\s*", re.MULTILINE | re.IGNORECASE)
BULLET = re.compile(r"^\s*[-*•]\s+")
BETWEEN = re.compile(r"(?<=\?)\s+(?=[A-Z])|(?<=？)\s*(?=[^\s”」』》）\"'])")  # two questions on one line


def questions_of(record: dict[str, Any]) -> list[str]:
    """The questions without numbers and bullets, blank ones left out; [] where there are none.

    `decomposed_questions` (else `questions`) is a list, or a string: a list in JSON or Python, numbered questions, one
    a line, or several on one line.
    """
    value = record.get("decomposed_questions") or record.get("questions")
    if isinstance(value, str):
        value = _as_list(value) or _split(value)
    if not isinstance(value, list):
        return []
    return [_bare(str(question)) for question in value if question is not None and str(question).strip()]


def _as_list(text: str) -> list | None:
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def _split(text: str) -> list[str]:
    marks = list(MARK.finditer(text))
    at_line_starts = [mark for mark in marks if not text[: mark.start()].rpartition("\n")[2].strip()]
    for starts in (_in_sequence(at_line_starts), _in_sequence(marks)):
        if len(starts) > 1:
            ends = [mark.start() for mark in starts[1:]] + [len(text)]
            return [text[mark.end() : end] for mark, end in zip(starts, ends, strict=True)]
    lines = [line for line in text.splitlines() if line.strip()]
    return BETWEEN.split(lines[0]) if len(lines) == 1 else lines


def _in_sequence(marks: list[re.Match[str]]) -> list[re.Match[str]]:
    """The marks 1, 2, 3 …: other numbers belong to a question."""
    found: list[re.Match[str]] = []
    for mark in marks:
        if int(mark.group(1)) == len(found) + 1:
            found.append(mark)
    return found


def _bare(question: str) -> str:
    text = " ".join(question.split())
    mark = MARK.match(text)
    return (text[mark.end() :] if mark else BULLET.sub("", text)) or text
