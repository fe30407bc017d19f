"""Instructions for SFT and for the benchmark: a request about a topic, and one or two constraints that code can check.

The constraints are the 25 types of IFEval, with its ids and arguments. Two worlds share nothing but these types:
`train` (train.yaml) is what the model learns from, `benchmark` (benchmark.yaml) is held out: other topics, requests and
wordings of each constraint. Every wording can be heard: marks are named in words ("double angular brackets").
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

from stages.common.errors import InserterError
from stages.common.prompts.constraints import CONSTRAINTS, Draw, partners
from stages.common.prompts.worlds import Phrases, World, phrases
from stages.common.seeds import rng

__all__ = ["CONSTRAINTS", "INSTRUCTION_TYPES", "Prompt", "World", "generate", "overlap"]

INSTRUCTION_TYPES = tuple(CONSTRAINTS)
PAIRED = 0.3  # share of the prompts with two constraints, where the first can have a partner
ATTEMPTS = 200  # draws for a prompt that is not yet there, before the world is said to be exhausted


@dataclass(frozen=True)
class Prompt:
    """One instruction. kwargs is parallel to instruction_id_list and holds the checker's arguments."""

    key: str
    prompt: str
    instruction_id_list: tuple[str, ...]
    kwargs: tuple[dict[str, Any], ...]
    topic: str

    def record(self) -> dict[str, Any]:
        """The benchmark's fields, without the topic."""
        fields = {name: value for name, value in asdict(self).items() if name != "topic"}
        return {**fields, "instruction_id_list": list(self.instruction_id_list), "kwargs": list(self.kwargs)}


def generate(world: World, seed: int, *, count: int | None = None, per_type: int | None = None) -> list[Prompt]:
    """Prompts of `world`, all different: `count` with types drawn by the world's weights, or `per_type` of each type.

    A longer list of the same seed begins with the shorter one (per type, where per_type is given).
    Raises InserterError when the world has not so many different prompts.
    """
    if (count is None) == (per_type is None):
        raise ValueError("give either count or per_type")
    said = phrases(world)
    prompts: list[Prompt] = []
    seen: set[str] = set()
    for key, kind in _keys(world, count, per_type):
        prompt = _fresh(key, kind, world, seed, said, seen)
        seen.add(prompt.prompt)
        prompts.append(prompt)
    return prompts


def _keys(world: World, count: int | None, per_type: int | None) -> Iterator[tuple[str, str | None]]:
    """Keys with their type, or with None where it is to be drawn."""
    if per_type is not None:
        return ((f"{kind.split(':')[1]}-{n:03d}", kind) for kind in INSTRUCTION_TYPES for n in range(per_type))
    return ((f"{world}-{n:05d}", None) for n in range(count or 0))


def _fresh(key: str, kind: str | None, world: World, seed: int, said: Phrases, seen: set[str]) -> Prompt:
    for attempt in range(ATTEMPTS):
        prompt = _compose(key, kind, said, rng(seed, "prompt", world, key, attempt))
        if prompt.prompt not in seen:
            return prompt
    raise InserterError(
        f"the {world} world has no further prompt{f' of type {kind}' if kind else ''} after {len(seen)}",
        "Ask for fewer prompts, or add topics to stages/common/prompts",
    )


def _compose(key: str, kind: str | None, said: Phrases, random: Random) -> Prompt:
    kinds = [kind or _weighted(INSTRUCTION_TYPES, said, random)]
    topic = random.choice(said.topics)
    request = random.choice(said.requests).format(topic=topic.about)
    others = partners(kinds[0])
    if others and random.random() < PAIRED:
        kinds.append(_weighted(others, said, random))
    draw = Draw(random, topic, request, said)
    sentences = [topic.question if kinds[0] == "detectable_format:constrained_response" else request]
    kwargs = []
    for one in kinds:
        arguments, slots = CONSTRAINTS[one](draw)
        kwargs.append(arguments)
        sentences.append(random.choice(said.wordings[one]).format(**slots))
    return Prompt(key, " ".join(sentences), tuple(kinds), tuple(kwargs), topic.about)


def _weighted(kinds: Sequence[str], said: Phrases, random: Random) -> str:
    return random.choices(kinds, [said.weights[kind] for kind in kinds])[0]


def overlap(train_prompts: Iterable[str], benchmark_prompts: Iterable[str], ngram: int = 8) -> list[str]:
    """The training prompts that stand in the benchmark too, word for word or by a run of `ngram` words.

    Case and marks do not count. SFT leaves these out; with two disjoint worlds there are none.
    """
    held = [_words(prompt) for prompt in benchmark_prompts]
    whole = {tuple(words) for words in held}
    runs = {run for words in held for run in _runs(words, ngram)}

    def found(prompt: str) -> bool:
        words = _words(prompt)
        return tuple(words) in whole or any(run in runs for run in _runs(words, ngram))

    return [prompt for prompt in train_prompts if found(prompt)]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _runs(words: list[str], ngram: int) -> Iterator[tuple[str, ...]]:
    return (tuple(words[i : i + ngram]) for i in range(len(words) - ngram + 1))
