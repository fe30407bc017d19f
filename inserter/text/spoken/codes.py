"""Read numbers that name things and are not quantities.

Examples are versions, addresses, telephone numbers, aircraft, rooms and forms.
"""

import re

from inserter.text.spoken.numbers import digits, name, number, words, year
from inserter.text.spoken.refusal import CannotRead
from inserter.text.spoken.words import CURRENCY, NAMED, SOFTWARE, STATES, STREETS, Rules, any_of


def _version(match: re.Match[str]) -> str:
    """Read 3.10.1 as three point ten point one, and lists such as 3.9 and 3.10."""
    versions = match["number"].replace("-", " to ")
    return re.sub(r"\d+(?:\.\d+)*", lambda version: " point ".join(map(number, version[0].split("."))), versions)


def _points(match: re.Match[str]) -> str:
    """Read a chain of numbers with points between them.

    192.168.0.1 is an IP address, 1.234.567 is one number of grouped digits, and 3.5.1 is a version.
    Raises CannotRead for a chain that is a date or a version.
    """
    parts, port = match["parts"].split("."), match["port"]
    section = re.search(r"(?:[Ss]ection|[Cc]hapter|[Vv]ersion|[Pp]art|[Rr]ule|[Cc]lause)\s$", match.string[: match.start()])
    if len(parts) == 4 and not section and all(int(part) < 256 for part in parts):
        read = " dot ".join(digits(part) if len(part) == 3 else number(part) for part in parts)
        return read + {None: "", ":": f" colon {digits(port or '')}", "/": f" slash {number(port or '0')}"}[match["sign"]]
    if re.fullmatch(r"(?:0[1-9]|[12]\d|3[01])\.(?:0[1-9]|1[0-2])\.\d\d", match["parts"]) and not section:
        raise CannotRead("cannot_read: a date or a version")
    if len(parts[0]) <= 3 and all(len(part) == 3 for part in parts[1:]):
        return ",".join(parts)
    return " point ".join(map(number, parts)) + (f"{match['sign']}{port}" if port else "")


def _in_groups(match: re.Match[str]) -> str:
    return ", ".join(digits(part) for part in re.findall(r"^\(?\+?1\)?[-. ]?\(?\d{3}|\d+", match[0]))


def _chain(match: re.Match[str]) -> str:
    """Read 978-3-16-148410-0 in groups of digits, and 4-4-2 in numbers."""
    return _in_groups(match) if re.search(r"\d{3}", match[0]) else match[0].replace("-", " ")


def _named(match: re.Match[str]) -> str:
    """Read a name with a number: Boeing 737-800, Route 101, Flight 1549."""
    after = " " * bool(re.match(r"(?!s\b)[A-Za-z]", match.string[match.end() :]))
    return f"{match['before']} {' '.join(map(name, re.findall(r'[0-9]+', match['number'])))}{after}"


def _house(match: re.Match[str]) -> str:
    house = match["number"]
    return f"{digits(house) if len(house) > 4 else name(house)}{' ' + match['flat'] if match['flat'] else ''} "


def _section(match: re.Match[str]) -> str:
    """Read a section of a law: 401(k), 501(c)(3)."""
    return f"{name(match['number'])} " + " ".join(part.upper() for part in re.findall(r"\w", match["parts"]))


_TELEPHONE = (
    # A North American number.
    r"(?<![\w-])(?:\(\+1\)\s?\d{3}[-. ]|(?:\+?1[-. ]?)?\(\d{3}\)[\s-]?|(?:\+?1[-. ])?\d{3}[-. ])\d{3}[-. ]\d{4}(?![\d-])"
    r"|(?<![\d-])\d{3}-\d{4}(?![\d-])"
    # +44 20 7946 0958.
    r"|\+\d{1,3}\s?\(0\)\s?\d{2,5}(?:[ -]\d{2,8}){1,4}(?!\d)|\+\d{1,3}(?:[ -]\(?\d{1,8}\)?){2,5}(?!\d)"
    r"|(?<![\w-])\d{5}-\d{4}(?![\w-])"
    r"|(?<![\w.,-])0\d{2,4}[ -]\d{3,4}(?:[ -]?\d{3,4})?(?![\d-])"
    r"|\(0\d{2,4}\)\s?\d{3,4}[ -]\d{3,4}(?![\d-])|\b\d{4}(?: \d{4}){3}\b"  # a bank card
    r"|(?<=\b[Cc]all )(?:911|999|112)\b|(?<=\b[Dd]ial )\d+"
)
_HOUSE = (
    r"(?<![\w.,$#-])(?P<number>\d{3,5})(?P<flat>[A-Z])?\s(?=(?:[NSEW]\.?\s)?(?:[A-Z0-9][\w.'-]*\s){1,3}"
    rf"(?:{any_of(STREETS)})(?:\b|\.))"
)
_CODED = any_of(code for code in CURRENCY if code.isupper())
_AND = r"(?:,\s|,?\s(?:and|or|to)\s|-)"
RULES: Rules = [
    (r"(?<=\d)\.x\b", " point x"),
    (r"(?<=[A-Z][A-Z])\.(?=\d)", " dot "),
    (
        rf"(?P<before>\b[Vv]ersion|\b[Vv]er\.|\b[Rr]elease|\b(?:{any_of(SOFTWARE)}))(?P<between>\s|-)v?(?P<number>\d+(?:\.\d+)+(?:{_AND}\d+(?:\.\d+)+)*)",
        lambda m: f"{m['before'].replace('er.', 'ersion')}{m['between']}{_version(m)}",
    ),
    (r"\bv\.?\s?(?P<number>\d+(?:\.\d+)*)(?=\b)", lambda m: f"version {_version(m)}"),
    (_TELEPHONE, _in_groups),
    (r"(?<![\w.,])(?P<parts>\d+(?:\.\d+){2,})(?:(?P<sign>[:/])(?P<port>\d+))?", _points),
    (r"(?<=[A-Z])-(?P<year>\d{4})-(?P<number>\d+)\b", lambda m: f" {year(m['year'])} {digits(m['number'])} "),
    (r"(?<=[A-Z])(?:\.\d+){2,}\b", lambda m: " " + " ".join(map(number, re.findall(r"\d+", m[0]))) + " "),
    (r"(?P<number>\b[45]\d\d)(?P<parts>\([a-z]\)(?:\(\d\))*|(?<=\b401)k\b)", _section),
    (rf"(?P<before>\b(?:{any_of(NAMED)}))\s(?P<number>\d{{3,4}}(?:-\d{{1,3}})?)(?![\d,]|\.\d|s\b|-\d)", _named),
    (r"(?<![\w-])(?P<before>)(?P<number>7\d7-\d{1,3})(?=\b|ER|LR|s\b)", _named),
    (r"(?<=\b[A-Z])\.(?=\d{2,})", "-"),
    (rf"(?<![\w.-])(?!{_CODED})(?P<before>[A-Z]{{1,3}})-?(?P<number>\d{{3}}(?:-\d{{3}})?)(?![\d,-]|\.\d)", _named),
    (r"(?<!\d)(?P<number>\d{3,4})(?P<line>[pi])\b", lambda m: f"{name(m['number'])} {m['line'].upper()}"),
    (_HOUSE, _house),
    (
        rf"(?P<before>\b(?:{STATES})|\b(?i:zip(?:\scode)?))\s(?P<number>\d{{5}}(?:-\d{{4}})?)(?![\d,-])",
        lambda m: f"{m['before']} {_in_groups(m)}",
    ),
    (r"\bISBN(?:-1[03])?:?\s\d[\d -]{8,15}[\dX]\b", lambda m: f"ISBN {_in_groups(m)}{' X' if m[0].endswith('X') else ''}"),
    (r"(?<![\w-])\d+(?:-\d+){2,}(?![\w-])", _chain),
    (
        r"\b(?P<number>[23])d(?=\s(?:print|model|graphic|game|movie|film|image|scan|render|animat|object|view|map))",
        lambda m: f"{words(int(m['number']))} D",
    ),
    (
        r"\b(?P<number>[2-6])g(?=\s(?:network|phone|signal|data|coverage|spectrum|tower|technolog|service|connect|mobile|rollout))",
        lambda m: f"{words(int(m['number']))} G",
    ),
]
