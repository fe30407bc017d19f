"""The answers of our model to the benchmark's items, without any door between."""

import io
from collections.abc import Container
from pathlib import Path

import soundfile

from inserter.answering.items import load, wav
from inserter.tables import Item
from inserter.training.models import for_answers
from models import InserterForConditionalGeneration, InserterProcessor
from models.generation import Prompt, generate_answers


def own_answers(model: Path, items: Path, names: Container[str], *, form: str, tokens: int, precision: str) -> dict[str, str]:
    """{item_id: answer} to the items of these names."""

    def prompt(item: Item) -> Prompt:
        if form == "read":
            return Prompt(item["prompt"])
        return Prompt(audio=soundfile.read(io.BytesIO(wav(items, item)), dtype="float32")[0])

    asked = [item for item in load(items) if item["item_id"] in names]
    net, processor = (kind.from_pretrained(model) for kind in (InserterForConditionalGeneration, InserterProcessor))
    how = {"max_new_tokens": tokens, "precision": precision}
    found = generate_answers(for_answers(net, precision), processor, list(map(prompt, asked)), **how)
    return {item["item_id"]: answer for item, answer in zip(asked, found, strict=True)}
