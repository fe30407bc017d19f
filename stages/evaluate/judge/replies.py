"""Which replies of a judge can be used, which are kept, and how many are still to be asked."""

import ast
import json
import re
from typing import Any

from stages.evaluate.judge.prompts import FIELDS, Task

FENCE = re.compile(r"^```[\w-]*[ \t]*\n?(.*?)\n?[ \t]*```$", re.DOTALL)
LONGEST = 20_000  # characters: more is no verdict, and Python's parser takes memory for it


def usable(text: str, task: Task, count: int) -> bool:
    """Whether a reply, a code fence around it aside, gives a verdict.

    open: a list of `count` strings, each YES or NO; adjustment: an object with the three fields, each YES or NO.
    Upper and lower case count alike here: what such a reply is worth is the scorer's to say.
    """
    value = _parsed(text)
    if task == "open":
        return isinstance(value, list) and len(value) == count and all(map(_verdict, value))
    return isinstance(value, dict) and all(_verdict(value.get(name)) for name in FIELDS)


def missing(replies: list[str], task: Task, count: int, n: int, reask: int) -> int:
    """How many completions are still to be asked: for those that have not come, and again for those of no use.

    At most n × (1 + reask) are asked in all, whatever comes.
    """
    good = len(replies) if reask == 0 else sum(usable(text, task, count) for text in replies)
    return max(0, min(n - good, n * (1 + reask) - len(replies)))


def chosen(replies: list[str], task: Task, count: int, n: int, reask: int) -> list[str]:
    """The n replies that are kept, in the order they came: usable ones first choice, then whatever there is.

    With reask 0 they are the first n, as a judge without a second chance would have given them.
    """
    if reask == 0:
        return replies[:n]
    by_use = sorted(range(len(replies)), key=lambda i: not usable(replies[i], task, count))  # stable
    return [replies[i] for i in sorted(by_use[:n])]


def _verdict(value: Any) -> bool:
    return isinstance(value, str) and value.strip().upper() in ("YES", "NO")


def _parsed(text: str) -> Any:
    """The list or object that a reply is, or None. JSON or Python."""
    text = text.strip()
    if fenced := FENCE.match(text):
        text = fenced.group(1).strip()
    if len(text) > LONGEST:
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return None
