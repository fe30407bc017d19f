"""Documents that a language model writes for the corpus, in blocks that are kept for ever after in the user's cache."""

import math
import random
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tqdm import tqdm

from inserter.files import fingerprint, read_jsonl, write_jsonl
from inserter.params import Corpus, Source
from inserter.paths import cache_home
from inserter.run.closure import deciding
from inserter.run.executor import ordered_map
from inserter.seeds import derive
from inserter.text.words import count_words
from inserter.yaml_files import read_yaml
from stages.corpus.writer import Writer, model_folder, whole_sentences

RECIPE = Path(__file__).with_name("writing.yaml")
BLOCK = 64  # documents that are written as one batch, and lost together by a kill: one and a half minutes on one core
EXPECTED_WORDS = 140  # a document, before any is written


@dataclass(frozen=True)
class Block:
    """Documents number * size and following of a source."""

    number: int
    size: int
    path: Path
    model: Path
    seed: int


@lru_cache(maxsize=1)
def recipe() -> dict[str, Any]:
    return read_yaml(RECIPE)


def prompt(seed: int, number: int) -> str:
    """The prompt of document `number`: every kind, topic and voice is met once before any comes again."""
    kinds, topics, voices = (recipe()[name] for name in ("kinds", "topics", "voices"))
    count = len(kinds) * len(topics) * len(voices)
    place = _order(derive(seed, "prompts", number // count), count)[number % count]
    kind, rest = place % len(kinds), place // len(kinds)
    return kinds[kind].format(topic=topics[rest % len(topics)], voice=voices[rest // len(topics)])


@lru_cache(maxsize=2)
def _order(seed: int, count: int) -> list[int]:
    return random.Random(seed).sample(range(count), count)


def write(source: Source, params: Corpus, lm: str, words: float, size: int = BLOCK) -> list[Path]:
    """Files (.jsonl) of at least `words` words, written by the LM of `source` (`lm` where its path says so), block after block.

    Which blocks these are depends on (params.seed, source.name, the LM, the recipe) and `words` alone. A finished block is in
    the cache: it is not written again when more words are wanted, the corpus changes or another workspace asks for it.
    """
    model = model_folder(lm if source.path == "lm" else source.path)
    seed = derive(params.seed, "written", source.name)
    folder = cache_home() / "written" / fingerprint(seed, size, model.name, files=deciding("stages.corpus.written"))
    counts: list[int] = []
    with tqdm(total=round(words), desc=f"corpus: {source.name} writes", unit=" words", mininterval=1.0) as bar:
        while sum(counts) < words:
            mean = sum(counts) / len(counts) if counts else EXPECTED_WORDS * size
            more = max(1, math.ceil((words - sum(counts)) / max(mean, 1)))
            numbers = range(len(counts), len(counts) + more)
            blocks = [Block(number, size, folder / f"block-{number:06d}.jsonl", model, seed) for number in numbers]
            for count in _ensure(blocks, params.workers):
                counts.append(count)
                bar.update(count)
            if not sum(counts):  # a model that writes no sentence: the corpus says that nothing came of it
                break
    needed = next((n for n in range(len(counts)) if sum(counts[:n]) >= words), len(counts))
    return [folder / f"block-{number:06d}.jsonl" for number in range(needed)]


def _ensure(blocks: list[Block], workers: int) -> list[int]:
    """The words of each block; those that are missing are written."""
    missing = [block for block in blocks if not block.path.exists()]
    if missing:
        for _ in ordered_map(write_block, missing, workers if len(missing) > 1 else 1):
            pass
    return [sum(row["n_words"] for row in read_jsonl(block.path)) for block in blocks]


@lru_cache(maxsize=1)
def _writer(model: Path) -> Writer:
    return Writer(model)


def write_block(block: Block) -> None:
    """Write the block's file: {number, prompt, text, n_words} a line; a text that has no whole sentence is left empty."""
    prompts = [prompt(block.seed, block.number * block.size + place) for place in range(block.size)]
    texts = _writer(block.model).write(prompts, derive(block.seed, "block", block.number), **recipe()["sampling"])
    rows = [
        {"number": block.number * block.size + place, "prompt": prompts[place], "text": whole, "n_words": count_words(whole)}
        for place, whole in enumerate(map(whole_sentences, texts))
    ]
    write_jsonl(block.path, rows)
