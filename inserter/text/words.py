"""Find the words of a text, with or without blanks between them.

A corpus is counted in these words, and a span is cut at them.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence

# Chinese characters (with 々 and 〇) and Japanese kana stand without blanks, so each is a word.
HAN = "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_OPENING = "“‘「『《〈〔【〖（［｛(\\[{<"
# Punctuation of Chinese text.
_CLOSING = "\u2010-\u2027\u3001-\u3004\u3008-\u3020\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
_SIGN = r"[-+−±$£€¥￥＄#＃－＋](?=\d)"  # a sign belongs to the number after it
_JOINED = r"(?<=\d)[：．，／～](?=\d)|(?<=[^\W_])’(?=[^\W_])"  # 10：30 and don’t are one word
# A word of another script: Python3, 3.5%.
_RUN = rf"(?![{HAN}])\w(?:[^\s{HAN}{_OPENING}{_CLOSING}]|{_JOINED})*"
_WITHOUT_BLANKS = re.compile(f"[{HAN}，。！？；：、｡]")
_CHUNK = re.compile(r"\S+")
_START = re.compile(rf"(?:[{_OPENING}]|{_SIGN})*(?:[{HAN}]|{_RUN})")


def word_bounds(text: str) -> list[tuple[int, int]]:
    """Return [start, end) of each word in order.

    Blanks separate words. Each Chinese or Japanese character is a word of its own. Every character
    that is not a blank belongs to one word. Punctuation and combining marks belong to the word
    before them, an opening bracket to the word after it. `第3章（上）。` has the words `第`, `3`,
    `章` and `（上）。`.
    """
    chunks = [match.span() for match in _CHUNK.finditer(text)]
    if not _WITHOUT_BLANKS.search(text):
        return chunks
    return [word for chunk in chunks for word in _words(text, *chunk)]


def _words(text: str, start: int, end: int) -> list[tuple[int, int]]:
    if not _WITHOUT_BLANKS.search(text, start, end):
        return [(start, end)]
    starts = [start, *[match.start() for match in _START.finditer(text, start, end)][1:]]
    return list(zip(starts, [*starts[1:], end], strict=True))


def word_starts(text: str, places: Sequence[int]) -> list[int]:
    """Return where the first word at or after each of `places` begins.

    Where no word follows, the result is the end of the text.
    """
    if not places:
        return []
    starts = [start for start, _ in word_bounds(text)] + [len(text)]
    return [starts[bisect_left(starts, place)] for place in places]


def count_words(text: str) -> int:
    """Return the number of words that `word_bounds` finds."""
    return len(word_bounds(text)) if _WITHOUT_BLANKS.search(text) else len(text.split())
