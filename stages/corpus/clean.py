"""Cleaning rules: edits change a raw document or a paragraph, and filters drop a paragraph.

Each rule has a name, under which its uses are counted. docs/CORPUS.md has an example of each rule.
The filters follow Gopher (Rae et al. 2021), C4 (Raffel et al. 2020) and FineWeb (Penedo et al.
2024), as far as their rules make sense for a single paragraph that will be spoken.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable

import ftfy

from stages.corpus.markup import decoded, without_markup

SENTENCE_ENDS = ".!?…。！？｡؟۔।॥։።፧။។"  # of every script that has such marks
CLOSING = "\"'”’»)]」』"
BOILERPLATE_WORDS = 40  # a longer paragraph may be about cookies
BOILERPLATE = (
    "lorem ipsum",
    "all rights reserved",
    "terms of use",
    "terms of service",
    "terms and conditions",
    "privacy policy",
    "use cookies",
    "use of cookies",
    "uses cookies",
    "enable javascript",
    "subscribe to",
    "subscribe now",
    "sign up for",
    "sign up now",
    "log in to",
    "click here",
    "read more",
    "share this",
    "share on",
    "leave a comment",
    "leave a reply",
    "copyright ©",
)
CODE = ("{", "}", "()", "==", "!=", "->", "::")
LINK_SIGNS = ("http", "www.", "@", ".com", ".org", ".net", ".gov", ".edu")

_LINK = re.compile(r"https?://\S+|www\.\S+|\S+@\S+\.\w+|\b\w[\w-]*\.(?:com|org|net|gov|edu)\b\S*")
_DIRECTION = r"(?:laughter|applause|inaudible|cheer|music|moment of silence|see app note|pause)s?\b"
_STAGE = re.compile(
    rf"\s*(?:\[{_DIRECTION}[^\])]{{0,40}}\]|\({_DIRECTION}(?:[^\w()]+(?:and[^\w()]+)?{_DIRECTION})*[^\w()]*\))(?P<word>(?=\w))?",
    re.I,
)
_BREAK = re.compile(r"\n?[\x0b\x0c\x1c-\x1e\u2028\u2029]\n?")
_C1 = re.compile(r"[\x80-\x84\x86-\x9f]")
_NEXT_LINE = re.compile(r"(?<![\x80-\xff])\x85")
_SOFT_HYPHEN = re.compile(r"\u00ad(?:[ \t]*\n[ \t]*)?")
_CONTROL = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]"
)
# Joiners and non-joiners shape emoji, and letters from Hebrew (U+0590) on. After a Latin letter
# they are leftovers.
_JOINER = re.compile(r"(?<![\u0590-\u1dff\u2190-\U0010ffff])[\u200c\u200d]")
_LINE_END = re.compile(r"(?<=[^\W\d_])-[ \t]*\n[ \t]*(?!and\b|or\b)([^\W\d_])")
_BULLET = re.compile(r"\s*(?:[•·▪◦*]|--+|—+|(?P<number>\d{1,3})[.)](?=\s))\s*")
_NUMBERED = re.compile(r"^\s*(\d{1,3})[.)]\s", re.M)
# `__init__` is a name and 2**10 a power. So emphasis begins and ends at whole words, with the marks
# outside.
_EMPHASIS = re.compile(r"(?<!\w)(\*{1,3}|_(?!_)|_{2,3}(?![a-z0-9_]+__))(?=[^\s*_])([^*_]*[^\s*_])\1(?!\w)")
_MARKDOWN = re.compile(r"^\s*#{1,6}\s+|(?<![\w*])\*\*(?=\w)|(?<=\w)\*\*(?![\w*])|(?<!\w)`+|`+(?!\w)", re.M)

Edit = Callable[[str], str]
Test = Callable[[str], bool]


def _where(signs: str, edit: Edit) -> Edit:
    """Return `edit` limited to texts with one of the characters `signs`.

    Most texts have none of them, and the test is fast.
    """
    return lambda text: edit(text) if any(sign in text for sign in signs) else text


def _line_breaks(text: str) -> str:
    """Replace other separators of lines, pages and records by line breaks.

    Next to other C1 characters, U+0085 is the ellipsis of Windows-1252 and stays.
    """
    text = _BREAK.sub("\n", text.replace("\r\n", "\n").replace("\r", "\n"))
    return text if "\x85" not in text or _C1.search(text) else _NEXT_LINE.sub("\n", text)


def _control_characters(text: str) -> str:
    return _CONTROL.sub("", text if text.isascii() else _JOINER.sub("", _SOFT_HYPHEN.sub("", text)))


def _markdown(text: str) -> str:
    text = re.sub(r"(?<=\w)`(?=\w)", "'", _MARKDOWN.sub("", _EMPHASIS.sub(r"\2", text)))
    return re.sub("_{3,}", " ", text)


def _bullet(text: str) -> str:
    return text[match.end() :] if (match := _BULLET.match(text)) else text


RAW_EDITS: list[tuple[str, Edit]] = [
    ("markup", without_markup),
    ("character_references", decoded),
    ("line_breaks", _line_breaks),
]
EDITS: list[tuple[str, Edit]] = [
    ("mojibake_repaired", lambda text: text if text.isascii() else ftfy.fix_encoding(text)),
    ("control_characters", _control_characters),
    ("unicode_nfc", lambda text: unicodedata.normalize("NFC", text)),
    ("ligatures", lambda text: text if text.isascii() else ftfy.fixes.fix_latin_ligatures(text)),
    ("stage_directions", _where("([", lambda text: _STAGE.sub(lambda match: "" if match["word"] is None else " ", text))),
    ("markdown", _where("*_`#", _markdown)),
    ("bullets", _bullet),
    ("hyphens", _where("-", lambda text: _LINE_END.sub(lambda match: f"-{match[1]}" if match[1].islower() else match[0], text))),
    ("whitespace", lambda text: " ".join(text.split())),
]


def _share(text: str, test: Test) -> float:
    """Return the share of the characters that pass `test`."""
    return sum(map(test, text)) / len(text)


def _of_a_word(text: str) -> Test:
    """Return a test for letters and marks: the vowels of Hindi and Thai are marks."""
    return str.isalpha if text.isascii() else lambda sign: sign.isalpha() or unicodedata.category(sign)[0] == "M"


def _boilerplate(text: str) -> bool:
    lowered = text.lower()
    return any(phrase in lowered for phrase in BOILERPLATE) and len(text.split()) <= BOILERPLATE_WORDS


def _links(text: str) -> bool:
    """Return whether there is more than one address per 20 words, which nobody can read aloud."""
    lowered = text.lower()
    return any(sign in lowered for sign in LINK_SIGNS) and len(_LINK.findall(lowered)) * 20 > len(text.split())


def _repetition(text: str) -> bool:
    """Return whether the text repeats itself.

    Repetition is fewer than 25 % different words, or more than 20 % repeated runs of five words
    (Gopher's duplicate n-grams). A text of fewer than 20 words passes.
    """
    words = text.lower().split()
    if len(words) < 20:
        return False
    runs = list(zip(*(words[start:] for start in range(5)), strict=False))
    return len(set(words)) / len(words) < 0.25 or 1 - len(set(runs)) / len(runs) > 0.2


def _word_length(text: str) -> bool:
    """Return whether the mean word length is outside 2.5 to 10 characters (Gopher: 3 to 10).

    Such text is not prose in a script with blanks.
    """
    words = text.split()
    return text.isascii() and len(words) >= 10 and not 2.5 <= sum(map(len, words)) / len(words) <= 10


def finished(text: str) -> bool:
    """Return whether the text ends as a sentence does."""
    return text.rstrip(CLOSING).endswith(tuple(SENTENCE_ENDS))


FILTERS: list[tuple[str, Test]] = [
    ("empty", lambda text: not text),
    ("mojibake", lambda text: not text.isascii() and ("\ufffd" in text or ftfy.is_bad(text))),
    ("code", lambda text: any(sign in text for sign in CODE)),
    ("links", _links),
    ("not_mostly_letters", lambda text: _share(text, _of_a_word(text)) + text.count(" ") / len(text) < 0.8),
    ("digits", lambda text: _share(text, str.isdigit) > 0.1),
    ("all_capitals", lambda text: len(text) > 40 and _share(text, str.isupper) > 0.4),
    ("word_length", _word_length),
    ("repetition", _repetition),
    ("boilerplate", _boilerplate),
    ("heading", lambda text: not finished(text) and text[-1] not in ":;,\"')”’" and len(text.split()) <= 15),
    ("unfinished", lambda text: not finished(text) and text[-1] not in ":;,"),
]


def paragraphs(text: str, edited: Counter[str], dropped: Counter[str]) -> list[str]:
    """Return the edited paragraphs of a raw document that pass every filter, each once.

    `edited` and `dropped` count by the name of the rule. The rules in RAW_EDITS count raw
    documents. All other rules count paragraphs.
    """
    text = _edited(text, RAW_EDITS, edited)
    numbers = {int(number) for number in _NUMBERED.findall(text)}
    kept: dict[str, None] = {}
    for paragraph in split(text):
        alone = (match := _NUMBERED.match(paragraph)) and numbers.isdisjoint((int(match[1]) - 1, int(match[1]) + 1))
        edits = [(name, edit) for name, edit in EDITS if name != "bullets"] if alone else EDITS
        paragraph = _edited(paragraph, edits, edited)
        reason = next((name for name, fails in FILTERS if fails(paragraph)), None)
        if reason is None and paragraph in kept:
            reason = "repeated_paragraph"
        if reason:
            dropped[reason] += 1
        else:
            kept[paragraph] = None
    return list(kept)


def _edited(text: str, edits: list[tuple[str, Edit]], counts: Counter[str]) -> str:
    for name, edit in edits:
        new = edit(text)
        if new != text:
            counts[name] += 1
        text = new
    return text


def split(text: str) -> list[str]:
    """Return the paragraphs of a text, which are the parts between empty lines.

    If there is no empty line and most lines end a sentence (web text), each line is a paragraph.
    """
    text = text.strip()
    parts = re.split(r"\n\s*\n", text)
    if len(parts) > 1:
        return parts
    lines = [line for line in text.split("\n") if line.strip()]
    return lines if sum(map(finished, map(str.strip, lines))) * 2 > len(lines) else parts
