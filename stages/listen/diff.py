"""What was to be said against what the ASR heard, word by word."""

import re

from rapidfuzz.distance import Levenshtein

TOKEN = re.compile(r"[\u3400-\u9fff]|[^\s\-\u3400-\u9fff]+")  # a Chinese character is a word
Marked = list[tuple[str, bool]]  # (word, whether the other side has it)


def compared(said: str, heard: str) -> tuple[Marked, Marked]:
    """The words of both, each with whether the other has it in its place: ([("the", True), …], [("a", False), …]).

    Case and punctuation do not count, nor where words are parted: "to day" is "today".
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
    """[start, end) in both where they differ, edits beside each other taken together."""
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
