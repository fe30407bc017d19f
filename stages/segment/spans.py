"""Select the spans of a text that become speech.

Spans are [start, end) character offsets at word borders, in order and without overlap. Shares and
levels follow InSerter (arXiv 2503.02769): word-level runs, or spans bounded by punctuation.
The length of a run is minimum + Poisson, with the mean `mean_words`. The paper does not give the
distribution; Poisson(10) is slamkit's.
"""

import math
import random
import re
from itertools import pairwise

from inserter.params import Segment, SentenceSpans, WordSpans
from inserter.text.sentences import sentence_spans
from inserter.text.words import HAN, count_words, word_bounds, word_starts

Span = tuple[int, int]
_CLAUSE_END = re.compile(rf"[,;:—][\"'”’)]*\s+|[，；：、](?!\d)|(?<=[{HAN}])[,;:—](?!\d)")


def word_level(text: str, params: WordSpans, draw: random.Random) -> list[Span]:
    """Return random runs of at least min_words words, with a written word between any two runs.

    The expected share of words in runs is `share`. A run that would overshoot the share is taken
    with the probability that keeps this expectation.
    """
    bounds = word_bounds(text)
    wanted = params.share * len(bounds)
    lengths: list[int] = []
    while True:
        length = params.min_words + _poisson(max(0, params.mean_words - params.min_words), draw)
        missing = wanted - sum(lengths)
        if length <= missing or draw.random() * length < missing:
            lengths.append(length)
        if length >= missing:
            break
    while lengths and sum(lengths) + len(lengths) - 1 > len(bounds):
        lengths.pop()
    # One word separates two runs. The places of the runs among the other free words are uniform.
    free = len(bounds) - sum(lengths) - max(0, len(lengths) - 1)
    cuts = sorted(draw.randint(0, free) for _ in lengths)
    spans, taken = [], 0
    for number, (cut, length) in enumerate(zip(cuts, lengths, strict=True)):
        first = cut + taken + number
        spans.append((bounds[first][0], bounds[first + length - 1][1]))
        taken += length
    return spans


def _poisson(mean: float, draw: random.Random) -> int:
    """Draw by Knuth's method, which suits the small means of span lengths."""
    limit, product, count = math.exp(-mean), draw.random(), 0
    while product > limit:
        product *= draw.random()
        count += 1
    return count


def sentence_level(text: str, params: SentenceSpans, draw: random.Random) -> list[Span]:
    """Return random sentences with `share` of the words.

    A sentence of more than max_words words is drawn by its clauses.
    """
    units = [unit for sentence in sentence_spans(text) for unit in _clauses(text, sentence, params.max_words)]
    draw.shuffle(units)
    missing = params.share * count_words(text)
    chosen = []
    for start, end in units:
        words = count_words(text[start:end])
        if words <= missing or draw.random() * words < missing:
            chosen.append((start, end))
        missing -= words
        if missing <= 0:
            break
    return sorted(chosen)


def _clauses(text: str, sentence: Span, max_words: int) -> list[Span]:
    """Return the sentence if it is short enough, otherwise its clauses.

    As many clauses are joined as fit into max_words. Clauses that are too long are left out.
    """
    start, end = sentence
    if count_words(text[start:end]) <= max_words:
        return [sentence]
    clauses = word_starts(text[start:end], [match.end() - start for match in _CLAUSE_END.finditer(text, start, end)])
    borders = sorted({start, *(start + border for border in clauses), end})
    parts: list[Span] = []
    for first, last in pairwise(borders):
        last = first + len(text[first:last].rstrip())
        if parts and count_words(text[parts[-1][0] : last]) <= max_words:
            parts[-1] = (parts[-1][0], last)
        else:
            parts.append((first, last))
    return [part for part in parts if 0 < count_words(text[part[0] : part[1]]) <= max_words]


def context(text: str, params: Segment) -> Span | str:
    """Return the first whole sentences with at least context_words words, or why there are none.

    The context has at most context_words + sentence.max_words words, and at least
    continuation_words words follow the context.
    """
    for _, end in sentence_spans(text):
        words = count_words(text[:end])
        if words < params.context_words:
            continue
        if words > params.context_words + params.sentence.max_words:
            return "context_too_long"
        if count_words(text[end:]) < params.continuation_words:
            return "continuation_too_short"
        return (len(text) - len(text.lstrip()), end)
    return "context_too_short"
