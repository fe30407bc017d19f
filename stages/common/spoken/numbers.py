"""Written numbers in words, American style. The functions that take a match are replacements for `re.sub`."""

import re
from functools import lru_cache

from num2words import num2words

from stages.common.spoken.words import CURRENCY, MONARCHS, MONTH_OF, MONTHS, SCALES, UNITS

LONGEST = {"am": 3}  # digits; in Amharic num2words fails at most numbers from 1,234 and never comes back from 1,234,567


@lru_cache(maxsize=50_000)
def words(value: int, kind: str = "cardinal") -> str:
    """num2words ("cardinal", "ordinal" or "year") in American style: "one hundred five", not "one hundred and five"."""
    return str(num2words(value, to=kind)).replace(" and ", " ").replace(",", "").replace(" oh-", " oh ")


def in_language(number: str, language: str) -> str | None:
    """A number (digits, at most one point) in words; digit by digit when it is long; None where num2words does not know it."""
    if len(number.partition(".")[0]) > LONGEST.get(language, 9):
        read = [in_language(digit, language) for digit in number if digit.isdecimal()]
        return None if None in read else " ".join(filter(None, read))
    try:
        return str(num2words(float(number) if "." in number else int(number), lang=language))
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError):
        # Seen with 0.5.14 in 57 languages: no such language (RuntimeError), Hungarian fractions of four digits and more (KeyError),
        # 12240178.0 in Hungarian (RecursionError). A number that cannot be read stays as it is written.
        return None


def digits(text: str) -> str:
    return " ".join(words(int(digit)) for digit in text if digit.isdecimal())


def number(text: str, kind: str = "cardinal") -> str:
    """A written number. Leading zeros and more than 15 digits (codes, not quantities) are read digit by digit."""
    whole, _, fraction = text.replace(",", "").partition(".")
    code = len(whole) > 15 or (len(whole) > 1 and whole[0] == "0")
    read = digits(whole) if code else words(int(whole), kind)
    return f"{read} point {digits(fraction)}" if fraction else read


def year(text: str) -> str:
    """Four digits from 1100 to 2099 as a year, anything else as a number."""
    return words(int(text), "year") if len(text) == 4 and 1100 <= int(text) <= 2099 else number(text)


def ending(match: re.Match, read: str) -> str:
    """Keep the stop of an abbreviation where a sentence may end: at the end of the text, or before a capital."""
    rest = match.string[match.end() :].lstrip("\"')")
    return read + ("." if not rest.strip() or re.match(r"\s+[\"'(]?[A-Z]", rest) else "")


def initials(match: re.Match) -> str:
    """U.S. → U S, with its stop at the end of the text only: a capital after it is no sign of a new sentence."""
    letters = " ".join(match[0].replace(".", "").upper())
    return letters + ("" if match.string[match.end() :].strip("\"') \n") else ".")


def day(text: str) -> str:
    return words(int(text), "ordinal")


def month(match: re.Match) -> str:
    return MONTH_OF[match["month"].rstrip(".")]


def date(match: re.Match) -> str:
    """2001-12-25 and 12/25/2001; left as it is when it cannot be a date."""
    which = int(match["month"])
    if not (1 <= which <= 12 and 1 <= int(match["day"]) <= 31):
        return match[0]
    return f" {MONTHS[which - 1]} {day(match['day'])}, {year(match['year'])} "


def money(match: re.Match) -> str:
    one, many, cent, cents = CURRENCY[match["sign"]]
    amount, scale = match["amount"], match["scale"] or SCALES.get(match["letter"])
    if scale:
        return f"{number(amount)} {scale} {many}"
    whole, _, hundredths = amount.partition(".")
    if hundredths and len(hundredths) != 2:
        return f"{number(amount)} {many}"
    large = f"{number(whole)} {one if whole == '1' else many}"
    if hundredths in ("", "00"):
        return large
    small = f"{words(int(hundredths))} {cent if hundredths == '01' else cents}"
    return small if whole == "0" else f"{large} and {small}"


ONE = {"feet": "foot", "inches": "inch"}


def unit(match: re.Match) -> str:
    """km after a number, in the singular after 1."""
    name = UNITS[match["unit"]]
    if not re.search(r"(?<![\d.,/])1$", match.string[: match.start()]):
        return f" {name}"
    first, blank, rest = name.partition(" ")
    return f" {ONE.get(first, first.removesuffix('s'))}{blank}{rest}"


def time(match: re.Match) -> str:
    """5:30 p.m., 17:05, 10:00 and 5 p.m.; left as it is when it cannot be a time."""
    hour, minute, half = int(match["hour"]), match["minute"], match["half"]
    if hour > 24 or (minute and int(minute) > 59):
        return match[0]
    read = words(hour)
    if minute and minute != "00":
        read += (" oh " if minute[0] == "0" else " ") + words(int(minute))
    elif not half:
        read += " o'clock" if hour <= 12 else " hundred"
    if not half:
        return read
    read += f" {half[0].upper()} M"
    return ending(match, read) if half.endswith(".") else read


def fraction(match: re.Match) -> str:
    top, bottom = int(match["top"]), int(match["bottom"])
    if (top, bottom) in ((9, 11), (24, 7), (50, 50)):
        return f"{words(top)} {words(bottom)}"
    if not 0 < top < bottom <= 100:
        return f"{number(match['top'])} over {number(match['bottom'])}"
    name = {2: "half", 4: "quarter"}.get(bottom) or words(bottom, "ordinal")
    return f"{words(top)} {name}" + ("" if top == 1 else "s")


def span(match: re.Match) -> str:
    """10-20, 1941-45, 1914-1918."""
    first, last = match["first"], match["last"]
    if len(first) == 4 and len(last) == 2 and 1100 <= int(first) <= 2099:
        return f"{year(first)} to {'oh ' if last[0] == '0' else ''}{words(int(last))}"
    read = year if len(first) == len(last) == 4 else number
    return f"{read(first)} to {read(last)}"


def decade(match: re.Match) -> str:
    """1990s and '90s in the plural; 1998's as a possessive."""
    read = year(match["year"])
    if match["mark"] and not match["year"].endswith("0"):
        return f"{read}'s"
    return read[:-1] + "ies" if read.endswith("y") else read + ("es" if read.endswith("x") else "s")


_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}


def roman(numeral: str) -> int:
    """Value of a well-formed Roman numeral up to 399; 0 for anything else."""
    if not re.fullmatch(r"C{0,3}(XC|XL|L?X{0,3})(IX|IV|V?I{0,3})", numeral):
        return 0
    values = [_ROMAN[letter] for letter in numeral]
    return sum(-v if v < after else v for v, after in zip(values, [*values[1:], 0], strict=True))


def numeral(match: re.Match) -> str:
    value = roman(match["numeral"])
    if not value:
        return match[0]
    before = match["before"]
    return f"{before} the {words(value, 'ordinal')}" if before in MONARCHS else f"{before} {words(value)}"
