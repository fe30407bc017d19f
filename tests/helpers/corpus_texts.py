"""Workspaces and made-up English for the tests of the corpus."""

from pathlib import Path
from typing import Any

import yaml
from checkout import ROOT

from inserter.files import read_table, write_jsonl
from inserter.params import Params
from inserter.seeds import rng
from inserter.tables import DOCUMENTS

NOUNS = [
    "river",
    "harbour",
    "farmer",
    "engine",
    "letter",
    "garden",
    "winter",
    "market",
    "soldier",
    "teacher",
    "mountain",
    "village",
    "doctor",
    "bridge",
    "island",
    "forest",
    "captain",
    "kitchen",
    "window",
    "orchard",
    "library",
    "station",
    "painter",
    "valley",
]
VERBS = [
    "watched",
    "crossed",
    "remembered",
    "measured",
    "painted",
    "followed",
    "repaired",
    "questioned",
    "described",
    "guarded",
    "admired",
    "left",
]


def prose(name: str, count: int = 5) -> str:
    """English sentences that differ by name."""
    draw = rng(1, name)

    def sentence() -> str:
        a, b, c = draw.sample(NOUNS, 3)
        when = draw.choice(["In the morning", "Before the storm came", "After the long war", "With some luck", "Once more"])
        return (
            f"{when}, the {a} {draw.choice(VERBS)} the old {b} and then {draw.choice(VERBS)} the {c} near the {draw.choice(NOUNS)}."
        )

    return " ".join(sentence() for _ in range(count))


def source(kind: str = "local", path: str = "text", name: str = "mine", **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": kind, "path": path, "license": "CC0", **more}


def params(*sources: dict[str, Any], **changes: Any) -> Params:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    size = {"words": 3000, "min_words": 40, "max_words": 120, "heldout_documents": 4, "lexicon": None}
    raw["corpus"] |= {"sources": list(sources), "workers": 1, **size, **changes}
    return Params.model_validate(raw)


def enter(folder: Path) -> Path:
    """`folder`, the current directory, as a workspace with a folder `text` and one prompt of the benchmark."""
    (folder / "text").mkdir()
    write_jsonl(
        "data/benchmark/prompts.jsonl", [{"key": "1", "prompt": "Write two lines about the sea and end with the word tide"}]
    )
    return folder


def write_texts(folder: Path, count: int, prefix: str = "a") -> None:
    for number in range(count):
        (folder / f"{prefix}{number:02d}.txt").write_text(f"{prose(f'{prefix}{number}')}\n\n{prose(f'{prefix}{number}b')}\n")


def rows() -> list[dict[str, Any]]:
    return read_table("data/corpus", DOCUMENTS)


def reconciles(metrics: dict[str, Any]) -> None:
    for step in ("raw_documents", "paragraphs", "documents"):
        assert metrics[step]["in"] == metrics[step].get("kept", 0) + sum(metrics[step]["dropped"].values()), step
