"""The spoken form of a language without rules of its own: its text without symbols, and its numbers where num2words knows it."""

import re

from stages.common.spoken.characters import decimals, tidy
from stages.common.spoken.numbers import in_language

_NUMBER = re.compile(r"\d{1,3}(?:[.,\u00a0\u202f]\d{3})+(?!\d)|\d+(?:[.,]\d+)?")


def other(text: str, language: str) -> str:
    """Letters and the punctuation a voice phrases by; digits stay where num2words does not know the language."""
    text = _NUMBER.sub(lambda m: _read(m[0], language), decimals(text))
    return tidy(re.sub(r"\s*[–—]\s*", ", ", text).replace("’", "'"))


def _read(number: str, language: str) -> str:
    """1.234 and 1,234 are both grouped digits, 1.5 and 1,5 decimals: which sign is which depends on the country."""
    if re.search(r"[.,\u00a0\u202f]\d{3}$", number):
        number = re.sub(r"\D", "", number)
    words = in_language(number.replace(",", "."), language)
    return number if words is None else f" {words} "
