"""Cleaning rules. Each has a name, and each use is counted under it: edits change a paragraph, filters drop it.

docs/CORPUS.md has an example of each. The filters follow Gopher (Rae et al. 2021), C4 (Raffel et al. 2020) and FineWeb (Penedo
et al. 2024) where these make sense for one paragraph that is to be spoken.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable

import ftfy

SENTENCE_ENDS = ".!?…。！？"
CLOSING = "\"'”’»)]」』"
BOILERPLATE_WORDS = 40  # a longer paragraph may speak of cookies
BOILERPLATE = (
    "lorem ipsum", "all rights reserved", "terms of use", "terms of service", "terms and conditions", "privacy policy",
    "use cookies", "use of cookies", "uses cookies", "enable javascript", "subscribe to", "subscribe now", "sign up for",
    "sign up now", "log in to", "click here", "read more", "share this", "share on", "leave a comment", "leave a reply",
    "copyright ©",
)  # fmt: skip
CODE = ("{", "}", "()", "==", "!=", "->", "::")
LINK_SIGNS = ("http", "www.", "@", ".com", ".org", ".net", ".gov", ".edu")

_LINK = re.compile(r"https?://\S+|www\.\S+|\S+@\S+\.\w+|\b\w[\w-]*\.(?:com|org|net|gov|edu)\b\S*")
_STAGE = re.compile(
    r"\s*[\[(](?:laughter|applause|inaudible|cheers|music|moment of silence|see app note\.?|pause)[^\])]{0,40}[\])]", re.I
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060\ufeff]")
_BULLET = re.compile(r"\s*(?:[•·▪◦*]|--+|—+|\d{1,3}[.)](?=\s))\s*")
_MARKDOWN = re.compile(r"\*\*|__|`|^\s*#{1,6}\s+", re.M)
_MARKUP = re.compile(r"</?[a-zA-Z!][^<>]{0,200}>|&(?:nbsp|amp|quot|lt|gt|#\d{1,5});")

Edit = Callable[[str], str]
Test = Callable[[str], bool]


def _where(signs: str, pattern: re.Pattern[str], new: str) -> Edit:
    """`pattern` replaced, in a text that has one of the characters `signs` at all: most have none, and looking is quick."""
    return lambda text: pattern.sub(new, text) if any(sign in text for sign in signs) else text


EDITS: list[tuple[str, Edit]] = [
    ("mojibake_repaired", lambda text: text if text.isascii() else ftfy.fix_encoding(text)),
    ("control_characters", lambda text: _CONTROL.sub("", text)),
    ("unicode_nfc", lambda text: unicodedata.normalize("NFC", text)),
    ("stage_directions", _where("([", _STAGE, "")),
    ("markup", _where("<&", _MARKUP, " ")),
    ("markdown", _where("*_`#", _MARKDOWN, "")),
    ("bullets", lambda text: text[match.end() :] if (match := _BULLET.match(text)) else text),
    ("whitespace", lambda text: " ".join(text.split())),
]


def _share(text: str, test: Test) -> float:
    """Of the characters, those that pass `test`."""
    return sum(map(test, text)) / len(text)


def _boilerplate(text: str) -> bool:
    lowered = text.lower()
    return any(phrase in lowered for phrase in BOILERPLATE) and len(text.split()) <= BOILERPLATE_WORDS


def _links(text: str) -> bool:
    """More than one address in 20 words: nobody can say it."""
    lowered = text.lower()
    return any(sign in lowered for sign in LINK_SIGNS) and len(_LINK.findall(lowered)) * 20 > len(text.split())


def _repetition(text: str) -> bool:
    """Few different words, or the same five words again and again (a fifth of all places; Gopher's duplicate n-grams)."""
    words = text.lower().split()
    if len(words) < 20:
        return False
    runs = list(zip(*(words[start:] for start in range(5)), strict=False))
    return len(set(words)) / len(words) < 0.25 or 1 - len(set(runs)) / len(runs) > 0.2


def _word_length(text: str) -> bool:
    """A mean outside 2.5 to 10 characters is no prose of a script with blanks (Gopher: 3 to 10)."""
    words = text.split()
    return text.isascii() and len(words) >= 10 and not 2.5 <= sum(map(len, words)) / len(words) <= 10


def finished(text: str) -> bool:
    """Does it end as a sentence does?"""
    return text.rstrip(CLOSING).endswith(tuple(SENTENCE_ENDS))


FILTERS: list[tuple[str, Test]] = [
    ("empty", lambda text: not text),
    ("mojibake", lambda text: not text.isascii() and ("\ufffd" in text or ftfy.is_bad(text))),
    ("code", lambda text: any(sign in text for sign in CODE)),
    ("links", _links),
    ("not_mostly_letters", lambda text: _share(text, str.isalpha) + text.count(" ") / len(text) < 0.8),
    ("digits", lambda text: _share(text, str.isdigit) > 0.1),
    ("all_capitals", lambda text: len(text) > 40 and _share(text, str.isupper) > 0.4),
    ("word_length", _word_length),
    ("repetition", _repetition),
    ("boilerplate", _boilerplate),
    ("heading", lambda text: not finished(text) and text[-1] not in ":;,\"')”’" and len(text.split()) <= 15),
    ("unfinished", lambda text: not finished(text) and text[-1] not in ":;,"),
]


def paragraphs(text: str, edited: Counter[str], dropped: Counter[str]) -> list[str]:
    """The paragraphs of a raw document that pass every filter, edited, each once.

    `edited` and `dropped` count paragraphs by the name of the rule.
    """
    kept: dict[str, None] = {}
    for paragraph in split(text):
        for name, edit in EDITS:
            new = edit(paragraph)
            if new != paragraph:
                edited[name] += 1
            paragraph = new
        reason = next((name for name, fails in FILTERS if fails(paragraph)), None)
        if reason is None and paragraph in kept:
            reason = "repeated_paragraph"
        if reason:
            dropped[reason] += 1
        else:
            kept[paragraph] = None
    return list(kept)


def split(text: str) -> list[str]:
    """Parts between empty lines; where there is no empty line and most lines end a sentence (web text), each line is one."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    parts = re.split(r"\n\s*\n", text)
    if len(parts) > 1:
        return parts
    lines = [line for line in text.split("\n") if line.strip()]
    return lines if sum(map(finished, map(str.strip, lines))) * 2 > len(lines) else parts
