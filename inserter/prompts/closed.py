"""Generate closed-ended prompts: a request about a topic with one or two checkable constraints."""

from collections.abc import Iterator, Sequence
from functools import partial
from random import Random

from inserter.prompts.constraints import CONSTRAINTS, Draw, partners
from inserter.prompts.distinct import Fresh
from inserter.prompts.languages import Lang
from inserter.prompts.prompt import Prompt
from inserter.prompts.worlds import Phrases, World, phrases

INSTRUCTION_TYPES = tuple(CONSTRAINTS)
PAIRED = 0.3  # share of prompts with two constraints, where the first one can have a partner


def generate(world: World, seed: int, *, count: int | None = None, per_type: int | None = None, lang: Lang = "en") -> list[Prompt]:
    """Return different prompts of `world`: `count` in all, or `per_type` of each type.

    With `count`, the types are drawn by the world's weights. A longer list of the same seed begins
    with the shorter list; with `per_type`, this holds per type. Raises ValueError unless exactly
    one of `count` and `per_type` is given. Raises InserterError when the world gives fewer
    different prompts.
    """
    if (count is None) == (per_type is None):
        raise ValueError("give either count or per_type")
    said = phrases(world, lang)
    fresh = Fresh(f"the {world} world", seed, "prompt", world, *([] if lang == "en" else [lang]))
    return [
        fresh(key, partial(_compose, key=key, kind=kind, said=said, lang=lang), kind) for key, kind in _keys(world, count, per_type)
    ]


def _keys(world: World, count: int | None, per_type: int | None) -> Iterator[tuple[str, str | None]]:
    """Return keys with their type, or with None where the type is to be drawn."""
    if per_type is not None:
        return ((f"{kind.split(':')[1]}-{n:03d}", kind) for kind in INSTRUCTION_TYPES for n in range(per_type))
    return ((f"{world}-{n:05d}", None) for n in range(count or 0))


def _compose(random: Random, key: str, kind: str | None, *, said: Phrases, lang: Lang) -> Prompt:
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
    return Prompt(key, said.language.gap.join(sentences), tuple(kinds), tuple(kwargs), topic.about, lang=lang)


def _weighted(kinds: Sequence[str], said: Phrases, random: Random) -> str:
    return random.choices(kinds, [said.weights[kind] for kind in kinds])[0]
