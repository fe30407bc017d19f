"""Turn Chinese text into its spoken form.

The grammars of WeTextProcessing read numbers, dates, money, times and units. Forms that the
grammars do not know are rewritten first: full-width signs, grouped digits, ranges of percentages
and addresses.
"""

import re
import unicodedata
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

import regex

from inserter.text.spoken.characters import SITE, URL, decimals, heard
from inserter.text.spoken.refusal import CannotRead
from inserter.text.words import HAN

if TYPE_CHECKING:
    from wetext import Normalizer

CURRENCY = {
    "HK$": "港元",
    "US$": "美元",
    "NZ$": "新西兰元",
    "NT$": "新台币",
    "MX$": "墨西哥比索",
    "C$": "加元",
    "A$": "澳元",
    "S$": "新加坡元",
    "R$": "雷亚尔",
    "₩": "韩元",
    "₹": "卢比",
    "￥": "元",
    "¥": "元",
    "$": "美元",
    "€": "欧元",
    "£": "英镑",
}
SYMBOLS = {
    "&": "和",
    "+": "加",
    "=": "等于",
    "@": " at ",
    "%": "百分之",
    "°": "度",
    "×": "乘",
    "÷": "除以",
    "<": "小于",
    ">": "大于",
    "±": "正负",
    **CURRENCY,
}
DIGITS = str.maketrans("0123456789〇", "零一二三四五六七八九零")
SIZES = {"k": 10**3, "m": 10**6, "mn": 10**6, "b": 10**9, "bn": 10**9, "tn": 10**12}
METERS = {"m": "米", "km": "公里", "cm": "厘米", "mm": "毫米"}
RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
POWERS = {"²": "的平方", "³": "的立方"}
PUNCTUATION = str.maketrans(
    {",": "，", ";": "，", ":": "，", "—": "，", "｡": "。", "?": "？", "!": "！"}
    | dict.fromkeys("()[]{}【】〔〕〖〗", "，")
    | dict.fromkeys("-/_\\~·・", " ")
)


@lru_cache(maxsize=1)
def _library() -> "Normalizer":
    from wetext import Normalizer

    return Normalizer(lang="zh", operator="tn")


def _raised(match: re.Match[str]) -> str:
    """Read a power: 10^6, 10^-3."""
    exponent = match["exponent"]
    return f"{match['base']}的{'负' if exponent[0] == '-' else ''}{_read(exponent.lstrip('-'))}次方"


def _between(match: re.Match[str]) -> str:
    """Read a range of money: $5-10m, $5m-$8m and $3.5-4.5万.

    A size after the last amount alone holds for both amounts.
    """
    sizes = [SIZES[size.lower()] if size else 1 for size in (match["size"] or match["last_size"], match["last_size"])]
    first, last = (Decimal(match[part]) * size for part, size in zip(("first", "last"), sizes, strict=True))
    return f"{first.normalize():f}{match['many'] or ''}到{last.normalize():f}{match['last_many'] or ''}{CURRENCY[match['sign']]}"


def _score(match: re.Match[str]) -> str:
    """Read a falling pair such as 112-108 as a score.

    The pair is not a score where it is a sum, or where the text after it makes it a range: 30-20度,
    9-5点. Raises CannotRead where the pair is a house number, a room, a model number or a blood
    pressure.
    """
    before, after = match.string[: match.start()], match.string[match.end() :]
    if int(match["first"]) <= int(match["last"]) or re.match(r"\s*(?:=|等于|得)", after):
        return match[0]
    if re.match(r"\s*(?:[室号栋座楼弄路]|单元)", after) or re.search(r"(?:编号|型号|血压|门牌|房间?)\s?$", before):
        return _no_reading(match)
    if re.match(r"\s*(?:[点年]|公斤|公里)", after) or before.endswith("公元前"):
        return f"{match['first']}到{match['last']}"
    if "到" in _read(match[0] + after[:4].replace("到", "")):  # the library knows the unit
        return match[0]
    return "比".join(_counted(match[part]) for part in ("first", "last"))


def _points(match: re.Match[str]) -> str:
    return f"{match[1]}{_counted(match[2])}比{_counted(match[3])}"


def _counted(number: str) -> str:
    """Read 112 as a number of points; alone, the library takes it for the emergency number."""
    return _read(f"{number}分").removesuffix("分") if len(number) == 3 else number


def _no_reading(match: re.Match[str]) -> str:
    raise CannotRead(f"cannot_read: {match[0]}")


_NUMBER = r"\d+(?:\.\d+)?"
_SIGNS = "|".join(map(re.escape, sorted(CURRENCY, key=len, reverse=True)))
_MANY = r"[十百千]?[万亿]|千"
_LETTERS = r"[kK]|[mM]n?|[bB]n?|tn"
_BEFORE = [
    (re.compile(pattern), replace)
    for pattern, replace in (
        (f"{URL}|{SITE}", lambda m: _address(m[0])),
        (r"(?<=\d),(?=\d{3}(?!\d))", ""),
        (r"(?<![\d/])24/7(?![\d/])|(?<![A-Za-z])(?!(?:HK|US|NZ|NT|MX|[CASR])\$)[A-Z]{1,3}\$\d", _no_reading),
        (r"(?P<base>\d+|(?<![A-Za-z])[A-Za-z])\^(?P<exponent>-?\d+)(?!\.?\d)", _raised),
        (r"(?<=[A-Za-z0-9)])\^|(?<=\d)\*\*(?=\d)", _no_reading),
        (r"±(?=\d)", "正负"),
        (
            r"(?<![A-Za-z])(?P<name>[A-Z]{2,}(?:/[A-Z])?\s?)(?P<number>(?!(?:19|20)\d\d-)\d{3,6})-(?P<year>(?:19|20)\d\d)(?!\d)",
            lambda m: f"{m['name']}{m['number']} {m['year']}".translate(DIGITS),
        ),
        (r"(?<=[(（])((?:1[1-9]|20)\d\d)\s?[-—–~]\s?((?:1[1-9]|20)\d\d)(?=[)）])", lambda m: f"{m[1]}到{m[2]}".translate(DIGITS)),
        (r"(?<=第)(\d+)-(?=\d+[章节页回集条卷课期届名])", r"\1到"),
        # An aircraft.
        (r"(?<![\d-])(7\d7)-(\d{3})(?![\d-])", lambda m: f"{m[1]}{m[2]}".translate(DIGITS)),
        (r"(?<![\d.:-])(?P<first>\d{1,3})-(?P<last>\d{1,3})(?![\d.:%-])", _score),
        (
            rf"(?P<sign>{_SIGNS})(?P<first>{_NUMBER})(?:(?P<size>{_LETTERS})|(?P<many>{_MANY}))?\s?[-—–~]\s?(?P=sign)?"
            rf"(?P<last>{_NUMBER})(?:(?P<last_size>{_LETTERS})|(?P<last_many>{_MANY}))?元?(?![\d.A-Za-z-])",
            _between,
        ),
        (r"(?<!\d)((?:1\d|20)\d0)s(?![A-Za-z])", r"\1年代"),
        (r"(?<!\d)(\d{4})[-/](\d{2})(?=\s?(?:赛季|学年|财年|年度))", lambda m: f"{m[1]}到{m[2]}".translate(DIGITS)),
        (r"(比分[是为:\s]{0,3}|以)(\d{1,3}):(\d{1,3})(?![:\d])", _points),
        (r"(?<![\d.])\d+(?:\.\d+){2,}(?![\d.])", lambda m: _version(m[0])),
        (rf"(?<![\d.])({_NUMBER})-({_NUMBER})%", r"\1%到\2%"),
        (rf"(?<![\d.])({_NUMBER})‰", r"千分之\1"),
        (
            rf"({_SIGNS})({_NUMBER})([kK]|[mM]n?|[bB]n?|tn)(?![A-Za-z])|(?<![\d.])({_NUMBER})([kK]|[mM]n?|[bB]n?|tn)(?=\s?(?:美元|欧元|英镑|元))",
            lambda m: f"{m[1] or ''}{int(Decimal(m[2] or m[4]) * SIZES[(m[3] or m[5]).lower()])}",
        ),
        (
            rf"({_SIGNS})\s?({_NUMBER}(?:\s?[十百千]?[万亿])?)元?",
            lambda m: f"{m[2]}{CURRENCY[m[1]]}",
        ),
        (r"(?<!\d)(1\d\d)[ -](\d{4})[ -](\d{4})(?!\d)", r"\1\2\3"),  # a mobile number
        (
            r"(?<!\d)(0\d{2,3})[- ](\d{4,8})(?:[- ](\d{4}))?(?!\d)",  # a number with its area code
            lambda m: f"{m[1]}{m[2]}{m[3] or ''}".translate(DIGITS),
        ),
        (r"\b[Nn]o\.\s?(?=\d)", "第"),
        (r"(?<=%)\s?[-—–~]+\s?(?=\d)", "到"),
        (r"(?<=\d)\s?[—–~]+\s?(?=\d)", "~"),
        (r"(?<=[A-Za-z])-(?=\d)", " "),
    )
]
_CLAUSE = re.compile(r"[^，。？！、\n]*[0-9$€£￥%][^，。？！、\n]*")
_RUN_OF_STOPS = re.compile(r"[，。、]*([？！])[，。？！、]*|[，、]*(。)[，。、]*|、*(，)[，、]*|(、)+")


def chinese(text: str) -> str:
    """Return Chinese characters, Latin words as they are, and the punctuation `，。？！、`.

    The result is "" when nothing is left. Raises CannotRead for a sign or a number without a
    reading.
    """
    text = _plain(text)
    for pattern, replace in _BEFORE:
        text = pattern.sub(replace, text)
    text = _CLAUSE.sub(lambda m: _read(m[0]), text)
    for symbol, word in SYMBOLS.items():
        text = text.replace(symbol, word)
    return _tidy(text.translate(DIGITS))


def _plain(text: str) -> str:
    """Return compatibility characters (full-width, circled, fractions) as plain characters.

    The punctuation stays Chinese.
    """
    power = r"(?<![A-Za-z])((?!m)[A-Za-z]|\d)([²³])(?![⁰¹²³⁴-⁹])(\s*\+)?"
    text = re.sub(power, lambda m: m[1] + POWERS[m[2]] + ("加" if m[3] else ""), text)
    text = re.sub(r"(?<![\dA-Za-z])([kcm]?m)([²³])", lambda m: f"{'平方' if m[2] == '²' else '立方'}{METERS[m[1]]}", text)
    text = re.sub(r"(?<=\d)[⁰¹²³⁴-⁹⁻]+", lambda m: "^" + m[0].translate(RAISED), text)
    text = re.sub(r"(\d\s?)?([¼-¾⅐-⅞])", lambda m: f"{m[1]}又{_vulgar(m[2])}" if m[1] else _vulgar(m[2]), text)
    text = re.sub("[\u2160-\u2188]", lambda m: f"{unicodedata.numeric(m[0]):.0f}", text)  # Ⅳ
    text = re.sub(r"[《》〈〉]", "", text.replace("…", "，"))
    text = unicodedata.normalize("NFKC", text).replace("⁄", "/").replace("∶", ":").replace("−", "-")
    text = re.sub(r"[,;!?](?!\d)", lambda m: {",": "，", ";": "，", "!": "！", "?": "？"}[m[0]], decimals(text))
    return text.replace("¥", "￥")


def _address(address: str) -> str:
    return re.sub(r"^https?://", "", address).rstrip("/").replace(".", "点").replace("/", "斜杠")


def _vulgar(fraction: str) -> str:
    """Return a fraction such as ½ in words, because the library takes 3½小时 for 31 halves."""
    top, bottom = unicodedata.normalize("NFKC", fraction).split("⁄")
    return f"{bottom}分之{top}".replace("10", "十").translate(DIGITS)


def _version(number: str) -> str:
    """Read a version or an address: 3.5.1, 192.168.0.1. A date such as 2024.5.1 stays.

    If one part has three or more digits or a leading zero, all parts are read digit by digit.
    """
    parts = number.split(".")
    if len(parts) == 3 and len(parts[0]) == 4 and 1 <= int(parts[1]) <= 12 and 1 <= int(parts[2]) <= 31:
        return number
    by_digit = any(len(part) > 2 or (len(part) > 1 and part[0] == "0") for part in parts)
    return "点".join(part.translate(DIGITS) if by_digit else _read(part) for part in parts)


@lru_cache(maxsize=10_000)
def _read(clause: str) -> str:
    try:
        return str(_library().normalize(clause))
    except AssertionError:
        # The grammars cannot parse the clause, so it is read digit by digit.
        return clause


def _heard(character: str) -> str:
    if character.isalpha() or character in "，。？！、.'":
        return character
    if character.isspace():
        return " "
    return "" if character == "#" or not regex.match(r"\p{Terminal_Punctuation}", heard(character)) else "，"


def _tidy(text: str) -> str:
    """Return `text` on one line with blanks between Latin words only.

    No punctuation is doubled, and none stands at the start.
    """
    text = "".join(map(_heard, text.translate(PUNCTUATION)))
    text = re.sub(r"(?<![A-Za-z])'|'(?![A-Za-z])", " ", text)
    text = re.sub(r"\.(?=[A-Za-z])", " ", text).replace(".", "。")
    text = " ".join(text.split())
    text = re.sub(rf"\s*([{HAN}，。？！、])\s*", r"\1", text)
    # Of several stops in a row, the strongest stays.
    text = _RUN_OF_STOPS.sub(lambda m: str(m[m.lastindex or 0]), text)
    return text.lstrip("，。？！、 ")
