"""Turn English text into its spoken form, American style.

Rules run in order. Each rule finds one form of writing and turns it into words, and num2words reads
the numbers. The grammars of WeTextProcessing and NeMo are not used for English, because they read
fewer of the test cases right (docs/LOG.md).
"""

import re
from collections.abc import Callable

from inserter.text.spoken import codes, dates, numbers, quantities, roman
from inserter.text.spoken.characters import FILE, SITE, URL, plain, tidy
from inserter.text.spoken.numbers import ending
from inserter.text.spoken.refusal import CannotRead
from inserter.text.spoken.words import CURRENCY, ENDINGS, MONTH_OF, NAMED, PAGES, STARTERS, SYMBOLS, TITLES, WEEKDAYS, Rules, any_of

_SIGNS = {".": "dot", "/": "slash", "?": "question mark", "-": "dash", "_": "underscore", ":": "colon", "#": "hash"}
_OF_YEARS = {"b": "born", "d": "died", "r": "reigned", "fl": "flourished", "est": "established"}
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


def english(text: str) -> str:
    """Return letters, spaces and the punctuation that a voice phrases by (`. , ; : ? ! ' -`).

    The result has no digit and no symbol. Letters of other scripts stay; emoji are dropped. The
    result is "" when nothing is left. Raises CannotRead for a sign or a form of number without a
    reading. Examples are "$5,939.009.29", and "€1.000", which is one euro here and a thousand
    elsewhere.
    """
    text = plain(_apply(_WRITTEN, text) if not text.isascii() else text)
    if _INNER_STOP.search(text):
        text = _apply(_FILES, text)
    text = _apply(_WORDS, text)
    if _SHORTENED.search(text):
        raise CannotRead("cannot_read: an abbreviation")
    if _ROMAN.search(text):
        text = _apply(_NUMERALS, text)
    text = _apply(_INITIAL, text)
    digits = _DIGIT.search(text)
    if digits and _HEXADECIMAL.search(text):
        raise CannotRead("cannot_read: a form of number")
    text = _apply(_LETTERS, _apply(_TIMES, text) if digits else text)
    if digits:
        if _UNREADABLE.search(text):
            raise CannotRead("cannot_read: a form of number")
        text = _apply(_NUMBERS, text)
    for symbol, word in SYMBOLS.items():
        text = text.replace(symbol, f" {word} ")
    return tidy(text)


def _apply(rules: list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]], text: str) -> str:
    for pattern, replace in rules:
        text = pattern.sub(replace, text)
    return text


def _address(match: re.Match[str]) -> str:
    """Read a web or mail address sign by sign, without https://, which nobody reads aloud."""
    rest = re.sub(r"^https?://", "", match[0]).rstrip("/")
    for sign, word in _SIGNS.items():
        rest = rest.replace(sign, f" {word} ")
    return rest


def _initials(match: re.Match[str]) -> str:
    """Read U.S. as U S, with its stop at the end of the text only.

    A capital after the initials does not show that a new sentence starts.
    """
    letters = " ".join(match[0].replace(".", "").upper())
    return letters + ("" if match.string[match.end() :].strip("\"') \n") else ".")


def _charge(match: re.Match[str]) -> str:
    """Read the charge of Ca²⁺ as two plus."""
    count = match["count"].translate(_SUPERSCRIPT)
    return f" {count or ''} {'plus' if match['sign'] == '⁺' else 'minus'} "


def _raised(match: re.Match[str]) -> str:
    return f"^{match[0].translate(_SUPERSCRIPT)}"


def _grouped(match: re.Match[str]) -> str:
    return re.sub(r"\D", ",", match[0])


def _indian(match: re.Match[str]) -> str:
    """Return 1,00,000 as 100,000."""
    return f"{int(match[0].replace(',', '')):,}"


def _continental(match: re.Match[str]) -> str:
    """Return 1.234,56 as 1,234.56."""
    return match[0].translate(str.maketrans(".,", ",."))


def _blank_groups(match: re.Match[str]) -> str:
    """Return 12 345 as 12,345.

    The two numbers of "Route 66 250 miles on" stay apart, because a name stands before the first.
    """
    named = re.search(rf"(?:\w\s[A-Z][a-z]+\.?|{any_of(NAMED)})\s$", match.string[: match.start()])
    return match[0] if named and match[0].count(" ") == 1 else _grouped(match)


def _compiled(rules: Rules) -> list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]]:
    return [(re.compile(pattern), replace) for pattern, replace in rules]


_DIGIT = re.compile(r"\d")
_INNER_STOP = re.compile(r"\w\.[A-Za-z]")
# A word without a vowel, and a letter or a known abbreviation before text that does not begin a
# sentence.
_SHORTENED = re.compile(
    r"(?<![\w.'-])(?!(?:[Hh]mm+|[Ss]hh+|[Pp]s+t|[Pp]fft|[Bb]rr+|[Tt]sk|[Gg]rr+|[Mm]m+|[Zz]zz+|nth|[Mm]hm|Rs|kr"
    r"|ft|lbs?|yds?|hrs?|yrs?|[kcm][mg]|ml|kcal|tsp|tbsp|Tbsp|mph|kph|rpm|bpm|fps|psi|sq|cu|fl|qts?)\.)"
    r"[B-DF-HJ-NP-TV-XZb-df-hj-np-tv-xz][b-df-hj-np-tv-xz]{1,4}\.(?=\s+\w)"
    r"|(?<![\w.'-])(?:[bdrs]|c(?!\.\s?\d{3})|ed|trans|est|min)\.(?=\s+(?:[a-z\d]))(?<!\d\smin\.)"
    r"|(?<![\w.'-])(?:dep|arr|Ald|[Tt]rans|Ex|Rom|Cor|obs|orig|esp|abbr|attrib|[Dd]ist|diam|freq)\.(?=\s*[\w(])"
    r"|(?<=\d(?:st|nd|rd|th)\s)(?:ed|c|Amend)\.|(?<=\d\s)pt\.(?=\s[a-z])"
)
_ROMAN = re.compile(r"\b(?:WW)?[IVXLCDM]+(?:[a-e]|[AB])?\b|\b(?:[Pp]ages?|Scene) [ivxl]|\([ivx]+\)|\biPhone X")
# Hexadecimal numbers, IPv6 addresses, MAC addresses and weeks of the year.
_HEXADECIMAL = re.compile(
    r"\b0x[0-9A-Fa-f]|\b(?:[0-9A-Fa-f]{2}[:-]){5}(?=[0-9A-Fa-f]{2}\b)|(?<!\w)::\d|[0-9a-f]::[0-9a-f]"
    r"|#(?=[a-f]*\d)[0-9a-fA-F]{6}\b|\b\d{4}-W\d\d\b"
)
_DOLLARS = any_of(code[:-1] for code in CURRENCY if len(code) > 1 and code[-1] == "$")
_UNREADABLE = re.compile(
    r"\d,\d{3}\.\d+\.\d|(?<![\d,])\d{1,3}(?:,\d{3})+,\d{1,2}(?![\d,])"
    rf"|(?<![A-Z])(?!(?:{_DOLLARS})\$)[A-Z]{{1,3}}\$\d|\d\sM(?:io|rd)\b"
    r"|(?:€|\bEUR)\s?\d{1,3}\.\d{3}(?![\d.,])|(?<![\d.,])\d{1,3}\.\d{3}\s?(?:€|EUR\b)"
)
_SPAN = any_of({*MONTH_OF, *WEEKDAYS, *WEEKDAYS.values(), "noon", "midnight"})
# Signs as they are written, before `plain` replaces them.
_WRITTEN = _compiled(
    [
        (r"(?<=\d)\s?−\s?(?=\d)", " minus "),
        (r"(?<=[A-Za-z₀-₉)\]])(?P<count>[¹²³⁴-⁹]?)(?P<sign>[⁺⁻])(?![⁰¹²³⁴-⁹])", _charge),
        (r"(?<=[A-Za-z0-9)°Ωµμ])[⁰¹²³⁴-⁹⁻]+", _raised),
        (r"(?<![\d.,])[1-9]\d{0,2}(?:[\u00a0\u2007\u2009\u202f]\d{3})+(?!\d)", _grouped),
        (rf"(?<=[\w.%°])–(?=[$£€¥]?\d|(?:{_SPAN})\b)|(?<=[IVX])–(?=[IVX]+\b)", "-"),
        (rf"(?:(?<=\d)|(?<=[ap]m)|(?<=[ap]\.m\.))\s–\s(?=[$£€¥]?\d|(?:{_SPAN})\s\d)", "-"),
        (r"(?<=\d)′\s?(?=\d{1,2}(?:\.\d)?\s?″(?!\s?[NSEW]\b))", " feet "),
        (r"(?<![\d.,])1\s?″(?!\s?[NSEW]\b)", "1 inch"),
        (r"(?<=\d)\s?″(?!\s?[NSEW]\b)", " inches"),
        (r"(?<=\d)\s?º", "°"),
        (r"©\s?(?=\d)", "copyright "),
    ]
)
_FILES = _compiled([(f"{URL}|{SITE}|{FILE}", _address), (r"\bPh\.D\.s\b", "P H Ds")])
_WORDS = _compiled(
    [
        (URL, _address),
        (r"[<>!]=|<?-+>", lambda m: {"<": "≤", ">": "≥", "!": "≠"}[m[0][0]] if m[0][-1] == "=" else "→"),
        (r"(?<!\w)(?P<with>[wc]/o?)(?=\s)", lambda m: {"w/": "with", "w/o": "without", "c/o": "care of"}.get(m["with"], m[0])),
        (r"(?<=\d)\s?—\s?(?=\d)|(?<=\d{4})\s-\s(?=\d{4}\b)", "-"),
        (r"(?:(?<=\d)|(?<=\d[apAP][mM])|(?<=\s[apAP][mM])|(?<=[ap]\.m\.))\s-\s(?=[$£€]?\d)(?![^.;]*=)", "-"),
        (r"(?<=\d)\s-\s(?=\d)", " minus "),
        (r"\s*(?:—|--+)\s*|\s+-\s+", ", "),
        (r"(?<=\d )(?:[NSEW]\. )?(?:[A-Z]\w+ ){1,2}Dr\.?(?=,)", lambda m: f"{m[0].removesuffix('.')[:-2]}Drive"),
        (rf"\b(?P<word>{any_of(TITLES)})\.(?!\w)", lambda m: TITLES[m["word"]]),
        (rf"\b(?P<word>{any_of(ENDINGS)})\.(?!\w)", lambda m: ending(m, ENDINGS[m["word"]])),
        (rf"(?<=[a-z] )St\.(?=\s+(?:{any_of(STARTERS)})\b)", "Street."),
        (r"\bSt\.(?=\s+[A-Z])", "Saint"),
        (r"\bSt\.", lambda m: ending(m, "Street")),
        (r"\bv\.(?=\s[A-Z])", "versus"),
        (r"(?<![\w.])(?P<word>[bdr]|fl|est)\.\s(?=(?:c\.\s)?1\d{3}\b|20\d\d\b)", lambda m: f"{_OF_YEARS[m['word']]} "),
        (r"(?<![\w.])c\.\s(?=AD\b)", "circa "),
        (rf"\b(?P<word>{any_of(PAGES)})\.\s*(?=\(?\d|[ivxl]+\b|(?<![Nn]o\. )(?<!p\. )[IVX]+\b)", lambda m: f"{PAGES[m['word']]} "),
        (r"(?<=\s)#(?=\s)", "number"),
        (r"\b([A-G])#", r"\1 sharp"),
        *dates.NAMES,
    ]
)
_NUMERALS = _compiled(roman.RULES)
# I is not here, because it may end a sentence.
_INITIAL = _compiled([(r"(?<![\w.])([A-HJ-Z])\.(?=\s+[A-Z])", r"\1")])
_TIMES = _compiled(
    [
        (r"(?<![\w.])\.(?=\d)", "0."),
        (r"#(?=\d)", "number "),
        (r"\b[Cc]a?\.\s?(?=\d{3})", "circa "),
        (r"§§\s?(?=\d)", "sections "),
        (r"~\s?(?=[$£€]?\d)", "about "),
        (r"(?P<sign>[$£€])\((?P<amount>\d[\d.,]*)\)", r"-\g<sign>\g<amount>"),
        (r"(?:(?<=\bGMT)|(?<=\bUTC))-(?=\d)", " minus "),
        (r"\b((?:ISO|IEC|EN|BS|DIN)(?:/[A-Z]+)?\s\d+(?:-\d+)?):(?=\d{4}\b)", r"\1 "),
        (r"(?<=\d)\*\*(?=\d)", "^"),
        (r"(?<![\w'.,])(\d{1,2})'(?=\s(?:tall|long|wide|deep|high|x|by)\b)", r"\1 feet"),
        (r"\b10[1-9]\d(?=\s(?:AD|CE)\b)", lambda m: numbers.name(m[0])),
        (r"(?<![\d.,'])[1-9]\d{0,2}(?:'\d{3})+(?!\d)", _grouped),
        (r"(?<![\d.,])\d{1,3}(?:\.\d{3})+,\d{1,2}(?![\d,])", _continental),
        (r"(?<![\d.,])(?<!\d )([1-9]\d{0,2}(?: \d{3})+),(\d{1,2})(?![\d,])", lambda m: f"{m[1].replace(' ', ',')}.{m[2]}"),
        (r"(?<![\d.,])\d{1,2}(?:,\d\d)+,\d{3}(?![\d,])", _indian),
        (r"(?<![\d.,$£€+-])(?<!\d )\b[1-9]\d{0,2}(?: \d{3})+(?![\d-]|[ .,]\d)", _blank_groups),
        *dates.RULES,
    ]
)
_LETTERS = _compiled([(r"\b(?:[A-Za-z]\.){2,}", _initials)])
_NUMBERS = _compiled([*codes.RULES, *quantities.RULES, *numbers.RULES])
