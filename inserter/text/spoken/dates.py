"""Read dates and times in words, American style."""

import re

from inserter.text.spoken.numbers import digits, ending, number, words, year
from inserter.text.spoken.words import MONTH_OF, MONTHS, WEEKDAYS, Rules, any_of


def day(text: str) -> str:
    return words(int(text), "ordinal")


def month(match: re.Match[str], group: str = "month") -> str:
    return MONTH_OF[match[group].rstrip(".").title()]


def _date(match: re.Match[str]) -> str:
    """Read 2001-12-25, 12/25/2001 and, where there is no such month, 25/12/2001.

    What cannot be a date stays as it is.
    """
    which, day_of = int(match["month"]), int(match["day"])
    if which > 12:
        which, day_of = day_of, which
    if not (1 <= which <= 12 and 1 <= day_of <= 31):
        return match[0]
    return f" {MONTHS[which - 1]} {words(day_of, 'ordinal')}, {year(match['year'])} "


def _days(match: re.Match[str]) -> str:
    """Read June 3-5, June 30-July 2 and June 3 or 4."""
    later = f"{month(match, 'later')} " if match["later"] else ""
    return f"{month(match)} {day(match['day'])} {match['word'] or 'to'} {later}{day(match['last'])}"


def _days_before(match: re.Match[str]) -> str:
    """Read 3-5 June and 30 June-2 July."""
    first = f"the {day(match['day'])}" + (f" of {month(match, 'earlier')}" if match["earlier"] else "")
    return f"{first} to the {day(match['last'])} of {month(match)}"


def _months(match: re.Match[str]) -> str:
    """Read a range of months: May-June, Sept. 2019-Feb. 2020."""
    return f"{month(match)}{match['year'] or ''} to {month(match, 'later')}"


def _weekdays(match: re.Match[str]) -> str:
    first, last = (WEEKDAYS.get(match[name], match[name]) for name in ("first", "last"))
    return f"{first} to {last}" if last else first


def _time(match: re.Match[str]) -> str:
    """Read a time: 5:30 p.m., 17:05, 10:00, 5 p.m. and 2:03:38.5.

    59:30 is a duration in minutes. What can be neither a time nor a duration is read as a ratio.
    """
    parts = match.groupdict()
    hour, minute, second, half = int(parts["hour"]), parts["minute"], parts.get("second"), parts["half"]
    if minute and int(minute) > 59:
        return f"{number(parts['hour'])} to {number(minute)}"
    read = words(hour)
    second = "" if second == "00" else second
    more = ["zero zero" if part == "00" else _oh(part) for part in (minute, second) if part]
    if second or (minute and (minute != "00" or hour > 24)):
        read = " ".join([read, *more])
    elif not half:
        read += " o'clock" if hour <= 12 else " hundred"
    if parts.get("tenths"):
        read += f" point {digits(parts['tenths'])}"
    if parts.get("zone"):
        read += " Z"
    if not half:
        return read
    read += f" {half[0].upper()} M"
    return ending(match, read) if half.endswith(".") else read


def _oh(two: str) -> str:
    return f"oh {words(int(two))}" if two[0] == "0" else words(int(two))


def _hours(match: re.Match[str]) -> str:
    """Read 0930 hours as oh nine thirty hours, and 1400 hours as fourteen hundred hours."""
    minute = match["minute"]
    return f"{_oh(match['hour'])} {'hundred' if minute == '00' else _oh(minute)}"


def _lasting(match: re.Match[str]) -> str:
    """Read a duration: 1h30, 2h 5m, 3m20s."""
    parts = zip(("hour", "minute", "second"), (match["hour"], match["minute"], match["second"]), strict=True)
    return " ".join(f"{number(count)} {name}{'' if count == '1' else 's'}" for name, count in parts if count)


# Names in lower case too, except "may" and "march", which are ordinary words.
_FULL = any_of({*MONTHS, *map(str.upper, MONTHS), *map(str.lower, MONTHS)} - {"may", "march"})
_SHORT = any_of({*(short := set(MONTH_OF) - set(MONTHS)), *map(str.upper, short)})
_MONTHS = rf"(?:{_FULL}|(?:{_SHORT})\b\.?)"
_DAYS = r"(?:3[01]|[12]\d|0?[1-9])"
_TH = r"(?:st|nd|rd|th)?"
_NO_DAY = r"(?![,.]?\d{1,3}(?!\d)|[,.]\d|(?::\d\d)?\s?[aApP]\.?[mM]\b|[%°$£€])"
_HALF = r"\s?(?P<half>[aApP]\.?[mM]\b\.?)"
_ANY_HALF = r"\s?[aApP]\.?[mM]\b\.?"
_WEEKDAYS = rf"(?:{any_of(set(WEEKDAYS.values()))}|{any_of(WEEKDAYS)})"

_RANGE = (
    rf"(?:\s?-\s?|\s(?P<word>to|through|and|or)\s(?=(?:{_MONTHS}\s)?\d{{1,2}}{_TH}(?:[.,;:)]|$|"
    r"\s(?:\d{4}|in|at|on|and|the|for|of|with|by|to|from)\b)))"
)
RULES: Rules = [
    (r"(\b\d{4}-\d\d-\d\d)\s?-\s?(?=\d{4}-\d\d-\d\d\b)", r"\1 to "),
    (rf"(?<=\d{{4}})\s?-\s?(?={_MONTHS}\s\d{{1,2}}\b)|(?<=\d)-(?=noon\b|midnight\b)", " to "),
    (r"\b(?P<year>\d{4})(?P<sign>[-/.])(?P<month>\d\d?)(?P=sign)(?P<day>\d\d?)(?:T(?=\d\d:)|\b)", _date),
    (r"(?<![\d./-])(?P<month>\d{1,2})(?P<sign>[/-])(?P<day>\d{1,2})(?P=sign)(?P<year>\d{4})(?![\d/-]|\.\d)", _date),
    (r"(?<![\d./-])(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>(?:1[5-9]|20)\d\d)(?![\d/-]|\.\d)", _date),
    (
        r"(?<=\b[Oo]n )(?!9/11)(?P<month>0?[1-9]|1[0-2])/(?P<day>3[01]|[12]\d|0?[1-9])(?![\d/]|\s(?:of|inch|mile)\b)",
        lambda m: f"{MONTHS[int(m['month']) - 1]} {day(m['day'])}",
    ),
    (
        rf"\b(?P<month>{_MONTHS})\s+(?P<day>{_DAYS}){_TH}{_RANGE}(?:(?P<later>{_MONTHS})\s+)?(?P<last>{_DAYS}){_TH}\b{_NO_DAY}",
        _days,
    ),
    (
        rf"(?:\b[Tt]he\s)?(?<![\d.,:/$£€-])\b(?P<day>{_DAYS}){_TH}(?:\s(?P<earlier>{_MONTHS}))?(?:\s?-\s?|\sto\s)(?P<last>{_DAYS}){_TH}\s"
        rf"(?P<month>{_MONTHS})(?!\w)",
        _days_before,
    ),
    (
        rf"\b(?P<month>{_MONTHS})(?:\s+|-)(?P<day>{_DAYS}){_TH}\b(?:-(?=\d{{4}}\b))?{_NO_DAY}",
        lambda m: f"{month(m)} {day(m['day'])}" + " " * m[0].endswith("-"),
    ),
    (
        rf"(?:\b[Tt]he\s)?\b(?P<day>{_DAYS}){_TH}(?:\s+|-)(?P<month>{_MONTHS})(?!\w)(?:-(?=\d{{4}}\b))?",
        lambda m: f"the {day(m['day'])} of {month(m)}" + " " * m[0].endswith("-"),
    ),
    (rf"\b(?P<month>{_MONTHS})(?P<year>\s\d{{4}})?\s?-\s?(?P<later>{_MONTHS})(?!\w)", _months),
    (rf"\b(?P<month>{_MONTHS})(?=\s+\d{{4}})", month),
    (rf"(?<!\w)(?P<first>\d{{1,2}}(?:[:.]\d\d)?(?:{_ANY_HALF})?)\s?-\s?(?=\d{{1,2}}(?:[:.]\d\d)?{_ANY_HALF})", r"\g<first> to "),
    (
        rf"(?P<first>(?<![\w:])\d{{1,2}}:\d\d(?:{_ANY_HALF})?|\d{_ANY_HALF})\s?-\s?(?=\d{{1,2}}\b(?!:\d\d\d)|noon\b|midnight\b|late\b)",
        r"\g<first> to ",
    ),
    (rf"(?<![\w.,])(?P<hour>\d{{1,2}})\.(?P<minute>[0-5]\d)(?={_ANY_HALF})", r"\g<hour>:\g<minute>"),
    (
        rf"(?<![\w:.,])(?P<hour>\d{{1,2}}):(?P<minute>\d\d)(?::(?P<second>[0-5]\d))?(?P<tenths>\.\d+)?(?![\d:]|,\d{{3}})"
        rf"(?:{_HALF}|(?P<zone>Z)\b)?",
        _time,
    ),
    (rf"(?<![\w.,])(?P<hour>\d{{1,2}})(?P<minute>){_HALF}", _time),
    (r"\b(?P<hour>0\d)(?P<minute>[0-5]\d)(?=\s?(?:hours|hrs|h)\b)", _hours),
    (r"(?<=\b[Aa]t )(?P<hour>1\d|2[0-4])(?P<minute>[0-5]\d)(?=\s?(?:hours|hrs|h)\b)", _hours),
    (
        r"(?<![\w.,])(?P<hour>\d{1,3})\s?h(?:rs?)?\s?(?P<minute>\d{1,2})(?:\s?m(?:in)?)?(?:\s?(?P<second>\d{1,2})\s?s(?:ec)?)?\b",
        _lasting,
    ),
    (r"(?<![\w.,])(?P<hour>)(?P<minute>\d{1,3})\s?m(?:in)?\s?(?P<second>\d{1,2})\s?s(?:ec)?\b", _lasting),
    (
        r"\b(?!Ratio|Odds|Scale)(?P<book>[A-Z][a-z]+)\s(?P<first>\d{1,3}):(?P<last>\d{1,3})(?![\d:,])",
        r"\g<book> \g<first> \g<last>",
    ),  # Genesis 1:1
    (r"(?<![\w.,:])(?P<first>\d+(?:\.\d+)?):(?P<last>\d[\d,]*(?:\.\d+)?)(?![\d:])", r"\g<first> to \g<last>"),
]
# Rules for texts that may have no digit.
NAMES: Rules = [
    (rf"\b(?P<first>{_WEEKDAYS})\b\.?\s?-\s?(?P<last>{_WEEKDAYS})\b", _weekdays),
    (rf"\b(?P<first>{any_of(WEEKDAYS)})\b(?:\.?(?=,?\s+(?:{_MONTHS}|\d))|\.(?=,))(?P<last>)", _weekdays),
    (r"\b(?P<first>Mon|Tues?|Wed|Thurs?|Thu|Fri|Sat|Sun)\.(?=\s+(?:and|or|to|through|at|from)\b)(?P<last>)", _weekdays),
    (rf"\b(?P<month>{_MONTHS})(?P<year>)-(?P<later>{_MONTHS})(?!\w)", _months),
    (r"\b(?P<month>Jan|Feb|Mar|Apr|Aug|Sept?|Oct|Nov|Dec)\.(?!\w)", lambda m: ending(m, month(m))),
]
