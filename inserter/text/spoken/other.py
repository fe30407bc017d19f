"""Turn text that is neither English nor Chinese into its spoken form.

The text stays as it is. Its numbers become words where `languages.yaml` has the language.
"""

import unicodedata

import regex

from inserter.text.spoken.characters import decimals, tidy
from inserter.text.spoken.languages import languages
from inserter.text.spoken.reader import reader
from inserter.text.spoken.refusal import CannotRead

_WIDE = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F) if unicodedata.category(chr(wide)) not in ("Po", "Ps", "Pe")}
_SAME = (
    str.maketrans(
        {"％": "%", "٪": "%", "−": "-", "’": "'", "ʼ": "'", "٫": ".", "٬": ","} | dict.fromkeys("\u00a0\u202f\u2009", " ")
    )
    | _WIDE
)
_WIDE_IN_NUMBER = regex.compile(r"(?<=\d)[．，：／](?=\d)")
_QUESTION, _COLON = regex.compile(r"(?<=\p{Greek}\p{M}*)[;\u037e]"), regex.compile(r"(?<=\p{Greek}\p{M}*)[·\u0387]")
_USUAL = unicodedata.normalize(
    "NFD",
    "ул|пл|просп|им|гор|обл|тыс|руб|стр|рис|проф|акад|гг|вв|вул|ul|godz|prof|av|avda|avv|dott|sig|pag|pág|núm|aprox|hab|डॉ|श्री|प्रो",
)
_ROMAN = regex.compile(  # XIV, XIXe; CD and XL are not numerals in a text
    r"(?<![\w.'-])(?=[IVX]{2}|[IVXLCDM]{3})M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})(?:er|e|ème)?(?![\w'-])"
)
# The number of a ruler in one letter: "Пётр I", "Karl V". In Italian "I" is an article.
_ONE_NUMERAL = regex.compile(r"(?:(?<=[[\p{L}\p{M}]--\p{Latin}] )[IVX]|(?<=\p{Lu}\p{Ll}+ )[IVX])(?![\w'-])", regex.V1)
_IN_NUMBER = regex.compile(r"(?<=\d)\s?[–—〜～~]\s?(?=\d)")  # a range, not a pause
_FORMULA = regex.compile(r"\^|\d\s?[x*]+\s?\d")  # 10^6 and 3 x 4
_ZERO = regex.compile("(?<=[一二三四五六七八九十零])〇|〇(?=[一二三四五六七八九〇])")
_SHORT = regex.compile(
    # A stop before a lower-case letter, before a digit or inside a word.
    r"(?<=[\p{L}\p{M}])\.(?=\s+(?!\p{Georgian})\p{Ll}|\s+\d|\p{L})"
    # A stop behind letters without a vowel.
    r"|(?<![\w.'-])(?!\p{Lu}+\.)[[\p{Latin}\p{M}]--[aeiouyAEIOUYæøœıÆØŒ]]{2,5}\."
    # A stop behind a consonant of Cyrillic, or behind a letter of Arabic, Hebrew, Devanagari or
    # Bengali.
    r"|(?<![\w.'-])(?:[бвгджзклмнпрстфхцчшщ]|[\p{Arabic}\p{Hebrew}\p{Devanagari}\p{Bengali}]\p{M}*)\.(?=\s)"
    # A stop behind a usual abbreviation, before a word or a figure.
    rf"|(?<![\w.'-])(?i:{_USUAL})\.(?=\s*\w)",
    regex.V1,
)


def other(text: str, language: str) -> str:
    """Return letters and the punctuation that a voice phrases by.

    Raises CannotRead for a formula, and for a sign, a number or an abbreviation without a reading.
    """
    text = decimals(unicodedata.normalize("NFC", text).translate(_SAME))
    text = _COLON.sub(",", _QUESTION.sub("?", _WIDE_IN_NUMBER.sub(lambda m: chr(ord(m[0]) - 0xFEE0), text)))
    text = _IN_NUMBER.sub("-", text)
    if language == "ja":
        text = _ZERO.sub("零", text)
    if _FORMULA.search(text):
        raise CannotRead("cannot_read: a formula")
    rules = languages().get(language)
    pause = rules.pause if rules else ", "
    text = text.replace("…", pause if pause == "、" else "...")
    if rules:
        text = reader(language).read(" ".join(text.split()))
    _refuse(text, language)
    return tidy(regex.sub(r"\s*[–—―]\s*", pause, text), pause)


def _refuse(text: str, language: str) -> None:
    """Raise CannotRead for figures, Roman numerals and abbreviations that are left."""
    if regex.search(r"\d", text):
        raise CannotRead("cannot_read: a form of number" if language in languages() else f"cannot_read: numbers of {language!r}")
    if _ROMAN.search(text) or ((match := _ONE_NUMERAL.search(text)) and (match[0] != "I" or language != "it")):
        raise CannotRead("cannot_read: a Roman numeral")
    if _SHORT.search(unicodedata.normalize("NFD", text)):
        raise CannotRead("cannot_read: an abbreviation")
