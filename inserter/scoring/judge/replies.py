"""Decide which replies of a judge can be used and are kept, and how many are still to be asked.

If there is no verdict, say why.
"""

import ast
import json
import re
from collections import Counter
from types import ModuleType

from inserter.chat.completions import CUT, REFUSED, THOUGHTS, Reply
from inserter.scoring import adjustment, open_ended
from inserter.scoring.judge.prompts import Task
from inserter.scoring.thoughts import said

FENCE = re.compile(r"^```[\w-]*[ \t]*\n?(.*?)\n?[ \t]*```$", re.DOTALL)
LONGEST = 20_000  # characters: a longer text is no verdict, and Python's parser takes memory for it
SCORERS: dict[Task, ModuleType] = {"open": open_ended, "adjustment": adjustment}
NO_VERDICT = "no verdict"
LONGER = "Raise --max-tokens (evaluate.judge_sampling.max_tokens), now {max_tokens}, or use a judge model that thinks less"
OTHER = "Check the judge's replies, or use another judge model"
# why a reply holds no verdict: (in words, what to do)
WHY = {
    CUT: ("the reply was cut off before a verdict", LONGER),
    THOUGHTS: ("the reply has only thoughts", LONGER),
    REFUSED: ("the judge refused", OTHER),
    "empty": ("the reply is empty", LONGER),
    "other": ("the reply is not in the requested form", OTHER),
}


def usable(text: str, task: Task, count: int) -> bool:
    """Return whether a reply is nothing but a verdict, its thoughts and a code fence aside.

    open: a list of `count` strings, each YES or NO. adjustment: an object with the three fields,
    each YES or NO. Case does not matter here: the scorer decides what such a reply is worth.
    """
    value = _parsed(said(text) or "")
    if task == "open":
        return isinstance(value, list) and len(value) == count and all(map(_verdict, value))
    return isinstance(value, dict) and all(_verdict(value.get(name)) for name in adjustment.FIELDS)


def vote(reply: Reply, task: Task, count: int) -> str:
    """Return the text of a reply as `pred_score` gets it.

    A reply that was cut off counts only if it is a whole verdict; otherwise its text is "".
    """
    return reply.text if reply.note != CUT or usable(reply.text, task, count) else ""


def counted(votes: list[str], task: Task, count: int, *, as_they_come: bool = False) -> bool:
    """Return whether the scorer finds a verdict in these replies.

    as_they_come: a verdict that only the scorer's reference mode finds counts too.
    """
    record = {"pred_score": votes, "decomposed_questions": ["?"] * count}
    modes = ("robust", "reference") if as_they_come else ("robust",)
    return any(SCORERS[task].score_record(record, mode)["counted"] for mode in modes)


def why_not(replies: list[Reply]) -> str:
    """Return what most of the replies lack, as a key of WHY."""
    kinds = Counter(_kind(reply) for reply in replies)
    return kinds.most_common(1)[0][0] if kinds else "empty"


def _kind(reply: Reply) -> str:
    text = said(reply.text)
    if reply.note or text is None:
        return reply.note or CUT
    return "other" if text.strip() else THOUGHTS if reply.text.strip() else "empty"


def missing(replies: list[Reply], task: Task, count: int, *, n: int, reask: int) -> int:
    """Return how many completions are still to be asked.

    Completions that have not come are asked, and those of no use are asked again. At most
    n × (1 + reask) are asked in all, whatever comes.
    """
    good = len(replies) if reask == 0 else sum(usable(reply.text, task, count) for reply in replies)
    return max(0, min(n - good, n * (1 + reask) - len(replies)))


def chosen(replies: list[Reply], task: Task, count: int, *, n: int, reask: int) -> list[Reply]:
    """Return the n replies that are kept, in the order in which they came.

    Usable replies are the first choice, then any others. With reask 0 the first n are kept, as a
    judge without a second chance would have given them.
    """
    if reask == 0:
        return replies[:n]
    # The sort is stable.
    by_use = sorted(range(len(replies)), key=lambda i: not usable(replies[i].text, task, count))
    return [replies[i] for i in sorted(by_use[:n])]


def _verdict(value: object) -> bool:
    return isinstance(value, str) and value.strip().upper() in ("YES", "NO")


def _parsed(text: str) -> object:
    """Return the list or object that a reply holds in JSON or Python, or None."""
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
