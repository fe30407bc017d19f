"""Load the rules of each language whose numbers are read, and say its whole numbers in words.

The rules come from `languages.yaml`.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import regex
import yaml

from inserter.text.spoken.refusal import CannotRead

# tests/text/test_languages.py compares readings of numbers below this with a second source.
LIMIT = 10**9


@dataclass(frozen=True)
class Language:
    """One entry of `languages.yaml`. Patterns are regular expressions."""

    decimal: str
    """Decimal sign."""
    group: str
    """Sign between groups of digits. A blank or an apostrophe groups digits in every language."""
    point: str
    """Word for the decimal sign."""
    minus: str
    """Word for the minus sign."""
    percent: str | None = None
    """Word for %, where `names` does not have it."""
    percent_first: bool = False
    """Whether the word for % stands before the number."""
    and_: str | None = None
    """Word for &."""
    to: str | None = None
    """Word between the two years of a range; None: such ranges are not read."""
    gendered: str | None = None
    """Pattern of whole numbers, without grouping signs, whose form depends on a gender.

    Such a number is read only as a year, with a fraction, or beside %, one of `names` or `months`.
    """
    year_after: str | None = None
    """Pattern of the text that must precede a `gendered` year where a letter follows the year."""
    masculine: tuple[tuple[str, str], ...] = ()
    """(pattern, replacement) pairs that make a `gendered` number masculine with one of `names`."""
    amended: tuple[tuple[str, str], ...] = ()
    """(pattern, replacement) pairs that are applied to a number with its name."""
    million: bool = False
    """Whether a noun after whole millions takes one more word; such numbers are refused."""
    singular_below_two: bool = False
    """Whether a name is in the singular for all numbers below two; otherwise for 1 alone."""
    hundreds: str | None = None
    """Word for hundred in the years 1100 to 1999; None: these years are read as plain numbers."""
    cents: str | None = None
    """Text between the two parts of money; None: 5.50 is a decimal before money too."""
    time: str | None = None
    """Pattern of a time."""
    time_said: str = ""
    """Template of a spoken time, with the names of the groups of `time`."""
    ordinal: str | None = None
    """Pattern of an ordinal."""
    ordinal_said: str = "{n}"
    """Template of a spoken ordinal, with the names of the groups of `ordinal`."""
    ordinal_to: int = 0
    """Highest ordinal that is read."""
    ordinal_her: tuple[str, str] = ("$", "")
    """(pattern, replacement) that makes an ordinal feminine."""
    ordinal_stop: bool = False
    """Whether 3. may be the third."""
    suffix: bool = False
    """Whether letters after an apostrophe belong to the number's word (2020'de)."""
    before_names_only: bool = False
    """Whether whole numbers are read only beside % or one of `names`."""
    pause: str = ", "
    """Punctuation in place of a bracket or a dash."""
    blank: str = " "
    """Text between words."""
    zero: str | None = None
    """Word for 0; None: ICU's word."""
    months: tuple[str, ...] = ()
    """Names of the months; before one of them, a `gendered` number is read."""
    names: dict[str, str] = field(default_factory=dict)
    """Words for a sign or a noun beside a number: "one/many" where singular and plural differ."""
    short: dict[str, str] = field(default_factory=dict)
    """Abbreviations and their words."""


@lru_cache(maxsize=1)
def languages() -> dict[str, Language]:
    """Return the languages by ISO 639-1 code."""
    text = Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
    return {str(code): Language(**entry) for code, entry in yaml.safe_load(text).items()}


@lru_cache(maxsize=50_000)
def cardinal(value: int, language: str) -> str:
    """Return a whole number below LIMIT in words, by ICU's rules (CLDR).

    ICU reads numbers right that num2words 0.5.14 reads wrong. Examples are 118 in Italian, 71,000
    in Spanish, 40 in Swedish and 581,929 in Turkish. Raises CannotRead from LIMIT on.
    """
    import icu_rbnf

    rules = languages()[language]
    if value >= LIMIT:
        raise CannotRead("cannot_read: a number of ten digits or more")
    if value == 0 and rules.zero:
        return rules.zero
    return regex.sub(r"[\u00ad\u200b]", "", icu_rbnf.spellout(value, language))


def ordinal(value: int, language: str) -> str:
    """Return an ordinal in words, masculine, by num2words.

    ICU's default rules write the ordinals of these languages in figures.
    """
    from num2words import num2words

    return str(num2words(value, lang=language, to="ordinal"))
