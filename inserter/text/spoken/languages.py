"""What is known of each language whose numbers are read, from `languages.yaml`, and its whole numbers in words."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import regex
import yaml

from inserter.text.spoken.refusal import CannotRead

LIMIT = 10**9  # readings are held to a second source up to here (tests/stages/test_languages.py)


@dataclass(frozen=True)
class Language:
    """One entry of `languages.yaml`. Patterns are regular expressions; `gendered` is of a whole number without its grouping signs.

    hundreds: of the years 1100 to 1999; cents: between the two parts of money, None where 5.50 is a decimal before money too;
    `*_said` have the names of the pattern's groups. suffix: what follows an apostrophe belongs to the word (2020'de).
    amended: of a number with its name. ordinal_stop: 3. may be the third.
    """

    decimal: str
    group: str
    point: str
    minus: str
    percent: str | None = None
    percent_first: bool = False
    and_: str | None = None
    to: str | None = None
    gendered: str | None = None
    year_after: str | None = None
    masculine: tuple[tuple[str, str], ...] = ()
    amended: tuple[tuple[str, str], ...] = ()
    million: bool = False
    singular_below_two: bool = False
    hundreds: str | None = None
    cents: str | None = None
    time: str | None = None
    time_said: str = ""
    ordinal: str | None = None
    ordinal_said: str = "{n}"
    ordinal_to: int = 0
    ordinal_her: tuple[str, str] = ("$", "")
    ordinal_stop: bool = False
    suffix: bool = False
    before_names_only: bool = False
    pause: str = ", "
    blank: str = " "
    zero: str | None = None
    months: tuple[str, ...] = ()
    names: dict[str, str] = field(default_factory=dict)
    short: dict[str, str] = field(default_factory=dict)


@lru_cache(maxsize=1)
def languages() -> dict[str, Language]:
    """By ISO 639-1."""
    text = Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
    return {str(code): Language(**entry) for code, entry in yaml.safe_load(text).items()}


@lru_cache(maxsize=50_000)
def cardinal(value: int, language: str) -> str:
    """A whole number below LIMIT in words: ICU's rules (CLDR), which read right where num2words 0.5.14 does not, such as 118 in
    Italian, 71,000 in Spanish, 40 in Swedish and 581,929 in Turkish."""
    import icu_rbnf

    rules = languages()[language]
    if value >= LIMIT:
        raise CannotRead("cannot_read: a number of ten digits or more")
    if value == 0 and rules.zero:
        return rules.zero
    return regex.sub(r"[\u00ad\u200b]", "", icu_rbnf.spellout(value, language))


def ordinal(value: int, language: str) -> str:
    """1st in words, masculine: num2words', which has those of the languages that ICU's default rules write in figures."""
    from num2words import num2words

    return str(num2words(value, lang=language, to="ordinal"))
