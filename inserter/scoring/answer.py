"""Make the record of an answer: the benchmark's fields of its item, and the response."""

import json

from inserter.evaluation import Answer
from inserter.tables import Item


def answer_of(item: Item, form: str, response: str, *, transcript: str | None = None) -> Answer:
    """Return the record of `response` to `item`, as `inserter score` and `inserter judge` read it.

    form: how the item was put, such as "heard" or "read". transcript: the recogniser's.
    """
    return {
        "id": f"{item['item_id']} {form}",
        "item_id": item["item_id"],
        "key": item["key"],
        "task": item["task"],
        "lang": item["lang"],
        "variant": item["variant"],
        "form": form,
        "prompt": item["prompt"],
        "clean_prompt": item["clean_prompt"],
        "instruction_id_list": item["instruction_id_list"],
        "kwargs": json.loads(item["kwargs"]),
        "questions": item["questions"] or [],
        "voice": item["voice"] if item["shard"] else None,
        "transcript": transcript,
        "response": response,
    }
