"""The spoken form of written English: what a voice is given to read, and what a transcript is compared with.

Rules run in order; each turns one kind of writing into words (num2words reads the numbers). The result has letters,
spaces and the punctuation a voice phrases by (`. , ; : ? ! ' -`): no digit, no symbol.
"""

import re
import unicodedata
from collections.abc import Callable

from stages.common.spoken import numbers
from stages.common.spoken.words import ENDINGS, MONARCHS, MONTHS, NUMBERED, SYMBOLS, TITLES, UNITS


def speakable(spoken: str) -> bool:
    """Is there a letter in the spoken form, so that a voice has something to say?"""
    return any(character.isalpha() for character in spoken)


def spoken_form(text: str) -> str:
    """`text` as it is read aloud: numbers, years, ordinals, money, dates, times, abbreviations and symbols in words.

    English, American dates. Letters of other scripts stay; emoji and unknown symbols go. "" when nothing is left.
    """
    text = _plain_characters(text)
    for pattern, replace in _RULES:
        text = pattern.sub(replace, text)
    for symbol, word in SYMBOLS.items():
        text = text.replace(symbol, f" {word} ")
    return _tidy(text)


_TYPOGRAPHY = str.maketrans(
    {"’": "'", "‘": "'", "ʼ": "'", "`": "'", "“": '"', "”": '"', "«": '"', "»": '"', "⁄": "/"}
    | {"−": "-", "‐": "-", "‑": "-", "–": "—", "―": "—", "№": "No. ", "²": " squared", "³": " cubed"}
    | {"™": None, "®": None, "©": None}
)


def _plain_characters(text: str) -> str:
    """Typographic variants as plain characters; accents of Latin letters folded (é → e), as lexicons have them."""
    text = re.sub(r"(?<=\d)\s?(?=[¼-¾⅐-⅞])", " and ", text).translate(_TYPOGRAPHY)
    text = unicodedata.normalize("NFKD", text).translate(_TYPOGRAPHY)
    text = re.sub(r"(?<=[A-Za-z])[\u0300-\u036f]+", "", text)
    text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)
    return unicodedata.normalize("NFC", text)


def _any_of(words: dict[str, str] | tuple[str, ...]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_SCALE = r"(?:[\s-](?P<scale>hundred|thousand|million|billion|trillion)\b)?"
_MONTH = rf"(?P<month>{_any_of(MONTHS)}|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec)\b\.?)"
_DAY = r"(?P<day>[12]?\d|3[01])"
_RANGE = rf"(?<![\d.,])(?P<first>{_NUMBER})-(?P<last>{_NUMBER})(?![\d-])"
_HALF = r"\s?(?P<half>[aApP]\.?[mM]\b\.?)"

_Replace = str | Callable[[re.Match], str]
_TABLE: list[tuple[str, _Replace]] = [
    (
        r"(?:https?://|www\.)[^\s\"'<>)]*[A-Za-z0-9/]|[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
        lambda m: re.sub(r"^https?:", "", m[0]).replace(".", " dot ").replace("/", " slash "),
    ),
    (r"(?<![\w.])\.(?=\d)", "0."),
    (r"(?<=\d)\s?—\s?(?=\d)", "-"),
    (r"\s*(?:—|--+)\s*|\s+-\s+", ", "),
    (rf"\b(?P<word>{_any_of(TITLES)})\.(?!\w)", lambda m: TITLES[m["word"]]),
    (rf"\b(?P<word>{_any_of(ENDINGS)})\.(?!\w)", lambda m: numbers.ending(m, ENDINGS[m["word"]])),
    (r"\bSt\.(?=\s+[A-Z])", "Saint"),
    (r"\bSt\.", lambda m: numbers.ending(m, "Street")),
    (r"\bNos?\.\s?(?=\d)|#(?=\d)", "number "),
    (rf"\b(?P<before>{_any_of(NUMBERED)}|{_any_of(MONARCHS)})\s+(?P<numeral>[IVXLC]+)\b(?!\.\w)", numbers.numeral),
    (r"(?<![\w.])([A-HJ-Z])\.(?=\s+[A-Z])", r"\1"),  # an initial; not I, which may end a sentence
    (rf"(?<!\w)(?P<hour>\d{{1,2}}):(?P<minute>\d\d)(?::\d\d)?(?!\d)(?:{_HALF})?", numbers.time),
    (rf"(?<![\w.,])(?P<hour>\d{{1,2}})(?P<minute>){_HALF}", numbers.time),
    (r"\b(?:[A-Za-z]\.){2,}", numbers.initials),
    (r"\b(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)\b", numbers.date),
    (r"\b(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})\b", numbers.date),
    (
        rf"\b{_MONTH}\s+{_DAY}(?:st|nd|rd|th)?\b(?![,.]?\d)",
        lambda m: f"{numbers.month(m)} {numbers.day(m['day'])}",
    ),
    (rf"\b{_DAY}\s+{_MONTH}\b", lambda m: f"the {numbers.day(m['day'])} of {numbers.month(m)}"),
    (rf"\b{_MONTH}(?=\s+\d{{4}})", numbers.month),
    (rf"(?:US)?(?P<sign>[$£€¥])\s?(?P<amount>{_NUMBER}){_SCALE}", numbers.money),
    (  # a telephone number
        r"(?<!\d)(?:\d{3}-)?\d{3}-\d{4}(?![\d-])",
        lambda m: ", ".join(numbers.digits(part) for part in m[0].split("-")),
    ),
    (rf"(?<=\d)\s?(?P<unit>{_any_of(UNITS)})\b", lambda m: " " + UNITS[m["unit"]]),
    (r"(?<=\d)\s(?=\d+/\d)", " and "),
    (r"(?<![\d/])(?P<top>\d{1,4})/(?P<bottom>\d{1,4})(?![\d/])", numbers.fraction),
    (r"(?P<number>\d{1,3}(?:,\d{3})+|\d{1,15})(?:st|nd|rd|th|(?<=[23])d)\b", lambda m: numbers.number(m["number"], "ordinal")),
    (r"'?(?<![\d,.])(?P<year>\d{1,4})(?P<mark>'?)s\b", numbers.decade),
    (_RANGE, numbers.span),
    (rf"(?<![\w-])-(?={_NUMBER})", "minus "),
    (r"(?<![\d.,])(?:1[1-9]|20)\d\d(?![\d%]|[.,]\d)", lambda m: f" {numbers.year(m[0])} "),
    (_NUMBER, lambda m: f" {numbers.number(m[0])} "),
]
_RULES = [(re.compile(pattern), replace) for pattern, replace in _TABLE]


def _heard(character: str) -> str:
    if character in ".,;:?!'-" or character.isalpha() or unicodedata.category(character).startswith("M"):
        return character
    return " " if character.isspace() or character in "/_\\" else ""


def _tidy(text: str) -> str:
    """One line: brackets as pauses, unknown characters dropped, no doubled punctuation, none at the start."""
    text = "".join(map(_heard, re.sub(r"[()\[\]{}]", ", ", text)))
    text = re.sub(r"(?<!\w)['-]+|['-]+(?!\w)(?<!s')", " ", text)  # an inner ' or -, and the ' of a plural, stay
    text = re.sub(r"\s+([.,;:?!])", r"\1", " ".join(text.split()))
    text = re.sub(r"[.,;:]*([?!])[.,;:?!]*|[.,;:]*(\.)[.,;:]*|[,;:]*([,;:])", lambda m: m[1] or m[2] or m[3], text)
    text = re.sub(r"([.,;:?!])(?=\w)", r"\1 ", text)
    return " ".join(text.split()).lstrip(".,;:?!- ")
