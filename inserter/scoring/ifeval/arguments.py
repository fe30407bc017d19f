"""Read an instruction's keyword arguments: from JSON to what a check compares with.

Each kind of argument has one reader, `read(value, mode)`. If the value cannot be used, the reader
raises ValueError with the end of a sentence ("is not a number: 'x'").

Mode "reference" keeps to the benchmark's own rules: keywords are regular expressions, and numbers
are numbers. Where these rules draw a random value or end the run, the value is unusable. Mode
"robust" reads what was meant.
"""

import operator
import re
from collections.abc import Callable
from reprlib import repr as short
from typing import Any, Literal

from inserter.scoring.ifeval.reader import as_read

Mode = Literal["robust", "reference"]
Reader = Callable[[object, Mode], object]

RELATIONS: dict[str, Callable[[float, float], bool]] = {"less than": operator.lt, "at least": operator.ge}
MORE_RELATIONS = {
    **RELATIONS,
    "fewer than": operator.lt,
    "more than": operator.gt,
    "greater than": operator.gt,
    "at most": operator.le,
    "no more than": operator.le,
    "no less than": operator.ge,
    "no fewer than": operator.ge,
    "exactly": operator.eq,
    "equal to": operator.eq,
}

CHINESE = frozenset({"zh-cn", "zh-tw"})
LANGUAGES = {
    "zh": CHINESE,
    "cn": CHINESE,
    "zh-hans": frozenset({"zh-cn"}),
    "zh-hant": frozenset({"zh-tw"}),
    "iw": frozenset({"he"}),
    "nb": frozenset({"no"}),
    "nn": frozenset({"no"}),
}


class Unscorable(Exception):
    """There is no verdict on a record.

    reason: the class under which the record is counted. detail: what exactly is wrong.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def number(value: object, mode: Mode) -> float:
    """Return a count of 0 or more.

    Robust mode also takes a string of digits, and 3.0. In reference mode a 0 is dropped before
    (`Check.read`).
    """
    if mode == "robust":
        value = _whole(value)
    if not isinstance(value, int | float):
        raise ValueError(f"is not a number: {short(value)}")
    if not value >= 0:
        raise ValueError(f"is not 0 or more: {value}")
    return value


def position(value: object, mode: Mode) -> int:
    """Return a position, counted from 1."""
    found = number(value, mode)
    if not isinstance(found, int) or found < 1:
        raise ValueError(f"is not a position from 1: {found}")
    return found


def _whole(value: Any) -> int:
    try:
        parsed = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"is not a number: {short(value)}") from None
    if isinstance(value, bool) or not parsed.is_integer():
        raise ValueError(f"is not a whole number: {short(value)}")
    return int(parsed)


def relation(value: object, mode: Mode) -> Callable[[float, float], bool]:
    """Return the comparison `found REL wanted`.

    Reference mode takes "less than" and "at least" only.
    """
    known = RELATIONS if mode == "reference" else MORE_RELATIONS
    name = " ".join(value.lower().split()) if mode == "robust" and isinstance(value, str) else value
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"is not one of {', '.join(known)}: {short(value)}")
    return known[name]


def text(value: object, mode: Mode) -> str:
    """Return a string.

    In robust mode a number stands for its digits, and a blank string is refused.
    """
    if mode == "robust" and isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise ValueError(f"is not text: {short(value)}")
    if mode == "robust" and not value.strip():
        raise ValueError("is blank")
    return value if mode == "reference" else as_read(value)


def words(value: object, mode: Mode) -> list[str]:
    """Return a list of strings. In robust mode one string is a list of one."""
    if mode == "robust" and isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not value:
        raise ValueError(f"is not a list of words: {short(value)}")
    return [text(word, mode) for word in value]


def patterns(value: object, mode: Mode) -> list[re.Pattern[str]]:
    """Return words to search for, ignoring case."""
    return [_pattern(word, mode) for word in words(value, mode)]


def pattern(value: object, mode: Mode) -> re.Pattern[str]:
    """Return a stripped word to search for, ignoring case."""
    return _pattern(text(value, mode).strip(), mode)


def _pattern(word: str, mode: Mode) -> re.Pattern[str]:
    """Return the expression that finds a word.

    Robust mode takes a keyword literally. As an expression, `C++` would find any c, and `(` cannot
    be compiled at all. In robust mode a line may end between the words of a keyword.
    """
    return _compile(word if mode == "reference" else r"\s+".join(map(re.escape, word.split())), re.IGNORECASE)


def section(value: object, mode: Mode) -> re.Pattern[str]:
    """Return what opens a section: the stripped splitter and digits.

    Robust mode takes the splitter literally.
    """
    splitter = text(value, mode).strip()
    if mode == "robust":
        return _compile(rf"\s?{re.escape(splitter)}\s*\d+\s?")
    return _compile(rf"\s?{splitter}\s?\d+\s?")


def _compile(expression: str, flags: int = 0) -> re.Pattern[str]:
    try:
        return re.compile(expression, flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"is not a regular expression: {short(expression)} ({error})") from error


def postscript(value: object, mode: Mode) -> re.Pattern[str]:
    r"""Return what opens a postscript in lower-cased text.

    A postscript opens with any spelling of PS or PPS, or with the marker between word boundaries.
    After "note:", `\b` asks for a word character directly behind the colon. Robust mode therefore
    asks for a boundary only at an edge of the marker that is a word character.
    """
    marker = text(value, mode).strip().lower()
    before = r"\b" if mode == "reference" or re.match(r"\w", marker) else ""
    after = r"\b" if mode == "reference" or re.search(r"\w\Z", marker) else ""
    own = f"{before}{re.escape(marker)}{after}"
    last = r"\." if mode == "reference" else r"\b"  # robust mode takes P.S without its last dot
    return re.compile(rf"\bps\b|\bp\.\s*s{last}|\bp\.\s?p\.\s*s{last}|{own}")


def letter(value: object, mode: Mode) -> str:
    """Return one character, lower-cased.

    Reference mode takes a to z, since the reference draws a random letter for anything else. Robust
    mode takes any character.
    """
    given = text(value, mode)
    lowered = given.lower() if mode == "reference" else given.strip().lower()
    if len(lowered) != 1 or (mode == "reference" and not "a" <= lowered <= "z"):
        raise ValueError(f"is not one letter: {short(value)}")
    return lowered


def language(value: object, mode: Mode) -> frozenset[str]:
    """Return langdetect's codes for this language.

    In robust mode zh is zh-cn or zh-tw, en-US is en, and case does not matter.
    """
    from inserter.scoring.ifeval.text import languages

    code = text(value, mode)
    if mode == "robust":
        code = code.strip().lower().replace("_", "-")
        if code in LANGUAGES:
            return LANGUAGES[code]
        if code not in languages():
            code = code.split("-")[0]
    if code not in languages():
        raise ValueError(f"is not a language that can be detected: {short(value)}")
    return frozenset({code})
