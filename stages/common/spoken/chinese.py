"""The spoken form of Chinese: WeTextProcessing's grammars read numbers, dates, money, times and units.

What they do not know (full-width signs, grouped digits, ranges of percents, addresses) is put into a writing that they do.
"""

import re
import unicodedata
from decimal import Decimal
from functools import lru_cache
from typing import Any

import regex

from stages.common.spoken.characters import SITE, URL, decimals, heard
from stages.common.words import HAN

CURRENCY = {"HK$": "港元", "US$": "美元", "￥": "元", "¥": "元", "$": "美元", "€": "欧元", "£": "英镑"}
SYMBOLS = {
    "&": "和", "+": "加", "=": "等于", "@": " at ", "%": "百分之", "°": "度", "×": "乘", "÷": "除以", "<": "小于", ">": "大于",
    "±": "正负", **CURRENCY,
}  # fmt: skip
DIGITS = str.maketrans("0123456789〇", "零一二三四五六七八九零")
SIZES = {"k": 10**3, "m": 10**6, "mn": 10**6, "b": 10**9, "bn": 10**9, "tn": 10**12}
POWERS = {"²": "的平方", "³": "的立方"}
PUNCTUATION = str.maketrans(
    {",": "，", ";": "，", ":": "，", "—": "，", "｡": "。", "?": "？", "!": "！"}
    | dict.fromkeys("()[]{}【】〔〕〖〗", "，")
    | dict.fromkeys("-/_\\~·・", " ")
)


@lru_cache(maxsize=1)
def _library() -> Any:
    from wetext import Normalizer

    return Normalizer(lang="zh", operator="tn")


_NUMBER = r"\d+(?:\.\d+)?"
_BEFORE = [
    (re.compile(pattern), replace)
    for pattern, replace in (
        (f"{URL}|{SITE}", lambda m: _address(m[0])),
        (r"(?<=\d),(?=\d{3}(?!\d))", ""),
        (r"(?<!\d)((?:1\d|20)\d0)s(?![A-Za-z])", r"\1年代"),
        (r"(?<!\d)(\d{4})[-/](\d{2})(?=\s?(?:赛季|学年|财年|年度))", lambda m: f"{m[1]}到{m[2]}".translate(DIGITS)),
        (r"(比分[是为:\s]{0,3}|以)(\d{1,3}):(\d{1,3})(?![:\d])", r"\1\2比\3"),
        (r"(?<![\d.])\d+(?:\.\d+){2,}(?![\d.])", lambda m: _version(m[0])),
        (rf"(?<![\d.])({_NUMBER})-({_NUMBER})%", r"\1%到\2%"),
        (rf"(?<![\d.])({_NUMBER})‰", r"千分之\1"),
        (
            rf"([$€£￥])({_NUMBER})([kK]|[mM]n?|[bB]n?|tn)(?![A-Za-z])|(?<![\d.])({_NUMBER})([kK]|[mM]n?|[bB]n?|tn)(?=\s?(?:美元|欧元|英镑|元))",
            lambda m: f"{m[1] or ''}{int(Decimal(m[2] or m[4]) * SIZES[(m[3] or m[5]).lower()])}",
        ),
        (
            rf"({'|'.join(map(re.escape, CURRENCY))})\s?({_NUMBER}(?:\s?[十百千]?[万亿])?)元?",
            lambda m: f"{m[2]}{CURRENCY[m[1]]}",
        ),
        (r"(?<!\d)(1\d\d)[ -](\d{4})[ -](\d{4})(?!\d)", r"\1\2\3"),  # a mobile number
        (r"(?<!\d)(0\d{2,3})-(\d{4,8})(?!\d)", lambda m: f"{m[1]}{m[2]}".translate(DIGITS)),  # one with its area code
        (r"\b[Nn]o\.\s?(?=\d)", "第"),
        (r"(?<=%)\s?[-—–~]+\s?(?=\d)", "到"),
        (r"(?<=\d)\s?[—–~]+\s?(?=\d)", "~"),
        (r"(?<=[A-Za-z])-(?=\d)", " "),
    )
]
_CLAUSE = re.compile(r"[^，。？！、\n]*[0-9$€£￥%][^，。？！、\n]*")
_RUN_OF_STOPS = re.compile(r"[，。、]*([？！])[，。？！、]*|[，、]*(。)[，。、]*|、*(，)[，、]*|(、)+")


def chinese(text: str) -> str:
    """Chinese characters, Latin words as they are, and the punctuation `，。？！、`; "" when nothing is left."""
    text = _plain(text)
    for pattern, replace in _BEFORE:
        text = pattern.sub(replace, text)
    text = _CLAUSE.sub(lambda m: _read(m[0]), text)
    for symbol, word in SYMBOLS.items():
        text = text.replace(symbol, word)
    return _tidy(text.translate(DIGITS))


def _plain(text: str) -> str:
    """Compatibility characters (full-width, circled, fractions) as plain ones; the punctuation stays Chinese."""
    text = re.sub(r"(?<![A-Za-z])((?!m)[A-Za-z]|\d)([²³])(\s*\+)?", lambda m: m[1] + POWERS[m[2]] + ("加" if m[3] else ""), text)
    text = re.sub(r"(\d\s?)?([¼-¾⅐-⅞])", lambda m: f"{m[1]}又{_vulgar(m[2])}" if m[1] else _vulgar(m[2]), text)
    text = re.sub("[\u2160-\u2188]", lambda m: f"{unicodedata.numeric(m[0]):.0f}", text)  # Ⅳ
    text = re.sub(r"[《》〈〉]", "", text.replace("…", "，"))
    text = unicodedata.normalize("NFKC", text).replace("⁄", "/").replace("∶", ":").replace("−", "-")
    text = re.sub(r"[,;!?](?!\d)", lambda m: {",": "，", ";": "，", "!": "！", "?": "？"}[m[0]], decimals(text))
    return text.replace("¥", "￥")


def _address(address: str) -> str:
    return re.sub(r"^https?://", "", address).rstrip("/").replace(".", "点").replace("/", "斜杠")


def _vulgar(fraction: str) -> str:
    """½ in words; the library takes 3½小时 for 31 halves."""
    top, bottom = unicodedata.normalize("NFKC", fraction).split("⁄")
    return f"{bottom}分之{top}".replace("10", "十").translate(DIGITS)


def _version(number: str) -> str:
    """3.5.1 and 192.168.0.1; a date such as 2024.5.1 stays. Parts of three digits and more are read digit by digit."""
    parts = number.split(".")
    if len(parts) == 3 and len(parts[0]) == 4 and 1 <= int(parts[1]) <= 12 and 1 <= int(parts[2]) <= 31:
        return number
    by_digit = any(len(part) > 2 or (len(part) > 1 and part[0] == "0") for part in parts)
    return "点".join(part.translate(DIGITS) if by_digit else _read(part) for part in parts)


@lru_cache(maxsize=10_000)
def _read(clause: str) -> str:
    try:
        return str(_library().normalize(clause))
    except AssertionError:  # the grammars find no way through the clause: it is read digit by digit
        return clause


def _heard(character: str) -> str:
    if character.isalpha() or character in "，。？！、.'":
        return character
    if character.isspace():
        return " "
    return "" if character == "#" or not regex.match(r"\p{Terminal_Punctuation}", heard(character)) else "，"


def _tidy(text: str) -> str:
    """One line: a blank between Latin words only, no doubled punctuation, none at the start."""
    text = "".join(map(_heard, text.translate(PUNCTUATION)))
    text = re.sub(r"(?<![A-Za-z])'|'(?![A-Za-z])", " ", text)
    text = re.sub(r"\.(?=[A-Za-z])", " ", text).replace(".", "。")
    text = " ".join(text.split())
    text = re.sub(rf"\s*([{HAN}，。？！、])\s*", r"\1", text)
    text = _RUN_OF_STOPS.sub(lambda m: str(m[m.lastindex or 0]), text)  # of several the strongest stays
    return text.lstrip("，。？！、 ")
