"""Write documents of the corpus with a language model, in blocks that stay in the user's cache."""

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
# Documents per block. A block is one batch, which a kill loses as a whole: one and a half minutes
# on one core.
BLOCK = 64
EXPECTED_WORDS = 140  # estimated words per document, before any is written


@dataclass(frozen=True)
class Block:
    """A block of a source: `size` documents, from number * size on."""

    number: int
    size: int

    path: Path
    """File of the block (.jsonl)."""

    model: Path
    """Folder of the converted LM."""

    seed: int


@lru_cache(maxsize=1)
def recipe() -> dict[str, Any]:
    return read_yaml(RECIPE)


def prompt(seed: int, number: int) -> str:
    """Return the prompt of document `number`.

    Each combination of kind, topic and voice comes once before any comes again.
    """
    kinds, topics, voices = (recipe()[name] for name in ("kinds", "topics", "voices"))
    count = len(kinds) * len(topics) * len(voices)
    place = _order(derive(seed, "prompts", number // count), count)[number % count]
    kind, rest = place % len(kinds), place // len(kinds)
    return kinds[kind].format(topic=topics[rest % len(topics)], voice=voices[rest // len(topics)])


@lru_cache(maxsize=2)
def _order(seed: int, count: int) -> list[int]:
    return random.Random(seed).sample(range(count), count)


def write(source: Source, params: Corpus, lm: str, *, words: float, size: int = BLOCK) -> list[Path]:
    """Return files (.jsonl) of at least `words` words, written block after block by an LM.

    The LM is the one that `source.path` names, or `lm` if `source.path` is "lm". The blocks depend
    on (params.seed, source.name, the LM, the recipe) and `words` alone. A finished block stays in
    the cache. The block is not written again if more words are wanted, if the corpus changes, or if
    another workspace asks for it.
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
            if not sum(counts):  # the model writes no sentence: the corpus reports that
                break
    needed = next((n for n in range(len(counts)) if sum(counts[:n]) >= words), len(counts))
    return [folder / f"block-{number:06d}.jsonl" for number in range(needed)]


def _ensure(blocks: list[Block], workers: int) -> list[int]:
    """Write the missing blocks and return the number of words of each block."""
    missing = [block for block in blocks if not block.path.exists()]
    if missing:
        for _ in ordered_map(write_block, missing, workers if len(missing) > 1 else 1):
            pass
    return [sum(row["n_words"] for row in read_jsonl(block.path)) for block in blocks]


@lru_cache(maxsize=1)
def _writer(model: Path) -> Writer:
    return Writer(model)


def write_block(block: Block) -> None:
    """Write the block's file, with one {number, prompt, text, n_words} per line.

    A text without a whole sentence is left empty.
    """
    prompts = [prompt(block.seed, block.number * block.size + place) for place in range(block.size)]
    texts = _writer(block.model).write(prompts, derive(block.seed, "block", block.number), **recipe()["sampling"])
    rows = [
        {"number": block.number * block.size + place, "prompt": prompts[place], "text": whole, "n_words": count_words(whole)}
        for place, whole in enumerate(map(whole_sentences, texts))
    ]
    write_jsonl(block.path, rows)
