"""The spoken form of Chinese: WeTextProcessing's grammars read numbers, dates, money, times and units.

What they do not know (full-width signs, grouped digits, ranges of percents, addresses) is put into a writing that they do.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Any

from stages.common.spoken.characters import SITE, URL, decimals
from stages.common.words import HAN

CURRENCY = {"HK$": "港元", "US$": "美元", "￥": "元", "¥": "元", "$": "美元", "€": "欧元", "£": "英镑"}
SYMBOLS = {
    "&": "和", "+": "加", "=": "等于", "@": " at ", "%": "百分之", "°": "度", "×": "乘", "÷": "除以", "<": "小于", ">": "大于",
    "±": "正负", **CURRENCY,
}  # fmt: skip
DIGITS = str.maketrans("0123456789", "零一二三四五六七八九")
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
    text = unicodedata.normalize("NFKC", text.replace("…", "，")).replace("⁄", "/").replace("∶", ":").replace("−", "-")
    text = re.sub(r"[,;!?](?!\d)", lambda m: {",": "，", ";": "，", "!": "！", "?": "？"}[m[0]], decimals(text))
    return text.replace("¥", "￥")


def _address(address: str) -> str:
    return re.sub(r"^https?://", "", address).rstrip("/").replace(".", "点").replace("/", "斜杠")


@lru_cache(maxsize=10_000)
def _read(clause: str) -> str:
    try:
        return str(_library().normalize(clause))
    except AssertionError:  # the grammars find no way through the clause: it is read digit by digit
        return clause


def _heard(character: str) -> str:
    if character.isalpha() or character in "，。？！、.'":
        return character
    return " " if character.isspace() else ""


def _tidy(text: str) -> str:
    """One line: a blank between Latin words only, no doubled punctuation, none at the start."""
    text = "".join(map(_heard, text.translate(PUNCTUATION)))
    text = re.sub(r"(?<![A-Za-z])'|'(?![A-Za-z])", " ", text)
    text = re.sub(r"\.(?=[A-Za-z])", " ", text).replace(".", "。")
    text = " ".join(text.split())
    text = re.sub(rf"\s*([{HAN}，。？！、])\s*", r"\1", text)
    text = _RUN_OF_STOPS.sub(lambda m: str(m[m.lastindex or 0]), text)  # of several the strongest stays
    return text.lstrip("，。？！、 ")
