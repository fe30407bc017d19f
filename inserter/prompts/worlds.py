"""Read the worlds that prompts are made from.

The files are train.yaml, benchmark.yaml and benchmark_cn.yaml beside this module.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from inserter.prompts.languages import LANGUAGES, Lang, Language
from inserter.yaml_files import read_yaml

World = Literal["train", "benchmark"]


@dataclass(frozen=True)
class Topic:
    """A topic of prompts."""

    about: str
    """A noun phrase."""
    words: tuple[str, ...]
    """Four words that belong to the topic."""
    question: str
    """A question about the topic, to be answered by yes, no or maybe."""


@dataclass(frozen=True)
class Phrases:
    """The phrases of one world in one language."""

    language: Language
    topics: tuple[Topic, ...]
    requests: tuple[str, ...]
    wordings: dict[str, tuple[str, ...]]
    """Wordings of each constraint, by instruction id."""
    weights: dict[str, float]
    """Weights with which types are drawn, by instruction id."""
    relations: dict[str, str]
    """Wordings of "less than" and "at least"."""
    end_phrases: tuple[str, ...]
    first_words: tuple[str, ...]
    splitters: tuple[str, ...]


def _topic(line: str) -> Topic:
    about, words, question = line.split(" | ")
    return Topic(about, tuple(words.split(", ")), question)


@cache
def phrases(world: World, lang: Lang = "en") -> Phrases:
    """Return the phrases of `world`.

    The benchmark has no weights: each of its types counts the same.
    """
    raw = template(world, lang)
    return Phrases(
        language=LANGUAGES[lang],
        topics=tuple(map(_topic, raw["topics"])),
        requests=tuple(raw["requests"]),
        wordings={kind: tuple(entry["say"]) for kind, entry in raw["wordings"].items()},
        weights={kind: float(entry.get("weight", 1.0)) for kind, entry in raw["wordings"].items()},
        relations={"less than": raw["less_than"], "at least": raw["at_least"]},
        end_phrases=tuple(raw["end_phrases"]),
        first_words=tuple(raw["first_words"]),
        splitters=tuple(raw["splitters"]),
    )


@cache
def template(name: str, lang: Lang) -> dict[str, Any]:
    """Return the contents of NAME.yaml, or of NAME_LANG.yaml for a language other than English."""
    path = Path(__file__).parent / (f"{name}.yaml" if lang == "en" else f"{name}_{lang}.yaml")
    return read_yaml(path)
