"""Read written numbers in words, American style.

The functions that take a match are replacements for `re.sub`.
"""

import re
from functools import lru_cache
from math import gcd

from num2words import num2words

from inserter.text.spoken.words import MONTHS, Rules

NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"


@lru_cache(maxsize=50_000)
def words(value: int, kind: str = "cardinal") -> str:
    """Return `value` in words, American style.

    105 is "one hundred five", not "one hundred and five". kind: "cardinal", "ordinal" or "year" of
    num2words.
    """
    return str(num2words(value, to=kind)).replace(" and ", " ").replace(",", "").replace(" oh-", " oh ")


def digits(text: str) -> str:
    return " ".join(words(int(digit)) for digit in text if digit.isdecimal())


def number(text: str, kind: str = "cardinal") -> str:
    """Read a written number; a code, which is not a quantity, is read digit by digit.

    A code has a leading zero, at least ten digits in a row without 000 at the end, or more than 15
    digits.
    """
    whole, _, fraction = text.partition(".")
    row, whole = len(whole), whole.replace(",", "")
    code = len(whole) > 15 or (len(whole) > 1 and whole[0] == "0") or (row == len(whole) > 9 and not whole.endswith("000"))
    read = digits(whole) if code else words(int(whole), kind)
    return f"{read} point {digits(fraction)}" if fraction else read


def year(text: str) -> str:
    """Read four digits from 1100 to 2099 as a year, and anything else as a number."""
    return words(int(text), "year") if _is_year(text) else number(text)


def _is_year(text: str) -> bool:
    return len(text) == 4 and text.isdecimal() and 1100 <= int(text) <= 2099


def short(text: str) -> str:
    """Read the last two digits of a year: oh five, seventy-six."""
    return f"oh {words(int(text))}" if text[0] == "0" and text != "00" else number(text)


def name(text: str) -> str:
    """Read a number that names a thing in pairs of digits.

    Examples are seven forty-seven, one oh one, ten forty and eight hundred.
    """
    if len(text) not in (3, 4) or text[0] == "0" or text[-3:] == "000":
        return number(text)
    first, last = words(int(text[:-2])), text[-2:]
    return f"{first} hundred" if last == "00" else f"{first} {short(last)}"


def ending(match: re.Match[str], read: str) -> str:
    """Return `read`, with the stop of an abbreviation where a sentence may end.

    A sentence may end at the end of the text or before a capital.
    """
    rest = match.string[match.end() :].lstrip("\"')")
    return read + ("." if not rest.strip() or re.match(r"\s+[\"'(]?[A-Z]", rest) else "")


SPOKEN_AS_TWO = {(9, 11), (24, 7), (50, 50), (60, 40), (70, 30), (80, 20), (90, 10), (20, 20)}


def fraction(match: re.Match[str]) -> str:
    """Read 3/4 as a fraction, and 120/80 as one number over the other.

    8/10, which is not in lowest terms, and 10/10 are marks out of ten.
    """
    top, bottom = int(match["top"]), int(match["bottom"])
    if (top, bottom) in SPOKEN_AS_TWO or re.match(r"\stime\b", match.string[match.end() :]):
        return f"{words(top)} {words(bottom)}"
    if 0 < top <= bottom and bottom in (5, 10, 20, 25, 30, 40, 50, 60, 100) and (gcd(top, bottom) > 1 or _a_mark(match)):
        return f"{words(top)} out of {words(bottom)}"
    if not 0 < top < bottom <= 100:
        return f"{number(match['top'])} over {number(match['bottom'])}"
    name = {2: "half", 4: "quarter"}.get(bottom) or words(bottom, "ordinal")
    return f"{words(top)} {name}" + ("" if top == 1 else "s")


def _a_mark(match: re.Match[str]) -> bool:
    before = match.string[: match.start()]
    return bool(re.search(r"\b(?:rat(?:ed?|ing)|scor(?:ed?|ing)|mark|graded?|got|gets|give|gave|solid|a)\b[^.]{0,12}$", before))


def span(match: re.Match[str]) -> str:
    """Read a range: 10-20, 1941-45, 1914-1918.

    2021-07, which goes down, is a month. 50-50 is not a range.
    """
    first, last = match["first"], match["last"]
    if (first, last) in (("50", "50"), ("24", "7")):
        return f"{number(first)} {number(last)}"
    if _is_year(first) and len(last) == 2:
        if 1 <= int(last) <= 12 and int(last) <= int(first[2:]):
            return f"{MONTHS[int(last) - 1]} {year(first)}"
        return f"{year(first)} to {year(str(int(first[:2]) + 1) + last) if last == '00' else short(last)}"
    read = year if len(first) == len(last) == 4 and (first + last).isdigit() else number
    return f"{read(first)} to {read(last)}"


def season(match: re.Match[str]) -> str:
    """Read the seasons 2019/20 and 2019/2020; 2019/12 stays."""
    first, last = int(match["first"]), match["last"]
    follows = int(last) > first if len(last) == 4 else int(last) > first % 100 or int(last) == (first + 1) % 100
    return f" {span(match)} " if follows else match[0]


def decade(match: re.Match[str]) -> str:
    """Read 1990s, '90s and 747s in the plural, and 1998's as a possessive."""
    read = name(match["year"]) if len(match["year"]) == 3 else year(match["year"])
    read = f" {read}" if match.string[match.start() - 1 : match.start()].isalpha() else read
    if match["mark"] and not match["year"].endswith("0"):
        return f"{read}'s"
    return read[:-1] + "ies" if read.endswith("y") else read + ("es" if read.endswith("x") else "s")


def power(match: re.Match[str]) -> str:
    """Read an exponent: x^2 as "squared", 10^-8 as "to the minus eighth"."""
    exponent = str(int(match["exponent"]))
    named = {"2": " squared", "3": " cubed"}.get(exponent)
    if named:
        return named
    return " to the " + (f"minus {number(exponent[1:])}" if exponent[0] == "-" else number(exponent, "ordinal"))


RULES: Rules = [
    (r"(?<=[\w)])\^\(?(?P<exponent>-?\d{1,4})\)?", power),
    (r"(?<=[\w)])\^(?=[A-Za-z]\b)", " to the "),
    (r"(?<=\d)[eE]\+?(?P<exponent>-?\d{1,3})\b", lambda m: " times ten" + power(m)),
    (r"(?<![\d/.,])(?P<first>(?:1[1-9]|20)\d\d)/(?P<last>(?:\d\d){1,2})(?![\d/])", season),
    (r"(?<=\d)-(?=1/\d)|(?<=\d)\s(?=\d+/\d)", " and "),
    (r"(?<![\d/])(\d+\.\d+)/(\d{1,3})(?![\w/])", r"\1 out of \2"),
    (r"(?<![\d/.,])(?P<top>\d{1,4})/(?P<bottom>\d{1,4})(?:st|nd|rd|th)?(?![\w/])", fraction),
    (r"(?<=\d)(st|nd|rd|th)-(?=\d+(?:st|nd|rd|th)\b)", r"\1 to "),
    (r"(?P<number>\d{1,3}(?:,\d{3})+|\d{1,15})(?:st|nd|rd|th|(?<=[23])d)\b", lambda m: number(m["number"], "ordinal")),
    (r"(?P<first>(?<![\d,.])\d{2,4}'?s)\s?-\s?(?='?\d{2,4}'?s\b)", r"\g<first> to "),
    (r"'?(?<![\d,.])(?P<year>\d{1,4})(?P<mark>'?)s\b", decade),
    (r"(?<!\w)'(?P<year>\d\d)(?!\w)", lambda m: short(m["year"])),
    (r"(?<=\d)(?<!\d\d\d\d)-(?=\d+\s?=)", " minus "),
    (rf"(?<![\w.,])(?P<first>{NUMBER})-(?P<last>{NUMBER})(?![\d-])", span),
    (rf"(?<![\w-])-(?={NUMBER})", "minus "),
    (r"(?<=\d)\s?\*\s?(?=\d)", " times "),
    (
        r"(?:(?<=\bin )|(?<=[vct]ember )|(?<=tober )|(?<=uary )|(?<=(?:June|July) )|(?<=August )|(?<=(?:April|March) )|(?<=May ))"
        r"10[1-9]\d\b(?![\d%]|[.,]\d)",
        lambda m: name(m[0]),
    ),
    (r"(?<![\d.,])(?:1[1-9]|20)\d\d(?![\d%]|[.,]\d)", lambda m: f" {year(m[0])} "),
    (NUMBER, lambda m: f" {number(m[0])} "),
]
