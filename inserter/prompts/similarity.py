"""Find training prompts that stand in the benchmark.

Whole prompts and runs of words are compared; in Chinese, runs of characters.
"""

import re
from collections.abc import Callable, Iterable, Iterator

# A Chinese character, or a word of any other script.
TOKEN = re.compile("[\u3400-\u9fff]|[^\\W\u3400-\u9fff]+")


def overlaps(benchmark_prompts: Iterable[str], ngram: int = 8) -> Callable[[str], bool]:
    """Return a function: does the benchmark have a text too, whole or by a run of `ngram` words?

    Case and punctuation do not count. A Chinese character counts as a word, because Chinese text
    has no spaces between words.
    """
    held = [_tokens(prompt) for prompt in benchmark_prompts]
    whole = {tuple(tokens) for tokens in held}
    runs = {run for tokens in held for run in _runs(tokens, ngram)}

    def found(text: str) -> bool:
        tokens = _tokens(text)
        return tuple(tokens) in whole or any(run in runs for run in _runs(tokens, ngram))

    return found


def overlap(train_prompts: Iterable[str], benchmark_prompts: Iterable[str], ngram: int = 8) -> list[str]:
    """Return the training prompts that the benchmark has too (see `overlaps`).

    SFT leaves the returned prompts out. With two disjoint worlds, no prompt is returned.
    """
    return list(filter(overlaps(benchmark_prompts, ngram), train_prompts))


def _tokens(text: str) -> list[str]:
    return TOKEN.findall(text.lower())


def _runs(tokens: list[str], ngram: int) -> Iterator[tuple[str, ...]]:
    return (tuple(tokens[i : i + ngram]) for i in range(len(tokens) - ngram + 1))
