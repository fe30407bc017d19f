"""The worlds that prompts are made from, read from train.yaml, benchmark.yaml and benchmark_cn.yaml beside this file."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from inserter.prompts.languages import LANGUAGES, Lang, Language
from inserter.yaml_files import read_yaml

World = Literal["train", "benchmark"]


@dataclass(frozen=True)
class Topic:
    """about: a noun phrase. words: four words that belong to it. question: answered by yes, no or maybe."""

    about: str
    words: tuple[str, ...]
    question: str


@dataclass(frozen=True)
class Phrases:
    """The phrases of one world in one language. wordings and weights are by instruction id."""

    language: Language
    topics: tuple[Topic, ...]
    requests: tuple[str, ...]
    wordings: dict[str, tuple[str, ...]]
    weights: dict[str, float]
    relations: dict[str, str]
    end_phrases: tuple[str, ...]
    first_words: tuple[str, ...]
    splitters: tuple[str, ...]


def _topic(line: str) -> Topic:
    about, words, question = line.split(" | ")
    return Topic(about, tuple(words.split(", ")), question)


@cache
def phrases(world: World, lang: Lang = "en") -> Phrases:
    """The phrases of `world`. The benchmark has no weights: each of its types counts the same."""
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
    """The file NAME.yaml, or in another language than English NAME_LANG.yaml."""
    path = Path(__file__).parent / (f"{name}.yaml" if lang == "en" else f"{name}_{lang}.yaml")
    return read_yaml(path)
