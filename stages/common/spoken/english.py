"""The spoken form of English, American style.

Rules run in order; each finds one kind of writing and turns it into words, and num2words reads the numbers. WeTextProcessing and
NeMo's grammars are not used for English: they read fewer of the cases of the tests right (docs/LOG.md).
"""

import re
from collections.abc import Callable

from stages.common.spoken import numbers
from stages.common.spoken.characters import SITE, URL, plain, tidy
from stages.common.spoken.words import ENDINGS, MONARCHS, MONTHS, NUMBERED, PAGES, SYMBOLS, TITLES, UNITS


def english(text: str) -> str:
    """Letters, spaces and the punctuation a voice phrases by (`. , ; : ? ! ' -`): no digit, no symbol.

    Letters of other scripts stay; emoji and unknown symbols go. "" when nothing is left.
    """
    text = plain(re.sub(r"(?<=\d)\s−\s?(?=\d)", " minus ", text))
    for pattern, replace in _RULES:
        text = pattern.sub(replace, text)
    for symbol, word in SYMBOLS.items():
        text = text.replace(symbol, f" {word} ")
    return tidy(text)


def _address(match: re.Match) -> str:
    """A web or mail address, sign by sign; who reads aloud leaves out https://."""
    rest = re.sub(r"^https?://", "", match[0]).rstrip("/")
    for sign, word in {".": "dot", "/": "slash", "?": "question mark", "-": "dash", "_": "underscore", ":": "colon"}.items():
        rest = rest.replace(sign, f" {word} ")
    return rest


def _any_of(words: dict[str, str] | tuple[str, ...]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_SCALE = r"(?:[\s-](?P<scale>hundred|thousand|million|billion|trillion)\b|(?P<letter>[kKMB]|bn)\b)?"
_MONTH = rf"(?P<month>{_any_of(MONTHS)}|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec)\b\.?)"
_DAY = r"(?P<day>[12]?\d|3[01])"
_RANGE = rf"(?<![\d.,])(?P<first>{_NUMBER})-(?P<last>{_NUMBER})(?![\d-])"
_HALF = r"\s?(?P<half>[aApP]\.?[mM]\b\.?)"

_Replace = str | Callable[[re.Match], str]
_TABLE: list[tuple[str, _Replace]] = [
    (f"{URL}|{SITE}", _address),
    (r"(?<![\w.])\.(?=\d)", "0."),
    (r"(?<=\d)\s?—\s?(?=\d)", "-"),
    (r"\s*(?:—|--+)\s*|\s+-\s+", ", "),
    (rf"\b(?P<word>{_any_of(TITLES)})\.(?!\w)", lambda m: TITLES[m["word"]]),
    (rf"\b(?P<word>{_any_of(ENDINGS)})\.(?!\w)", lambda m: numbers.ending(m, ENDINGS[m["word"]])),
    (r"\bSt\.(?=\s+[A-Z])", "Saint"),
    (r"\bSt\.", lambda m: numbers.ending(m, "Street")),
    (r"\bNos?\.\s*(?=\d)|#(?=\d)", "number "),
    (r"\b[Cc]a?\.\s?(?=\d{3})", "circa "),
    (rf"\b(?P<word>{_any_of(PAGES)})\.\s?(?=\d)", lambda m: f"{PAGES[m['word']]} "),
    (r"\b([A-G])#", r"\1 sharp"),
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
    (r"\b(?P<month>Jan|Feb|Mar|Apr|Aug|Sept?|Oct|Nov|Dec)\.(?!\w)", lambda m: numbers.ending(m, numbers.month(m))),
    (rf"([$£€¥])({_NUMBER})-\1?(?=\d)", r"\2 to \1"),
    (rf"(?:US)?(?P<sign>[$£€¥])\s?(?P<amount>{_NUMBER}){_SCALE}", numbers.money),
    (  # a telephone number
        r"(?<!\d)(?:\(\d{3}\)\s?|\d{3}-)?\d{3}-\d{4}(?![\d-])|(?<=\b[Cc]all )(?:911|999|112)\b|(?<=\b[Dd]ial )\d+",
        lambda m: ", ".join(numbers.digits(part) for part in re.findall(r"\d+", m[0])),
    ),
    (rf"(?<=\d)[\s-]?(?P<unit>{_any_of(UNITS)})(?!\w)(?:\.(?=\s+[a-z]))?", numbers.unit),
    (r"(?<=\d)[kK]\b", " thousand"),
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
