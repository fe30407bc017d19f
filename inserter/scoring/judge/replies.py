"""Which replies of a judge can be used, which are kept, how many are still to be asked, and why there is no verdict."""

import ast
import json
import re
from collections import Counter
from types import ModuleType
from typing import Any

from inserter.scoring import adjustment
from inserter.scoring import open_ended as open
from inserter.scoring.judge.completions import CUT, REFUSED, THOUGHTS, Reply
from inserter.scoring.judge.prompts import FIELDS, Task
from inserter.scoring.thoughts import said

FENCE = re.compile(r"^```[\w-]*[ \t]*\n?(.*?)\n?[ \t]*```$", re.DOTALL)
LONGEST = 20_000  # characters: more is no verdict, and Python's parser takes memory for it
SCORERS: dict[Task, ModuleType] = {"open": open, "adjustment": adjustment}
NO_VERDICT = "no verdict"
LONGER = "Raise --max-tokens (evaluate.judge_sampling.max_tokens), now {max_tokens}, or take a model that thinks less"
OTHER = "Look at what the judge says, or take another model"
# why a reply holds no verdict: (in words, what to do)
WHY = {
    CUT: ("it was cut off before one", LONGER),
    THOUGHTS: ("only thoughts came", LONGER),
    REFUSED: ("the judge refused", OTHER),
    "empty": ("the reply is empty", LONGER),
    "other": ("the reply does not keep to the form", OTHER),
}


def usable(text: str, task: Task, count: int) -> bool:
    """Whether a reply, its thoughts and a code fence aside, is nothing but a verdict.

    open: a list of `count` strings, each YES or NO; adjustment: an object with the three fields, each YES or NO.
    Upper and lower case count alike here: what such a reply is worth is the scorer's to say.
    """
    value = _parsed(said(text) or "")
    if task == "open":
        return isinstance(value, list) and len(value) == count and all(map(_verdict, value))
    return isinstance(value, dict) and all(_verdict(value.get(name)) for name in FIELDS)


def vote(reply: Reply, task: Task, count: int) -> str:
    """The text of a reply as it is written to `pred_score`: of one that was cut off only a whole verdict counts."""
    return reply.text if reply.note != CUT or usable(reply.text, task, count) else ""


def counted(votes: list[str], task: Task, count: int, as_they_come: bool = False) -> bool:
    """Whether the scorer finds a verdict in these replies. as_they_come: also where only its reference mode does."""
    record = {"pred_score": votes, "decomposed_questions": ["?"] * count}
    modes = ("robust", "reference") if as_they_come else ("robust",)
    return any(SCORERS[task].score_record(record, mode)["counted"] for mode in modes)


def why_not(replies: list[Reply]) -> str:
    """What most of the replies lack, a key of WHY."""
    kinds = Counter(_kind(reply) for reply in replies)
    return kinds.most_common(1)[0][0] if kinds else "empty"


def _kind(reply: Reply) -> str:
    text = said(reply.text)
    if reply.note or text is None:
        return reply.note or CUT
    return "other" if text.strip() else THOUGHTS if reply.text.strip() else "empty"


def missing(replies: list[Reply], task: Task, count: int, n: int, reask: int) -> int:
    """How many completions are still to be asked: for those that have not come, and again for those of no use.

    At most n × (1 + reask) are asked in all, whatever comes.
    """
    good = len(replies) if reask == 0 else sum(usable(reply.text, task, count) for reply in replies)
    return max(0, min(n - good, n * (1 + reask) - len(replies)))


def chosen(replies: list[Reply], task: Task, count: int, n: int, reask: int) -> list[Reply]:
    """The n replies that are kept, in the order they came: usable ones first choice, then whatever there is.

    With reask 0 they are the first n, as a judge without a second chance would have given them.
    """
    if reask == 0:
        return replies[:n]
    by_use = sorted(range(len(replies)), key=lambda i: not usable(replies[i].text, task, count))  # stable
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
