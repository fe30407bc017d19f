"""Read the votes in a judge's replies: to the letter (reference) or as they were meant (robust).

A record's `pred_score` holds one reply per completion. On strange input, the functions raise
nothing but Unscorable. Rules: docs/SCORING.md.
"""

import ast
import json
import re
import statistics
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from reprlib import repr as short
from typing import Any, TypeVar

from inserter.scoring.ifeval.arguments import Mode, Unscorable
from inserter.scoring.questions import questions_of
from inserter.scoring.records import writable
from inserter.scoring.structures import structure
from inserter.scoring.thoughts import said

Vote = TypeVar("Vote")
Kind = TypeVar("Kind")
YES, NO = "YES", "NO"
WORDS = {"yes": YES, "true": YES, "no": NO, "false": NO}
FLAT_LIST, FLAT_OBJECT = re.compile(r"\[[^\[\]]*\]"), re.compile(r"\{[^{}]*\}")  # none inside
BARE = re.compile(r"\[\s*(?:yes|no)\s*(?:,\s*(?:yes|no)\s*)*\]", re.IGNORECASE)  # [YES, NO]


def replies(record: Mapping[str, object], mode: Mode) -> list[object]:
    """Return the replies in the record's `pred_score`.

    Reference mode iterates over a list, a string or an object alike. In robust mode one string is
    one reply. Raise Unscorable if the record was not judged, or `pred_score` is none of these.
    """
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


def _are_replies(found: object) -> bool:
    """Return whether a text was a list of replies, as sheets hold it.

    Otherwise the text is one reply, which may itself be a list of answers.
    """
    return isinstance(found, list) and all(isinstance(one, str) and answer(one) is None for one in found)


def literal(text: Any) -> object:
    """Return `ast.literal_eval` of the text, or None for what it refuses.

    Text that is too deep or too long, null bytes, and other types than text are refused too.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler warns of "\\d" in a reply
        try:
            return ast.literal_eval(text)
        # By the input: ValueError, SyntaxError, TypeError, MemoryError or RecursionError.
        except Exception:
            return None


def mode_of(votes: Sequence[Vote]) -> Vote:
    """Return the most frequent vote; a tie goes to the first seen.

    Raise Unscorable if a vote is a list or an object.
    """
    try:
        return statistics.mode(votes)
    except TypeError as error:
        raise Unscorable("unusable vote", f"a vote is a list or an object: {short(list(votes))}") from error


def plain(vote: object) -> object:
    """Return a vote as JSON can hold it.

    What JSON cannot hold (bytes, complex, infinite and very long numbers) is returned as Python
    writes it.
    """
    if isinstance(vote, tuple):
        return [plain(part) for part in vote]
    if isinstance(vote, str):
        return writable(vote)
    if vote is None or isinstance(vote, bool) or (isinstance(vote, int) and vote.bit_length() < 64):
        return vote
    if isinstance(vote, float) and abs(vote) < float("inf"):
        return vote
    return hex(vote) if isinstance(vote, int) else writable(short(vote))


def answer(value: object) -> str | None:
    """Return YES or NO, however it is spelled, or None for an abstention.

    Examples are yes, Yes, "YES.", true and True.
    """
    if isinstance(value, bool):
        return YES if value else NO
    return WORDS.get(value.strip().rstrip(".").casefold()) if isinstance(value, str) else None


def answers(reply: object, expected: int | None = None) -> list[str | None] | None:
    """Return the list of answers in `reply`, or None if there is none.

    The list is JSON or Python, and stands alone, in a code fence or in prose. A list without any
    yes or no is not a list of answers. Of several lists the last with `expected` answers counts,
    else the last.
    """
    found = [read for values in _inside(reply, list) if any(read := [answer(value) for value in values])]
    fitting = [read for read in found if len(read) == expected]
    usable = fitting or found
    return usable[-1] if usable else None


def judgement(reply: object, names: Sequence[str]) -> dict[str, str | None] | None:
    """Return the object in `reply` with most of the fields `names`, as {field: answer}, or None.

    Of several such objects the last counts.
    """
    best: dict[str, str | None] | None = None
    for value in _inside(reply, dict):
        keys = {key.strip().casefold(): value[key] for key in value if isinstance(key, str)}
        read = {name: answer(keys[name]) for name in names if name in keys}
        if read and len(read) >= len(best or ()):
            best = read
    return best


def _inside(reply: object, kind: type[Kind]) -> Iterator[Kind]:
    """Yield every `kind` (list or dict) in what `reply` says.

    The candidates are the text from the first opening to the last closing mark, and every list or
    object that has no other one inside.
    """
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


def _value(piece: str) -> object:
    if BARE.fullmatch(piece):
        return re.findall(r"\w+", piece)
    try:
        return json.loads(piece)
    except (ValueError, RecursionError):
        return literal(piece)


def expected_answers(record: Mapping[str, object]) -> int | None:
    """Return the number of the record's questions, as they are put to the judge; None for none."""
    return len(questions_of(record)) or None


def common_length(lists: Sequence[Sequence[object]]) -> int:
    """Return the most frequent length; among equals the greatest, as in the reference."""
    counts = Counter(len(found) for found in lists)
    return max(counts, key=lambda length: (counts[length], length))
