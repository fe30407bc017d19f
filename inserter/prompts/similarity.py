"""Whether a training prompt stands in the benchmark: by whole prompts and by runs of words, in Chinese of characters."""

import re
from collections.abc import Iterable, Iterator

TOKEN = re.compile("[\u3400-\u9fff]|[^\\W\u3400-\u9fff]+")  # a Chinese character, or a word of anything else


def overlap(train_prompts: Iterable[str], benchmark_prompts: Iterable[str], ngram: int = 8) -> list[str]:
    """The training prompts that stand in the benchmark too, word for word or by a run of `ngram` words.

    Case and marks do not count. A Chinese character counts as a word: the text has no spaces that would part its words.
    SFT leaves these out; with two disjoint worlds there are none.
    """
    held = [_tokens(prompt) for prompt in benchmark_prompts]
    whole = {tuple(tokens) for tokens in held}
    runs = {run for tokens in held for run in _runs(tokens, ngram)}

    def found(prompt: str) -> bool:
        tokens = _tokens(prompt)
        return tuple(tokens) in whole or any(run in runs for run in _runs(tokens, ngram))

    return [prompt for prompt in train_prompts if found(prompt)]


def _tokens(text: str) -> list[str]:
    return TOKEN.findall(text.lower())


def _runs(tokens: list[str], ngram: int) -> Iterator[tuple[str, ...]]:
    return (tuple(tokens[i : i + ngram]) for i in range(len(tokens) - ngram + 1))
