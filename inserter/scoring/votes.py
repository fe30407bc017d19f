"""What a judge's replies say: reference, to the letter, and robust, what was meant. Rules: docs/SCORING.md.

A record's `pred_score` holds one reply a completion. Nothing here raises on strange input, but for Unscorable.
"""

import ast
import json
import re
import statistics
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from reprlib import repr as short
from typing import Any

from inserter.scoring.ifeval.arguments import Mode, Unscorable
from inserter.scoring.questions import questions_of
from inserter.scoring.records import writable
from inserter.scoring.structures import structure
from inserter.scoring.thoughts import said

YES, NO = "YES", "NO"
WORDS = {"yes": YES, "true": YES, "no": NO, "false": NO}
FLAT_LIST, FLAT_OBJECT = re.compile(r"\[[^\[\]]*\]"), re.compile(r"\{[^{}]*\}")  # no other one inside
BARE = re.compile(r"\[\s*(?:yes|no)\s*(?:,\s*(?:yes|no)\s*)*\]", re.IGNORECASE)  # [YES, NO]


def replies(record: dict[str, Any], mode: Mode) -> list[Any]:
    """The record's `pred_score`. Reference: whatever can be gone through. Robust: one string is one reply."""
    why = f" ({record['judge_error']})" if isinstance(record.get("judge_error"), str) else ""
    if record.get("pred_score") is None:
        raise Unscorable("not judged", f"pred_score is {'null' if 'pred_score' in record else 'missing'}{why}")
    found = record["pred_score"]
    if mode == "robust" and isinstance(found, str | dict):
        listed = structure(found)
        found = listed if _are_replies(listed) else [found]
    if not isinstance(found, list | str | dict):
        raise Unscorable("malformed record", f"pred_score is not a list of replies: {short(found)}")
    if not found:
        raise Unscorable("not judged", f"pred_score is empty{why}")
    return list(found)


def _are_replies(found: Any) -> bool:
    """Whether a text was a list of replies, as sheets hold it, and not the list of answers that one reply is."""
    return isinstance(found, list) and all(isinstance(one, str) and answer(one) is None for one in found)


def literal(text: Any) -> Any:
    """`ast.literal_eval`, or None for what it refuses: also too deep, too long, null bytes, what is not text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "\\d" in a reply is a warning to the compiler
        try:
            return ast.literal_eval(text)
        except Exception:  # ValueError, SyntaxError, TypeError, MemoryError and RecursionError, by the input
            return None


def mode_of(votes: Sequence[Any]) -> Any:
    """The most frequent vote; a tie goes to the first seen. Unscorable where one is a list or an object."""
    try:
        return statistics.mode(votes)
    except TypeError as error:
        raise Unscorable("unusable vote", f"not a value that can be counted: {short(list(votes))}") from error


def plain(vote: Any) -> Any:
    """A vote as JSON can hold it: what it cannot (bytes, complex and endless numbers) as Python writes it."""
    if isinstance(vote, tuple):
        return [plain(part) for part in vote]
    if isinstance(vote, str):
        return writable(vote)
    if vote is None or isinstance(vote, bool) or (isinstance(vote, int) and vote.bit_length() < 64):
        return vote
    if isinstance(vote, float) and abs(vote) < float("inf"):
        return vote
    return hex(vote) if isinstance(vote, int) else writable(short(vote))


def answer(value: Any) -> str | None:
    """YES or NO, however it is spelled (yes, Yes, "YES.", true, True); None is an abstention."""
    if isinstance(value, bool):
        return YES if value else NO
    return WORDS.get(value.strip().rstrip(".").casefold()) if isinstance(value, str) else None


def answers(reply: Any, expected: int | None = None) -> list[str | None] | None:
    """The list of answers in `reply`: JSON or Python, alone, in a code fence or in prose; None where there is none.

    A list without one yes or no is not a list of answers. Of several the last counts that has `expected` answers, else
    the last.
    """
    found = [read for values in _inside(reply, list) if any(read := [answer(value) for value in values])]
    fitting = [read for read in found if len(read) == expected]
    usable = fitting or found
    return usable[-1] if usable else None


def judgement(reply: Any, names: Sequence[str]) -> dict[str, str | None] | None:
    """The object in `reply` with most of the fields `names`, the last of equals, as {field: answer}, or None."""
    best: dict[str, str | None] | None = None
    for value in _inside(reply, dict):
        keys = {key.strip().casefold(): value[key] for key in value if isinstance(key, str)}
        read = {name: answer(keys[name]) for name in names if name in keys}
        if read and len(read) >= len(best or ()):
            best = read
    return best


def _inside(reply: Any, kind: type) -> Iterator[Any]:
    """Every `kind` (list or dict) in what `reply` says: from the first opening to the last closing mark, and the flat ones."""
    if isinstance(reply, kind):
        yield reply
    reply = said(reply) if isinstance(reply, str) else None
    if reply is None:  # not text, or cut off in its thoughts
        return
    (opening, closing), flat = ("[]", FLAT_LIST) if kind is list else ("{}", FLAT_OBJECT)
    whole = reply[reply.find(opening) : reply.rfind(closing) + 1]
    for piece in (whole, *flat.findall(reply)):
        value = _value(piece)
        if isinstance(value, kind):
            yield value


def _value(piece: str) -> Any:
    if BARE.fullmatch(piece):
        return re.findall(r"\w+", piece)
    try:
        return json.loads(piece)
    except (ValueError, RecursionError):
        return literal(piece)


def expected_answers(record: dict[str, Any]) -> int | None:
    """How many answers the record's questions ask for, as they are put to the judge; None where it has none."""
    return len(questions_of(record)) or None


def common_length(lists: Sequence[Sequence[Any]]) -> int:
    """The most frequent length; of equals the greatest, as in the reference."""
    counts = Counter(len(found) for found in lists)
    return max(counts, key=lambda length: (counts[length], length))
