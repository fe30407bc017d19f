"""Read Roman numerals as numbers or as ordinals, and leave letters that are not numerals."""

import re
from collections.abc import Callable

from inserter.text.spoken.numbers import words, year
from inserter.text.spoken.words import MONARCHS, NUMBERED, RULERS, STARTERS, Rules, any_of

_VALUE = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_WELL_FORMED = re.compile(r"M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")


def roman(numeral: str) -> int:
    """Return the value of a well-formed Roman numeral up to 3,999; 0 for anything else."""
    if not numeral or not _WELL_FORMED.fullmatch(numeral):
        return 0
    values = [_VALUE[letter] for letter in numeral]
    return sum(-v if v < after else v for v, after in zip(values, [*values[1:], 0], strict=True))


# In "Part I played", a single I before one of these is the speaker. Forms that also follow a
# numbered thing ("Part I was", "Title I provided") are not here.
_SPEAKER = re.compile(
    r"I(?:'(?:m|ve|ll|d)|\s+(?:am|have|do|did|don't|didn't|can't|cannot|couldn't|won't|wouldn't|haven't|hadn't|never|always|just|also|"
    r"still|really|actually|once|ever|think|thought|knew|know|play(?:ed)?|met|meet|saw|see|said|say|told|tell|want(?:ed)?|likes?d?|"
    r"loved?|hated?|need(?:ed)?|bought|buy|got|get|took|take|made|make|wrote|write|read|hear|heard|feel|felt|found|find|used?|"
    r"own(?:ed)?|gave|give|chose|choose|prefer(?:red)?|remember(?:ed)?|hoped?|believed?|guess|suppose|mean|meant|attended|taught|"
    r"teach|missed|recommend|passed|failed|fought|watch(?:ed)?|order(?:ed)?|borrowed|admired?|work(?:ed)?|lived?|came|went|go|"
    r"call(?:ed)?|expect(?:ed)?|ask(?:ed)?|understand|understood|agreed?|wish|trust(?:ed)?|mention(?:ed)?))\b"
)
# After a lower-case noun, a single I is a number only where one of these follows: "a type I error",
# but "the part I liked best".
_COUNTED = re.compile(
    r"I(?:\s+(?:and|or|to)\s+[IVX]+|[-/][IVX]+|\s+(?:errors?|diabetes|trials?|study|studies|clinical|collagen|interferons?|cancers?|"
    r"tumou?rs?|hypersensitivity|reactions?|fib(?:er|re)s?|diabetics?|disease|patients|drugs?|recalls?|rail(?:road|way)s?))\b"
)
_BETWEEN = r"\s?[-/&]\s?|,?\s(?:and|or|to|through)\s|,\s"
_ONE = r"[IVXLCDM]+(?:[a-e]|(?<=[IVX])[AB])?(?!\w)"
_LIST = rf"{_ONE}(?:(?:{_BETWEEN}){_ONE})*"
_SINGLES = {noun.lower(): singles for noun, singles in NUMBERED.items()} | {"appendice": NUMBERED["Appendix"]}


def _read(numerals: str, singles: str, say: Callable[[int], str]) -> str:
    """Read each numeral of "I, II-IV and VIIb" by `say`, as far as the values rise.

    In "World War II, and I know" the I stays, because the values do not rise. What is not a
    numeral stays, and so does a single letter that is not in `singles`.
    """
    parts, before = re.split(rf"({_BETWEEN})", numerals), 0
    for place in range(0, len(parts), 2):
        letters = parts[place].rstrip("abcdeAB")
        value = roman(letters) if len(letters) > 1 or letters in singles else 0
        if value <= before:
            break
        parts[place], before = f"{say(value)} {parts[place][len(letters) :].upper()}".rstrip(), value
        if place:
            parts[place - 1] = {"-": " to ", "/": " "}.get(parts[place - 1].strip(), parts[place - 1])
    return "".join(parts)


def _the(value: int) -> str:
    return f"the {words(value, 'ordinal')}"


def _numbered(match: re.Match[str]) -> str:
    """Read Chapter IV, Parts I and II, phase IIb and Act V.

    Type C and "the Part I played" stay.
    """
    before, numerals, at = match["before"], match["numerals"], match.start("numerals")
    noun, small = before.lower(), before.islower()
    singles = next(_SINGLES[name] for name in (noun, noun[:-1], noun[:-2]) if name in _SINGLES)
    if numerals == "I" and not match.string[: match.start()].endswith("World "):
        speaker = not _COUNTED.match(match.string, at) if small else _SPEAKER.match(match.string, at)
        if speaker:
            return match[0]
    return f"{before} {_read(numerals, singles, words)}"


def _monarch(match: re.Match[str]) -> str:
    """Read Henry VIII, and Louis XIV and XV.

    "Henry I think" stays, and so does the initial in "George V. Smith".
    """
    numerals, rest = match["numerals"], match.string[match.end() :]
    if numerals == "I" and _SPEAKER.match(match.string, match.start("numerals")):
        return match[0]
    if numerals in "VX" and re.match(rf"\.?\s+(?!(?:{any_of(STARTERS)})\b)[A-Z][a-z]", rest):
        return match[0]
    return f"{match['before']} {_read(numerals, 'IVX', _the)}"


def _bearer(match: re.Match[str]) -> str:
    """Read the numeral of John D. Rockefeller III as an ordinal."""
    return f"{match['before']} {_the(roman(match['numerals']))}"


def _plain(match: re.Match[str]) -> str:
    """Read a numeral after another name: Apollo XI, Apple IIe."""
    return f"{match['before']} {_read(match['numerals'], '', words)}"


_NAME = r"[A-Z][\w'-]*[a-z]"
_SMALL = r"(?!X+\b)X{0,3}(?:IX|IV|V?I{0,3})"  # up to 39; a row of X alone is a size or kisses
RULES: Rules = [
    (r"\bWW\s?(?=II?\b)", "World War "),
    (rf"\b(?P<before>(?i:{any_of(_SINGLES)})(?:e?s|S)?)\s+(?P<numerals>{_LIST})", _numbered),
    (
        r"\b(?P<before>Scene|Act|Chapter|Canto|Book|[Pp]ages?)\s(?P<numerals>[ivxl]+(?:-[ivxl]+)?)\b",
        lambda m: f"{m['before']} {_read(m['numerals'].upper(), 'IVX', words)}",
    ),
    (r"\biPhone X(?=[SR]\b)", "iPhone ten "),
    (
        rf"\b(?P<before>(?:{any_of(RULERS)})\s{_NAME}|{any_of(MONARCHS)})\s+"
        rf"(?P<numerals>[IVX]+(?:(?:{_BETWEEN})[IVX]+)*)\b",
        _monarch,
    ),
    (
        rf"\b(?P<before>(?:(?:{any_of(MONARCHS)})\s(?:[A-Z]\.?\s)?|[A-Z]\.\s){_NAME},?)\s"
        r"(?P<numerals>II|III|IV|VI{1,3})\b",
        _bearer,
    ),
    (
        r"\b(?P<numerals>[VX]|[IVX]{2,})(?=\s(?:century|centuries|Corps|Airborne|Olympiad|Legion|[Dd]ynasty|Amendment|edition|(?:(?:Winter|Summer)\s)?(?:Para|O)lympics?)\b)",
        lambda m: words(value, "ordinal") if (value := roman(m["numerals"])) else m[0],
    ),
    (
        r"\b(?P<numerals>I{1,3})(?=\s(?:Kings|Chronicles|Corinthians|Thessalonians|Maccabees)\b)",
        lambda m: words(roman(m["numerals"]), "ordinal").capitalize(),
    ),
    (
        rf"\b(?P<before>(?!(?:{any_of(STARTERS)}|Or|Via|Per|Start|Give|No|Under)\b){_NAME}|\d+)\s"
        rf"(?P<numerals>(?=[IVX]{{2}}){_SMALL}[a-e]?)(?!\w|\s(?:drip|fluids?|lines?|antibiotics?|bags?|access|therapy|infusions?|drugs?)\b)",
        _plain,
    ),
    (rf"\b(?=[IVX]{{3}}){_SMALL}(?!\w)", lambda m: words(roman(m[0]))),
    (r"\bM[MDCLXVI]{3,}\b", lambda m: year(str(roman(m[0]))) if roman(m[0]) else m[0]),
    (r"\((?P<numerals>[ivx]{2,}|i)\)", lambda m: f"({words(value)})" if (value := roman(m["numerals"].upper())) else m[0]),
    (r"(?m)^(?P<numerals>[IVX]{2,})\.(?=\s)", lambda m: f"{words(roman(m['numerals']))}." if roman(m["numerals"]) else m[0]),
]
