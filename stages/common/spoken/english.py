"""The spoken form of English, American style.

Rules run in order; each finds one kind of writing and turns it into words, and num2words reads the numbers. WeTextProcessing and
NeMo's grammars are not used for English: they read fewer of the cases of the tests right (docs/LOG.md).
"""

import re

from stages.common.spoken import codes, dates, numbers, quantities, roman
from stages.common.spoken.characters import SITE, URL, plain, tidy
from stages.common.spoken.numbers import ending
from stages.common.spoken.refusal import CannotRead
from stages.common.spoken.words import ENDINGS, MONTH_OF, NAMED, PAGES, STARTERS, SYMBOLS, TITLES, WEEKDAYS, Rules, any_of

_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


def english(text: str) -> str:
    """Letters, spaces and the punctuation a voice phrases by (`. , ; : ? ! ' -`): no digit, no symbol.

    Letters of other scripts stay, emoji go. "" when nothing is left. Raises CannotRead for a sign or a form of number without a
    reading: "$5,939.009.29", and "€1.000", which is one euro here and a thousand elsewhere.
    """
    text = plain(_apply(_WRITTEN, text) if not text.isascii() else text)
    text = _apply(_WORDS, text)
    if _ROMAN.search(text):
        text = _apply(_NUMERALS, text)
    text = _apply(_INITIAL, text)
    digits = _DIGIT.search(text)
    text = _apply(_LETTERS, _apply(_TIMES, text) if digits else text)
    if digits:
        if _UNREADABLE.search(text):
            raise CannotRead("cannot_read: a form of number")
        text = _apply(_NUMBERS, text)
    for symbol, word in SYMBOLS.items():
        text = text.replace(symbol, f" {word} ")
    return tidy(text)


def _apply(rules: list[tuple[re.Pattern, object]], text: str) -> str:
    for pattern, replace in rules:
        text = pattern.sub(replace, text)  # type: ignore[call-overload]
    return text


def _address(match: re.Match) -> str:
    """A web or mail address, sign by sign; who reads aloud leaves out https://."""
    rest = re.sub(r"^https?://", "", match[0]).rstrip("/")
    for sign, word in {".": "dot", "/": "slash", "?": "question mark", "-": "dash", "_": "underscore", ":": "colon"}.items():
        rest = rest.replace(sign, f" {word} ")
    return rest


def _initials(match: re.Match) -> str:
    """U.S. → U S, with its stop at the end of the text only: a capital after it is no sign of a new sentence."""
    letters = " ".join(match[0].replace(".", "").upper())
    return letters + ("" if match.string[match.end() :].strip("\"') \n") else ".")


def _raised(match: re.Match) -> str:
    return f"^{match[0].translate(_SUPERSCRIPT)}"


def _grouped(match: re.Match) -> str:
    return re.sub(r"\D", ",", match[0])


def _indian(match: re.Match) -> str:
    """1,00,000 as 100,000."""
    return f"{int(match[0].replace(',', '')):,}"


def _continental(match: re.Match) -> str:
    """1.234,56 as 1,234.56."""
    return match[0].translate(str.maketrans(".,", ",."))


def _blank_groups(match: re.Match) -> str:
    """12 345 people; not "Route 66 250 miles on", where two numbers meet: a name stands before the first."""
    named = re.search(rf"(?:\w\s[A-Z][a-z]+\.?|{any_of(NAMED)})\s$", match.string[: match.start()])
    return match[0] if named and match[0].count(" ") == 1 else _grouped(match)


def _compiled(rules: Rules) -> list[tuple[re.Pattern, object]]:
    return [(re.compile(pattern), replace) for pattern, replace in rules]


_DIGIT = re.compile(r"\d")
_ROMAN = re.compile(r"\b(?:WW)?[IVXLCDM]+(?:[a-e]|[AB])?\b|\b(?:[Pp]ages?|Scene) [ivxl]|\([ivx]+\)|\biPhone X")
_UNREADABLE = re.compile(
    r"\d,\d{3}\.\d+\.\d|(?<![\d,])\d{1,3}(?:,\d{3})+,\d{1,2}(?![\d,])"
    r"|(?:€|\bEUR)\s?\d{1,3}\.\d{3}(?![\d.,])|(?<![\d.,])\d{1,3}\.\d{3}\s?(?:€|EUR\b)"
)
_SPAN = any_of({*MONTH_OF, *WEEKDAYS, *WEEKDAYS.values(), "noon", "midnight"})
# Signs of the text as it is written, before they are made plain.
_WRITTEN = _compiled([
    (r"(?<=\d)\s?−\s?(?=\d)", " minus "),
    (r"(?<=[A-Za-z0-9)°Ωµμ])[⁰¹²³⁴-⁹⁻]+", _raised),
    (r"(?<![\d.,])[1-9]\d{0,2}(?:[\u00a0\u2007\u2009\u202f]\d{3})+(?!\d)", _grouped),
    (rf"(?<=[\w.%°])–(?=[$£€¥]?\d|(?:{_SPAN})\b)|(?<=[IVX])–(?=[IVX]+\b)", "-"),
    (rf"(?:(?<=\d)|(?<=[ap]m)|(?<=[ap]\.m\.))\s–\s(?=[$£€¥]?\d|(?:{_SPAN})\s\d)", "-"),
    (r"(?<=\d)\s?″", " inches"),
    (r"(?<=\d)′(?=\s?\d{1,2}\s?″)", " feet "),
    (r"(?<=\d)\s?º", "°"),
    (r"©\s?(?=\d)", "copyright "),
])  # fmt: skip
_WORDS = _compiled([
    (f"{URL}|{SITE}", _address),
    (r"(?<=\d)\s?—\s?(?=\d)|(?<=\d{4})\s-\s(?=\d{4}\b)", "-"),
    (r"(?:(?<=\d)|(?<=\d[apAP][mM])|(?<=\s[apAP][mM])|(?<=[ap]\.m\.))\s-\s(?=[$£€]?\d)(?![^.;]*=)", "-"),
    (r"(?<=\d)\s-\s(?=\d)", " minus "),
    (r"\s*(?:—|--+)\s*|\s+-\s+", ", "),
    (rf"\b(?P<word>{any_of(TITLES)})\.(?!\w)", lambda m: TITLES[m["word"]]),
    (rf"\b(?P<word>{any_of(ENDINGS)})\.(?!\w)", lambda m: ending(m, ENDINGS[m["word"]])),
    (rf"(?<=[a-z] )St\.(?=\s+(?:{any_of(STARTERS)})\b)", "Street."),
    (r"\bSt\.(?=\s+[A-Z])", "Saint"),
    (r"\bSt\.", lambda m: ending(m, "Street")),
    (r"\bv\.(?=\s[A-Z])", "versus"),
    (rf"\b(?P<word>{any_of(PAGES)})\.\s*(?=\d|[ivxl]+\b|(?<![Nn]o\. )(?<!p\. )[IVX]+\b)", lambda m: f"{PAGES[m['word']]} "),
    (r"(?<=\s)#(?=\s)", "number"),
    (r"\b([A-G])#", r"\1 sharp"),
    *dates.NAMES,
])  # fmt: skip
_NUMERALS = _compiled(roman.RULES)
_INITIAL = _compiled([(r"(?<![\w.])([A-HJ-Z])\.(?=\s+[A-Z])", r"\1")])  # not I, which may end a sentence
_TIMES = _compiled([
    (r"(?<![\w.])\.(?=\d)", "0."),
    (r"#(?=\d)", "number "),
    (r"\b[Cc]a?\.\s?(?=\d{3})", "circa "),
    (r"§§\s?(?=\d)", "sections "),
    (r"~\s?(?=[$£€]?\d)", "about "),
    (r"(?<![\d.,'])[1-9]\d{0,2}(?:'\d{3})+(?!\d)", _grouped),
    (r"(?<![\d.,])\d{1,3}(?:\.\d{3})+,\d{1,2}(?![\d,])", _continental),
    (r"(?<![\d.,])\d{1,2}(?:,\d\d)+,\d{3}(?![\d,])", _indian),
    (r"(?<![\d.,$£€+-])(?<!\d )\b[1-9]\d{0,2}(?: \d{3})+(?![\d-]|[ .,]\d)", _blank_groups),
    *dates.RULES,
])  # fmt: skip
_LETTERS = _compiled([(r"\b(?:[A-Za-z]\.){2,}", _initials)])
_NUMBERS = _compiled([*codes.RULES, *quantities.RULES, *numbers.RULES])
