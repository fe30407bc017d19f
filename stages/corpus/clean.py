"""Cleaning rules. Each has a name, and each use is counted under it: edits change a paragraph, filters drop it."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable

# How UTF-8 looks when it was read as Windows-1252: é → Ã©, ’ → â€™.
_MOJIBAKE = re.compile(r"Ã[\x80-\xbf€‚-™ƒˆŠŒŽ˜šœžŸ]|â€[\x80-\xbf™œžšŸ“”˜¦]|Â[\xa0-\xbf]")
_STAGE = re.compile(
    r"\s*[\[(](?:laughter|applause|inaudible|cheers|music|moment of silence|see app note\.?|pause)[^\])]{0,40}[\])]", re.I
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060\ufeff]")
_BULLET = re.compile(r"^\s*(?:[•·▪◦*]|--+|—+|\d{1,3}[.)](?=\s))\s*")
_MARKUP = re.compile(r"<[^<>]{1,200}>")


def _byte(character: str) -> bytes:
    try:
        return character.encode("cp1252")
    except UnicodeEncodeError:  # five bytes that Windows-1252 leaves open are kept as control characters
        return character.encode("latin-1")


def _repair(match: re.Match) -> str:
    try:
        return b"".join(map(_byte, match[0])).decode("utf-8")
    except UnicodeError:
        return match[0]


EDITS: list[tuple[str, Callable[[str], str]]] = [
    ("mojibake_repaired", lambda text: _MOJIBAKE.sub(_repair, text)),
    ("control_characters", lambda text: _CONTROL.sub("", text)),
    ("unicode_nfc", lambda text: unicodedata.normalize("NFC", text)),
    ("stage_directions", lambda text: _STAGE.sub("", text)),
    ("markup", lambda text: _MARKUP.sub(" ", text)),
    ("bullets", lambda text: _BULLET.sub("", text)),
    ("whitespace", lambda text: " ".join(text.split())),
]


def _share(text: str, wanted: Callable[[str], bool]) -> float:
    return sum(map(wanted, text)) / len(text)


FILTERS: list[tuple[str, Callable[[str], bool]]] = [
    ("empty", lambda text: not text),
    ("mojibake", lambda text: "\ufffd" in text or bool(_MOJIBAKE.search(text))),
    ("not_mostly_letters", lambda text: _share(text, lambda c: c.isalpha() or c.isspace()) < 0.8),
    ("repetition", lambda text: len(words := text.lower().split()) >= 20 and len(set(words)) / len(words) < 0.25),
    ("heading", lambda text: text[-1] not in ".!?:;,\"')”’" and len(text.split()) <= 15),
]


def paragraphs(text: str, edited: Counter[str], dropped: Counter[str]) -> list[str]:
    """The paragraphs of a raw document (parts between empty lines) that pass every filter, edited.

    `edited` and `dropped` count paragraphs by the name of the rule.
    """
    kept = []
    for paragraph in re.split(r"\n\s*\n", text.replace("\r\n", "\n").replace("\r", "\n")):
        for name, edit in EDITS:
            new = edit(paragraph)
            if new != paragraph:
                edited[name] += 1
            paragraph = new
        reason = next((name for name, fails in FILTERS if fails(paragraph)), None)
        if reason:
            dropped[reason] += 1
        else:
            kept.append(paragraph)
    return kept


def language(text: str) -> str:
    """ISO 639-1 code by langdetect, seeded so that the same text always gives the same answer; "" when it cannot tell."""
    from langdetect import DetectorFactory, LangDetectException, detect

    DetectorFactory.seed = 0
    try:
        return detect(text).partition("-")[0]
    except LangDetectException:
        return ""
