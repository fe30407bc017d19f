"""Compare the text of a clip with what the recogniser heard, word by word."""

import re

from rapidfuzz.distance import Levenshtein

TOKEN = re.compile(r"[\u3400-\u9fff]|[^\s\-\u3400-\u9fff]+")  # one Chinese character is one word
Marked = list[tuple[str, bool]]  # (word, whether the other side has it)


def compared(said: str, heard: str) -> tuple[Marked, Marked]:
    """Return the words of both texts, each with whether the other text has it in its place.

    The result looks like ([("the", True), …], [("a", False), …]). Case, punctuation and word
    boundaries do not count: "to day" equals "today".
    """
    ours, theirs = _tokens(said), _tokens(heard)
    a, b = [_plain(word) for word in ours], [_plain(word) for word in theirs]
    left, right = [(word, True) for word in ours], [(word, True) for word in theirs]
    for i, j, k, n in _runs(a, b):
        if "".join(a[i:j]) != "".join(b[k:n]):
            left[i:j] = [(word, False) for word in ours[i:j]]
            right[k:n] = [(word, False) for word in theirs[k:n]]
    return left, right


def _runs(a: list[str], b: list[str]) -> list[tuple[int, int, int, int]]:
    """Return (start, end, start, end) in `a` and `b` of each run of differences.

    Ends are exclusive. Adjacent edits form one run.
    """
    runs: list[tuple[int, int, int, int]] = []
    for op in Levenshtein.opcodes(a, b):
        if op.tag == "equal":
            continue
        start, other = op.src_start, op.dest_start
        if runs and (runs[-1][1], runs[-1][3]) == (start, other):
            start, _, other, _ = runs.pop()
        runs.append((start, op.src_end, other, op.dest_end))
    return runs


def _tokens(text: str) -> list[str]:
    return [word for word in TOKEN.findall(text) if _plain(word)]


def _plain(word: str) -> str:
    return "".join(character for character in word.casefold() if character.isalnum())
