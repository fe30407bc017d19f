"""Read money, units and the size letters of numbers (10k, 5m) in words."""

import re

from inserter.text.spoken.numbers import NUMBER, number, words
from inserter.text.spoken.words import CURRENCY, PER, SCALES, UNITS, Rules, any_of

ONE = {"feet": "foot", "inches": "inch"}


def _one(name: str) -> str:
    """Return a unit in the singular: kilometers an hour → kilometer an hour."""
    first, blank, rest = name.partition(" ")
    if first in ("square", "cubic"):
        return f"{first} {_one(rest)}"
    return ONE.get(first, first if first in ("hertz", "revolutions") else first.removesuffix("s")) + blank + rest


_PER = {written: _one(name) for written, name in UNITS.items()} | PER


def _money(match: re.Match[str]) -> str:
    """Read money: $5, $1.50, £5m, EUR 2.5bn, $5-10 million, $5m-$10m, $20/hr."""
    parts = match.groupdict()
    sign, last = parts["sign"], parts.get("last")
    amount, scale = parts["amount"], _scale(parts, "")
    per = f" per {_PER.get(parts['per'], parts['per'])}" if parts.get("per") else ""
    if not last:
        return _sum(amount, scale, sign) + per
    more = _scale(parts, "last_")
    if not (scale or more) and ("." in amount or "." in last):
        return f"{_sum(amount, '', sign)} to {_sum(last, '', sign)}{per}"
    first = f"{number(amount)} {scale}".rstrip()
    return f"{first} to {number(last)} {more} {CURRENCY[sign][1]}".replace("  ", " ") + per


def _scale(parts: dict[str, str | None], prefix: str) -> str:
    letter = parts[f"{prefix}letter"]
    return parts[f"{prefix}scale"] or (SCALES[letter] if letter else "")


def _sum(amount: str, scale: str, sign: str) -> str:
    one, many, cent, cents = CURRENCY[sign]
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


# What is counted in millions and not measured in meters: "5m people" and "1.5m new jobs", but not
# "a 5m wall", "5m of cable" and "5m waves".
_MEASURED = (
    r"(?!(?:tall|deep|wide|high|long|thick|away|above|below|from|of|to|in|at|by|and|or|off|on|up|down|apart|"
    r"is|was|has|as|its|this|underwater|behind|ahead|short|under|over|across|per|for|with|waves|swells|"
    r"walls|hurdles|cables|ropes|ladders|poles|boards|intervals|steps|lengths|depths|heights|contours|sprints|"
    r"races|finals|heats|events|medals|swims|titles|starts|less|plus|past|against|towards|backstroke|"
    r"breaststroke)\b)"
)
_PLURAL = r"(?:people|children|men|women|sq|[A-Za-z]+(?<!s)s)\b"
_KIND = (
    r"(?:(?:new|more|extra|young|active|additional|other|older|poor|foreign|working|unemployed|registered|monthly|daily|weekly|"
    r"regular|unique|paying|fewer|small|annual|square|US|[A-Z]\w+(?:an|ish|ese))\s)?"
)
_COUNTED = re.compile(rf"(?:\s?(?:-|to|and|or)\s?[\d.,]+\s?[mM])?\s{_KIND}{_MEASURED}{_PLURAL}")
_MILLIONS = re.compile(r"\b(?:population|sold|sales|audience|circulation|viewers|followers|users|votes|copies)\b[^.;]{0,25}$")
_PLACE = re.compile(
    r"(?i:\b(?:apartment|apt\.?|room|flat|suite|gate|seat|unit|section|form|line|bus|row|train|platform|group|team|grade|class|level|"
    r"type|figure|table|building|block|lot|exit|pier|track)\s)$"
)
_KILO = re.compile(
    r"\s(?:races?|runs?|walks?|courses?|distances?|fun|swim|row|TVs?|videos?|resolution|monitors?|displays?|screens?|UHD|footage|"
    r"cameras?|Ultra|content|streaming|projectors?|Blu-ray|filings?|forms?)\b|/"
)
_RAN = re.compile(
    r"\b(?:[Rr]an|[Rr]un(?:ning|s)?|walk(?:ed|ing)?|finish(?:ed)?|annual|charity|local|entered|won)\s"
    r"(?:(?:an?|the|my|her|his|our|their)\s)?(?:\w+\s)?$"
)


def _size(match: re.Match[str]) -> str:
    """Read the size letter of 10k, 1.5m and 3B, which are not money.

    The letter stays where it is not a size.
    """
    letter, before, at = match["letter"], match.string[: match.start()], match.end()
    counted = bool(_COUNTED.match(match.string, at) or re.match(r"(?:\sof\sthem|-(?:strong|plus))\b", match.string[at:]))
    if re.search(r"[A-Za-z]\d*-$", before):
        is_size = False  # i7-8700K
    elif letter in "kK":
        distance = _KILO.match(match.string, at) and not ("." in match["number"] or match["number"].endswith("000"))
        is_size = not (distance or (_RAN.search(before) and not counted))
    elif letter == "m":
        is_size = counted or bool(_MILLIONS.search(before))
    elif letter == "M":
        is_size = counted or (match["number"] != "3" and not _PLACE.search(before))
    else:
        is_size = (counted or "." in match["number"]) and not _PLACE.search(before)
        is_size = is_size or bool(re.match(r"[\s-](?:parameter|token|view|user)\b", match.string[at:]))
    return f"{match['number']} {SCALES[letter]}" if is_size else match[0]


def _powered(name: str, power: str | None) -> str:
    """Return a unit with its power: square meters, cubic feet, but a second squared."""
    if not power:
        return name
    if name == "second":
        return f"{name} {'squared' if power == '2' else 'cubed'}"
    return f"{'square' if power == '2' else 'cubic'} {name}"


def _unit(match: re.Match[str]) -> str:
    """Read a unit after a number: km, m^2, mg/dL.

    The unit is in the singular after 1 and in "a 5-km run".
    """
    name, power, per = UNITS[match["unit"]], match["power"], match["per"]
    before = match.string[max(match.start() - 20, 0) : match.start()]
    if re.search(r"[A-Za-z]-?\d+$", before):
        return match[0]
    if match[0].startswith("-") or re.search(r"(?<![\d.,/])1$", before):
        name = _one(name)
    name = _powered(name, power)
    if per:
        name += f" per {_powered(_PER[per], match['per_power'])}"
    return f" {name}"


_CODES = [code for code in CURRENCY if code[0].isalpha()]
_SIGN = rf"(?P<sign>(?<![A-Za-z])(?:{any_of(_CODES)})|{any_of(code for code in CURRENCY if not code[0].isalpha())})"
_WORD = r"[\s-](?P<{0}scale>hundred|thousand|million|billion|trillion|lakh crore|lakh|crore)\b"
_LETTER = r"\s?(?P<{0}letter>(?:(?<=\s)(?:mn|mln|bn|bln|tn|trn|[mMbB])|(?<=\d)(?:mn|mln|bn|bln|tn|trn|MM|mm|[kKmMbBtT])))\b"
_SCALE = f"(?:{_WORD}|{_LETTER})?"
_DECIMAL = r"(?<![\d.,])(\d+),(\d{1,2})(?![\d,])"

RULES: Rules = [
    (
        rf"(?:(?<=€)|(?<=€\s))(\d+),(\d{{1,2}})(?![\d,])|(?<=[$£€])(\d+),(\d)(?=\s?(?:[mk]|mn|bn|million|billion)\b)|{_DECIMAL}(?=\s?(?:[€%°]|(?:kg|km|cm|mm|ml|million|billion)\b))",
        lambda m: ".".join(filter(None, m.groups())),
    ),
    (rf"(?<![\w)-])-(?={_SIGN}\s?\d)", "minus "),
    (
        rf"{_SIGN}\s?(?P<amount>{NUMBER}){_SCALE.format('')}"
        rf"(?:\s?-\s?(?P=sign)?(?P<last>{NUMBER}){_SCALE.format('last_')}(?![\d%]))?(?:/(?P<per>[A-Za-z]+)\b)?",
        _money,
    ),
    (
        rf"(?<![\w.,])(?P<amount>{NUMBER}){_SCALE.format('')}\s?(?P<sign>{any_of(set(CURRENCY) - {'Rs'})})(?![\w$])(?!\s?\d)"
        r"(?:/(?P<per>[a-z]+)\b)?",
        _money,
    ),
    (r"(?<![\w.,])1\s?¢", "one cent"),
    (rf"(?P<number>{NUMBER})x(?=\d)", r"\g<number> by "),
    (r"(?<=\d)\sx\s(?=10\^)", " times "),
    (r"(?<=[\da-z\"'])\sx\s(?=\d)", " by "),
    (r"(?<![\d.,])(\d{1,3}(?:\.\d+)?)\s?bps\b", r"\1 basis points"),
    (r"\bsq(?:\.\s?|-)(?=(?:ft|mi|km|m)\b)", "sq "),
    (r"(?<=\d)\s?(L|l|kWh|g)/(?=100\s?km\b)", r" \1 per "),
    (r"(?<=\d)(?P<letter>[kKmMB]|bn|mn|tn)-(?=\d[\d.,]*(?P=letter)\b)", r"\g<letter> to "),
    (rf"(?P<number>{NUMBER})\s?(?P<letter>mn|mln|bn|bln|tn|trn)\b", lambda m: f"{m['number']} {SCALES[m['letter']]}"),
    (rf"(?<![\w.])(?P<number>{NUMBER})(?P<letter>[mMbBtTkK])\b(?!')", _size),
    (rf"(?P<number>{NUMBER})\s(?P<letter>m)(?={_COUNTED.pattern})", r"\g<number> million"),
    (r"(?<=\d)\s?(?:ft\.?|feet|')\s?(\d{1,2}(?:\.\d)?)\s?(?:in\b\.?|inches)", r" feet \1 inches"),
    (r"(?<=\d)in\b(?!-)", " inches"),
    (r"(?<=\d)\s?'\s?(\d{1,2})\"", r" \1"),
    (r"(?<=\d)°\s?(\d+)'(?:\s?(\d+(?:\.\d+)?)\")?", lambda m: f" degrees {m[1]} minutes" + (f" {m[2]} seconds" if m[2] else "")),
    (r"(?:(?<=\.\d)|(?<=\.\d\d)|(?<=\.\d\d\d)|(?<=\d)\s)s\b", " seconds"),
    (r"(?<=\d)\"(?=\s(?:x\b|by\b|TVs?|screens?|monitors?|displays?|pipes?|wheels?|tires?|tall|wide|long|deep|thick))", " inches"),
    (rf"(?<=\d)(?P<first>%|\s?(?:{any_of(UNITS)}))\s?-\s?(?={NUMBER}\s?(?:%|{any_of(UNITS)})(?!\w))", r"\g<first> to "),
    (r"(?<=\d)\s?(km|cm|mm|m|ft)([23])\b", r" \1^\2"),
    (
        rf"(?:(?<=\d)[\s-]?|(?:(?<=hundred)|(?<=thousand)|(?<=illion))\s)(?P<unit>{any_of(UNITS)})"
        rf"(?:\^(?P<power>[23]))?(?:/(?P<per>{any_of(_PER)})(?:\^(?P<per_power>[23]))?)?(?!\w)(?:\.(?=\s+[a-z]))?",
        _unit,
    ),
    (
        rf"(?P<number>{NUMBER})(?:[x×](?!\w|\s?[-+=^²³*])|X(?=\s(?:faster|slower|more|less|larger|smaller|better|the|as)\b))",
        r"\g<number> times",
    ),
]
