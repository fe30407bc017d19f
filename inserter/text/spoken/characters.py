"""Make the characters of any language plain, and keep what a voice reads of the others."""

import re
import unicodedata

import regex

from inserter.text.spoken.refusal import CannotRead

URL = r"(?:https?://|www\.)[^\s\"'<>)]*[A-Za-z0-9/]|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
# A web address without www.
SITE = r"\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|org|net|gov|edu|info|io)\b(?:/[\w./?=&%~-]*\w)?"
# Endings of files and domains in a text. None is an English word, because the blank behind a full
# stop may be missing ("late.It rained").
_KINDS = (
    "txt pdf docx? xlsx? pptx? html? css jsx? tsx? json ya?ml toml xml csv tsv md py ipynb rb rs php java cpp sh bat exe dll ini "
    "cfg conf log sql zip tar gz iso jpe?g png gif svg webp mp[34] wav flac avi mkv NET com COM org ORG net gov edu io uk de fr es "
    "nl ru jp cn au ca eu ch se dk fi pl br ai app dev"
)
_ENDING = "|".join(_KINDS.split())
FILE = rf"(?<![\w.])[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.(?:{_ENDING})\b(?![.][A-Za-z]|\()(?:/[\w./?=&%~-]*\w)?"

_TYPOGRAPHY = str.maketrans(
    {"’": "'", "‘": "'", "ʼ": "'", "`": "'", "“": '"', "”": '"', "«": '"', "»": '"', "⁄": "/", "∶": ":"}
    | {"−": "-", "‐": "-", "‑": "-", "–": "—", "―": "—", "№": "No. ", "²": " squared", "³": " cubed"}
    | {"。": ". ", "、": ", ", "™": None, "®": None, "©": None}
)


def plain(text: str) -> str:
    """Return typographic variants as plain characters, and Latin letters without accents (é → e).

    English lexicons have words without accents.
    """
    text = re.sub(r"(?<=\d)\s?(?=[¼-¾⅐-⅞])", " and ", text).translate(_TYPOGRAPHY)
    text = unicodedata.normalize("NFKD", text).translate(_TYPOGRAPHY)
    text = re.sub(r"(?<=[A-Za-z])[\u0300-\u036f]+", "", text)
    return unicodedata.normalize("NFC", decimals(text))


def decimals(text: str) -> str:
    """Return `text` with the decimal digits of every script as 0 to 9.

    Raises CannotRead for a digit of a Unicode that is newer than Python's, whose value is unknown.
    """
    if text.isascii():
        return text
    text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)
    if _NEW_DIGIT.search(text):
        raise CannotRead("cannot_read: a form of number")
    return text


# Unicode knows for every script which signs end a sentence or a part of one. So no such sign is
# deleted because it is unknown here.
_ASKS = "[?!？！؟፧‼⁇⁈⁉]"
_ENDS = rf"(?:(?!{_ASKS})\p{{Sentence_Terminal}})"
_NEW_DIGIT = regex.compile(r"[\p{Nd}--[0-9]]", regex.V1)
_PARTS = r"(?:(?!\p{Sentence_Terminal})\p{Terminal_Punctuation})"
_RUN_OF_STOPS = regex.compile(  # the strongest stop stays
    rf"(?:{_ENDS}|{_PARTS})*({_ASKS})\p{{Terminal_Punctuation}}*|{_PARTS}*({_ENDS})(?:{_ENDS}|{_PARTS})*|{_PARTS}*({_PARTS})"
)
_NARROW = r"(?![、。，！？：；．｡､])\p{Terminal_Punctuation}"  # wide stops include a blank
_SPOKEN = regex.compile(
    r"[\p{L}\p{M}\p{Nd}\p{Terminal_Punctuation}'\-·་՚-՟\u200c\u200d--[\p{Me}\p{Variation_Selector}ـ፡]]", regex.V1
)
_BLANK = regex.compile(r"[\s/_\\፡|¦¡¿•‣⁃※⁂・]|\p{Dash}")  # not spoken, but words end here
# Signs that nobody speaks: emoji with the characters that join and colour them, ornaments, bullets,
# quotation marks and marks of markup.
_SILENT = regex.compile(
    r"[\p{Extended_Pictographic}\p{Regional_Indicator}\p{Emoji_Modifier}\p{Default_Ignorable_Code_Point}\p{Variation_Selector}"
    r"\p{C}\p{Me}\p{Quotation_Mark}[\p{So}&&[\u2500-\u27bf\U0001f000-\U0001faff]]*~^`´¨ـ--[♭♮♯➕➖➗✖]]",
    regex.V1,
)
_BRACKET = regex.compile(r"(?!\p{Quotation_Mark})[\p{Ps}\p{Pe}]")
# Joiners in the spelling of Persian and Hindi.
_JOINS = r"(?:(?<=[\p{L}\p{M}])(?<!\p{Latin})[\u200c\u200d](?=\p{L}))"
_UNUSUAL = re.compile(r"[^A-Za-z0-9 .,;:?!'-]")  # all other characters are spoken as they stand
# An ' or - inside a word stays, and so does the ' of a plural.
_LOOSE = regex.compile(r"(?<!\w)['-]+|['-]+(?!\w)(?<!s')")


def heard(character: str) -> str:
    """Return what a voice reads of a character: the character, a blank or nothing.

    Raises CannotRead for any other sign, because it means something.
    """
    if _SPOKEN.match(character):
        return character
    if _BLANK.match(character):
        return " "
    if _SILENT.match(character):
        return ""
    raise CannotRead(f"cannot_read: {character}")


def tidy(text: str, pause: str = ", ") -> str:
    """Return `text` on one line with only what a voice reads.

    Brackets become pauses. Emoji, ornaments and quotation marks are dropped. No punctuation is
    doubled, and none stands at the start. Raises CannotRead for any other sign that is not a
    letter, a digit or punctuation, because such a sign means something.
    """
    text = regex.sub(rf"{_JOINS}(*SKIP)(*FAIL)|[\u200c\u200d]|#(?=\p{{L}})", "", _BRACKET.sub(pause, text))
    text = regex.sub("(?<![lL])·|·(?![lL])", " ", text)  # the dot stays in Catalan col·legi
    text = _LOOSE.sub(" ", _UNUSUAL.sub(lambda m: heard(m[0]), text))
    text = regex.sub(r"\s+(\p{Terminal_Punctuation})", r"\1", " ".join(text.split()))
    text = _RUN_OF_STOPS.sub(lambda m: m[1] or m[2] or m[3], text)
    text = regex.sub(rf"({_NARROW})(?=\w)", r"\1 ", text)
    return regex.sub(r"^[\p{Terminal_Punctuation}\s-]+", "", " ".join(text.split()))
