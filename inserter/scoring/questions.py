"""Read the yes/no questions of an open-ended record, in any of the data set's forms."""

import re
from collections.abc import Mapping

from inserter.scoring.structures import structure

# "1. ", "Q2: ", "（3）", but not 2.5
MARK = re.compile(r"[(（]?(?:Q(?:uestion)?\s*)?(\d{1,2})\s*([.):：、．）])(?!\d)\s*", re.IGNORECASE)
BULLET = re.compile(r"^\s*[-*•]\s*")
# Between two questions on one line.
BETWEEN = re.compile(r"(?<=\?)\s+(?=[A-Z])|(?<=？)\s*(?=[^\s”」』》）\"'])")
# What may stand before a number that opens a question.
ENDS = ("", ".", "?", "!", ":", "。", "？", "！", "：")


def questions_of(record: Mapping[str, object]) -> list[str]:
    """Return the questions of a record: `decomposed_questions`, else `questions`."""
    return split_questions(record.get("decomposed_questions")) or split_questions(record.get("questions"))


def split_questions(value: object) -> list[str]:
    """Return the questions without their numbers and bullets; [] if there are none.

    Blank questions are left out. A list has one question per element. A string is a list in JSON or
    Python, numbered questions, one question per line, or several on one line.
    """
    if isinstance(value, str):
        listed = structure(value)
        value = listed if isinstance(listed, list) else _split(value)
    if not isinstance(value, list) or not all(question is None or isinstance(question, str) for question in value):
        return []
    return [_bare(question) for question in value if question and question.strip()]


def _split(text: str) -> list[str]:
    marks = [mark for mark in MARK.finditer(text) if mark.start() == 0 or not text[mark.start() - 1].isalnum()]
    before = [text[: mark.start()].rstrip(" \t") for mark in marks]
    opens_line = [mark for mark, text in zip(marks, before, strict=True) if text[-1:] in ("", "\n")]
    opens = [mark for mark, text in zip(marks, before, strict=True) if text.rstrip()[-1:] in ENDS]
    after_first = [mark for mark in marks if opens and mark.start() >= opens[0].start()]
    for starts in map(_in_sequence, (opens_line, opens, after_first)):
        if len(starts) > 1:
            ends = [mark.start() for mark in starts[1:]] + [len(text)]
            return [text[mark.end() : end] for mark, end in zip(starts, ends, strict=True)]
    lines = [line for line in text.splitlines() if line.strip()]
    return BETWEEN.split(lines[0]) if len(lines) == 1 else lines


def _in_sequence(marks: list[re.Match[str]]) -> list[re.Match[str]]:
    """Return the marks 1, 2, 3 … that are written alike; other numbers belong to a question."""
    found: list[re.Match[str]] = []
    for mark in marks:
        if int(mark.group(1)) == len(found) + 1 and (not found or mark.group(2) == found[0].group(2)):
            found.append(mark)
    return found


def _bare(question: str) -> str:
    text = " ".join(question.split())
    mark = MARK.match(text)
    return (text[mark.end() :] if mark else BULLET.sub("", text)) or text
