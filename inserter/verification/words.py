"""Compare the words that were heard with the words to be said."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from rapidfuzz.distance import Levenshtein

from inserter.text.spoken import CannotRead, spoken_form
from inserter.text.words import word_bounds

# From this similarity of letters, two wordings of one place sound the same: "tip a canoe" for
# "Tippecanoe".
ALIKE = 0.6
# Fewest letters of the last words: recognisers take one short word at the end for another.
LAST_LETTERS = 6


class Compared(NamedTuple):
    """How the words heard differ from the words to be said."""

    wer: float
    """Word errors over the words to be said."""

    extra: int
    """Words heard beyond those to be said, over all places."""

    ending: float
    """Similarity of the last words to be said (6 letters or more) to what was heard there, 0 to 1.

    0 if nothing was heard in place of the last word.
    """


def words(text: str, language: str) -> list[str]:
    """Return the lower-cased words of the spoken form, without punctuation.

    "It's $5." gives its, five, dollars. A Chinese or Japanese character is a word, so the word
    error rate of these languages is a character error rate. A recogniser may write a text that has
    no spoken form: such a text is compared as it stands.
    """
    try:
        spoken = spoken_form(text, language)
    except CannotRead:
        spoken = text
    spoken = spoken.casefold().replace("-", " ")
    plain = "".join(c for c in spoken if c.isalnum() or c.isspace())
    return [plain[start:end] for start, end in word_bounds(plain)]


def compare(reference: Sequence[str], heard: Sequence[str]) -> Compared:
    """Return how the words heard differ from the words to be said.

    "to day" for "today" is no error: where a word is split is a matter of spelling. With no word to
    say, the WER is 0 if nothing is heard, else 1.
    """
    if not reference:
        return Compared(float(bool(heard)), len(heard), 1.0)
    errors, extra, end = 0, 0, len(heard)
    differences = _differences(reference, heard)
    for said, got in differences:
        ours, theirs = _letters(reference[said]), _letters(heard[got])
        if ours == theirs:
            continue
        more = (got.stop - got.start) - (said.stop - said.start)
        errors += max(more, 0) + (said.stop - said.start)
        if Levenshtein.normalized_similarity(ours, theirs) < ALIKE:
            extra += max(more, 0)
        if said.start == len(reference):
            end = got.start  # words after the last word to be said are no part of the ending
    if differences and differences[-1][0].stop == len(reference) and not heard[differences[-1][1]]:
        return Compared(errors / len(reference), extra, 0.0)
    last = len(reference) - 1
    while last and len(_letters(reference[last:])) < LAST_LETTERS:
        last -= 1
    ours = _letters(reference[last:])
    endings = [Levenshtein.normalized_similarity(ours, _letters(heard[at:end])) for at in _opposite(last, differences)]
    return Compared(errors / len(reference), extra, max(endings))


def _letters(words: Sequence[str]) -> str:
    return "".join(words)


def _differences(reference: Sequence[str], heard: Sequence[str]) -> list[tuple[slice, slice]]:
    """Return (words to be said, words heard instead) of each place where they differ, in order."""
    found, start = [], (0, 0)
    for block in Levenshtein.editops(reference, heard).as_matching_blocks():  # the last is empty
        if start != (block.a, block.b):
            found.append((slice(start[0], block.a), slice(start[1], block.b)))
        start = (block.a + block.size, block.b + block.size)
    return found


def _opposite(index: int, differences: Sequence[tuple[slice, slice]]) -> tuple[int, ...]:
    """Return where in the words heard the word `index` of the reference may begin.

    In a difference there are two places: the start of the difference, and the same distance from
    its end.
    """
    shift = 0
    for said, got in differences:
        if index < said.start:
            break
        if index < said.stop:
            return got.start, max(got.start, got.stop - (said.stop - index))
        shift = got.stop - said.stop
    return (index + shift,)


def share_out(references: Sequence[Sequence[str]], heard: Sequence[str]) -> tuple[list[list[str]], list[int]]:
    """Assign the words heard in a recording of several clips to the clips.

    The assignment uses the edit distance to all words of the clips in a row. A word heard between
    two clips goes to the first of them. The second list has per clip the number of such words that
    the previous clip got and that may belong to this clip.
    """
    owners = [index for index, reference in enumerate(references) for _ in reference]
    shares: list[list[str]] = [[] for _ in references]
    before = [0] * len(references)
    if not owners:
        return shares, before
    joined = [word for reference in references for word in reference]
    for op in Levenshtein.opcodes(joined, heard):
        inserted = op.tag == "insert"
        for offset, word in enumerate(heard[op.dest_start : op.dest_end]):
            at = op.src_start - 1 if inserted else op.src_start + offset
            shares[owners[max(at, 0)]].append(word)
        if inserted and 0 < op.src_start < len(owners) and owners[op.src_start - 1] != owners[op.src_start]:
            before[owners[op.src_start]] += op.dest_end - op.dest_start
    return shares, before


def share_text(text: str, counts: Sequence[int], language: str) -> list[str]:
    """Split `text`, written for a recording of several clips, into one piece per clip.

    counts: how many of the `words` of `text` each clip got. A written word may be several `words`
    ("1987"): the written word then goes to the clip that got the first of them.
    """
    places = [0, *(end for _, end in word_bounds(text))]

    def spoken(place: int) -> int:
        return len(words(text[:place], language))

    found = [bisect_left(places, count, key=spoken) for count in accumulate(counts)]
    ends = [places[min(at, len(places) - 1)] for at in found[:-1]]
    return [text[start:end].strip() for start, end in pairwise([0, *ends, len(text)])]
