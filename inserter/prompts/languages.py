"""Define what prompts say differently in each language.

Numbers, lists, names of languages and the gap between sentences differ.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from num2words import num2words

Lang = Literal["en", "cn"]
HAN_DIGITS = "零一二三四五六七八九"


@dataclass(frozen=True)
class Language:
    """What prompts in one language need."""

    gap: str
    """Text between two sentences."""
    number: Callable[[int], str]
    """Returns a count in words."""
    place: Callable[[int], str]
    """Returns a position in words, as in "paragraph two"."""
    listed: Callable[[Sequence[str]], str]
    """Returns words as a list in a sentence."""
    tongues: dict[str, str]
    """Languages that a prompt may ask an answer to be in: langdetect's code to name."""
    markers: tuple[str, ...]
    """Markers of a postscript."""
    word_counts: dict[str, tuple[int, ...]]
    """Numbers of words by relation, "less than" or "at least".

    An answer of 70 words (in Chinese 120 characters) can satisfy each of these numbers.
    """


def _english_list(words: Sequence[str]) -> str:
    """Return a list such as "flour, oven and yeast"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _chinese_list(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{'、'.join(words[:-1])}和{words[-1]}"


def _english_number(count: int) -> str:
    return str(num2words(count))


def han_number(number: int) -> str:
    """Return a number from 1 to 199 as it is read: 二, 十二, 二十, 一百, 一百二十."""
    if number >= 100:
        rest = number % 100
        lower = "" if not rest else f"零{han_number(rest)}" if rest < 10 else ("一" if rest < 20 else "") + han_number(rest)
        return f"一百{lower}"
    tens, ones = divmod(number, 10)
    return ("" if tens < 2 else HAN_DIGITS[tens]) + ("十" if tens else "") + (HAN_DIGITS[ones] if ones or not tens else "")


def han_count(count: int) -> str:
    """Return a count as it stands before a measure word: 两 for 2."""
    return "两" if count == 2 else han_number(count)


LANGUAGES: dict[Lang, Language] = {
    "en": Language(
        gap=" ",
        number=_english_number,
        place=_english_number,
        listed=_english_list,
        tongues={"fr": "French", "de": "German", "es": "Spanish", "it": "Italian", "pt": "Portuguese"},
        markers=("P.S.", "P.P.S."),
        word_counts={"less than": (25, 30, 40, 50, 60), "at least": (15, 20, 30, 40)},
    ),
    "cn": Language(
        gap="",
        number=han_count,
        place=han_number,
        listed=_chinese_list,
        tongues={"en": "英语", "fr": "法语", "de": "德语", "es": "西班牙语", "it": "意大利语", "pt": "葡萄牙语"},
        markers=("附言", "又及"),
        word_counts={"less than": (50, 60, 80, 100, 120), "at least": (20, 30, 40, 60)},
    ),
}
