"""Words as they are compared: what was heard against what was to be said."""

from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

from stages.common.spoken import spoken_form


def words(text: str) -> list[str]:
    """Lower-cased words of the spoken form, without punctuation: "It's $5." is its, five, dollars."""
    spoken = spoken_form(text).casefold().replace("-", " ")
    return "".join(c for c in spoken if c.isalnum() or c.isspace()).split()


def word_error_rate(reference: Sequence[str], heard: Sequence[str]) -> float:
    """Word errors over the words of `reference`; with no word to say, 0.0 when none is heard, else 1.0.

    "to day" for "today" is no error: where words are parted is a matter of spelling.
    """
    if not reference:
        return float(bool(heard))
    errors = 0
    block = [0, 0, 0, 0]  # a run of edits: from, to in the reference, from, to in what was heard
    for op in [*Levenshtein.opcodes(reference, heard), None]:
        if op is not None and op.tag != "equal":
            block = [block[0], op.src_end, block[2], op.dest_end]
            continue
        said, got = reference[block[0] : block[1]], heard[block[2] : block[3]]
        if "".join(said) != "".join(got):
            errors += max(len(said), len(got))
        if op is not None:
            block = [op.src_end, op.src_end, op.dest_end, op.dest_end]
    return errors / len(reference)


def share_out(references: Sequence[Sequence[str]], heard: Sequence[str]) -> list[list[str]]:
    """The words heard in a recording of several clips, given to the clips: by edit distance to all their words in a row.

    A word heard between two clips goes to the one before.
    """
    owners = [index for index, reference in enumerate(references) for _ in reference]
    shares: list[list[str]] = [[] for _ in references]
    if not owners:
        return shares
    joined = [word for reference in references for word in reference]
    for op in Levenshtein.opcodes(joined, heard):
        for offset, word in enumerate(heard[op.dest_start : op.dest_end]):
            at = op.src_start - 1 if op.tag == "insert" else op.src_start + offset
            shares[owners[max(at, 0)]].append(word)
    return shares
