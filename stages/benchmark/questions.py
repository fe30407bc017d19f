"""`decomposed_questions` of an open-ended record as a list of questions, in whichever of its forms it comes."""

import ast
import json
import re
from typing import Any

NUMBERING = re.compile(r"^\s*(?:[Qq]?\d+\s*[.):：、]|[(（]\d+[)）]|[-*•])\s*")  # "1. ", "Q2: ", "（3）", "- "
# After a question mark: a blank and the start of a sentence, or, in Chinese, the next character
NEXT = re.compile(r"(?<=[?？])(?:\s+(?=[A-Z0-9(\[*•-])|\s*(?=[\u4e00-\u9fff（]|\d+\s*[.)、]))")


def split_questions(value: Any) -> list[str]:
    """The questions without their numbering; [] when there is none that can be read.

    A list is taken as it is. A string is a list in JSON or Python notation, or one question a line, or, on a single
    line, questions one after the other, each up to its question mark.
    """
    if isinstance(value, str):
        value = _listed(value.strip())
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        return []
    return [text for one in value if (text := NUMBERING.sub("", one).strip())]


def _listed(text: str) -> Any:
    if text.startswith("["):
        for parse in (json.loads, ast.literal_eval):
            try:
                return parse(text)
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue
    lines = text.splitlines()
    return lines if len(lines) > 1 else NEXT.split(text)
