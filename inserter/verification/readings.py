"""Check the numbers of a written text against a recogniser's text, without our own spoken form.

The word error rate compares what was heard with the spoken form. If that form is wrong, voice and
reference agree. A recogniser writes numbers as people do ("Type 100", "$5 million"). The
recogniser's text is therefore compared with the text as it was written.

For English, Whisper's own normaliser (transformers) turns words into digits. The normaliser shares
no code with `inserter.text.spoken`.
"""

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import cache

from inserter.tables import Verified
from inserter.text.spoken.characters import decimals

# Numbers up to this one are not checked. Recognisers take small numbers for words ("to", "for"),
# and months that are written in digits are heard by name.
SMALL = 12
SCALES = {
    "k": 3,
    "m": 6,
    "mn": 6,
    "b": 9,
    "bn": 9,
    "t": 12,
    "tn": 12,
    "hundred": 2,
    "thousand": 3,
    "million": 6,
    "billion": 9,
    "trillion": 12,
}
NAMES = {"$": "dollar|cent", "£": "pound|pence|penny|sterling", "€": "euro|cent", "¥": "yen|yuan", "%": r"per\s?cent"}
ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_DIGITS = re.compile(r"\d{1,3}(?:[,\u00a0\u202f]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?")
_SCALED = re.compile(rf"(?P<sign>[$£€¥])?\s?(?P<number>{_DIGITS.pattern})[\s-]?(?P<scale>{'|'.join(SCALES)})\b", re.I)
_FRACTION = re.compile(r"(?<![\d/])(?:\d+\s)?\d{1,2}/\d{1,2}(?![\d/])")
_ROMAN = re.compile(r"\b(?:[IVXLCDM]{2,}|[IVX])\b")
_BELOW_ZERO = re.compile(r"(?<![\w)])[-–−]\s?[$£€¥]?[\d.]|minus", re.I)
_GROUPED = re.compile(r"\d+(?:[.,'’:\u00a0\u202f ]\d+)*")  # what may be one number in any language


def at_risk(written: str, spoken: str, language: str) -> bool:
    """Return whether the spoken form has a number that is written as digits, numerals or letters.

    Digits count in any language. Numerals and letters count in English: there the spoken form has a
    number that the written form lacks.
    """
    if any(character.isdecimal() for character in written):
        return True
    return language == "en" and bool(set(_named(spoken)) - set(_named(written)))


def disagreement(written: str, wrote: str, language: str) -> str | None:
    """Return how the numbers of `wrote` contradict those of `written`; None if they agree.

    wrote: a recogniser's text.
    """
    written, wrote = decimals(written), decimals(wrote)
    return _english(written, wrote) if language == "en" else _elsewhere(written, wrote)


def contradicted(row: Verified) -> str | None:
    """Return the contradiction in a row of VERIFIED; None if a recogniser that was asked agrees."""
    texts = [text for text in (row["wrote"], row["second_wrote"]) if text is not None]
    found = [disagreement(row["written"], text, row["language"]) for text in texts]
    return found[-1] if found and all(found) else None


def _english(written: str, wrote: str) -> str | None:
    heard = {*map(_plain, _DIGITS.findall(wrote)), *_named(wrote)}
    wanted = _wanted(written)
    lost = next((readings[0] for readings in wanted if not heard & {*readings} and _telling(readings[0])), None)
    known = {*_named(written), *map(str, _romans(written))}.union(*wanted)
    strange = next((number for number in _named(wrote) if number not in known and _telling(number)), None)
    in_a_row = _run(readings[0] for readings in wanted)
    if (lost or strange) and in_a_row not in (_run(_named(wrote)), _run(_DIGITS.findall(wrote))):
        return f"{lost} is not heard" if lost else f"{strange} is heard"
    for sign, names in NAMES.items():
        if sign in written and not re.search(rf"{re.escape(sign)}|{names}", wrote, re.I):
            return f"{sign} is not heard"
    if re.search(r"\bminus\b", wrote, re.I) and not _BELOW_ZERO.search(written):
        return "minus is heard"
    return None


def _elsewhere(written: str, wrote: str) -> str | None:
    """Return the contradiction in a language other than English, or None.

    There a recogniser's number words stay words, so only its digits can contradict.
    """
    whole = _GROUPED.findall(written)
    known = {*map(_run, ([number] for number in whole)), *(part for number in whole for part in re.split(r"[:.\s]", number))}
    strange = next((number for number in _GROUPED.findall(wrote) if len(_run([number])) > 1 and _run([number]) not in known), None)
    return f"{strange} is heard" if strange and whole else None


def _wanted(text: str) -> list[tuple[str, ...]]:
    """Return the ways in which a recogniser may write each number in digits.

    5m is 5 or 5000000, £5m only 5000000. Fractions are left out, since they have other names.
    """
    text = _FRACTION.sub(" ", text)
    scaled = {match.start("number"): match for match in _SCALED.finditer(text)}
    found: list[tuple[str, ...]] = []
    for match in _DIGITS.finditer(text):
        scale = scaled.get(match.start())
        number = _plain(match[0])
        large = f"{Decimal(number).scaleb(SCALES[scale['scale'].lower()]):f}" if scale else number
        found.append((_plain(large),) if scale and scale["sign"] else (number, _plain(large)))
    return found


def _telling(number: str) -> bool:
    return Decimal(number) > SMALL or "." in number


def _plain(number: str) -> str:
    """Return a number without grouping, leading zeros, and zeros at the end of a fraction.

    12,500.00 becomes 12500.
    """
    value = Decimal(re.sub(r"[^\d.]", "", number))
    return f"{value.normalize():f}"


def _named(text: str) -> list[str]:
    """Return the numbers of an English text, whether they are written in digits or in words."""
    return [_plain(number) for number in _DIGITS.findall(_normaliser()(re.sub(r"[\[\]()<>]", " ", text)))]


def _romans(text: str) -> Iterable[int]:
    for numeral in _ROMAN.findall(text):
        values = [ROMAN[letter] for letter in numeral]
        yield sum(-v if v < after else v for v, after in zip(values, [*values[1:], 0], strict=True))


def _run(numbers: Iterable[str]) -> str:
    """Return all digits in a row: 8, 10 and 12 may be written 8, 1012."""
    return re.sub(r"\D", "", "".join(numbers))


@cache
def _normaliser() -> Callable[[str], str]:
    # Import transformers only where something is heard.
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

    return EnglishTextNormalizer({})
