"""Answers of the model to every benchmark item, heard and read, with their verdicts."""

import json
from typing import Any

import numpy as np

from models import InserterForConditionalGeneration, InserterProcessor
from stages.common.audio import read_clip
from stages.common.params import Params
from stages.common.paths import DATA
from stages.common.training.answers import Question, answer_all
from stages.common.work import WorkFolder
from stages.evaluate.closed import aggregate, score_record

FORMS = ("heard", "read")
SCORES = ("strict", "loose", "mean")
LEVELS = ("prompt", "instruction")


def _heard(item: dict[str, Any]) -> Question:
    def load() -> np.ndarray:
        return read_clip(DATA / "benchmark", item)

    return Question(f"heard {item['item_id']}", item["duration"] * 16, load=load)


def respond(
    params: Params, model: InserterForConditionalGeneration, processor: InserterProcessor, items: list[dict], work: WorkFolder
) -> list[dict[str, Any]]:
    """A row for each item and form. What variants share in writing is read once."""
    texts = sorted({item["prompt"] for item in items})
    number = {text: i for i, text in enumerate(texts)}
    questions = [_heard(item) for item in items]
    questions += [Question(f"read {number[text]:05d}", len(text), text=text) for text in texts]
    p = params.evaluate
    answers: dict[str, str] = {}
    for form in FORMS:  # a batch is either heard or read: their lengths are not comparable
        group = [q for q in questions if q.id.startswith(form)]
        answers |= answer_all(model, processor, group, work, f"answers {form}", p.max_new_tokens, p.batch_clips, p.precision)
    rows = []
    for item in items:
        for form in FORMS:
            said = answers[f"heard {item['item_id']}" if form == "heard" else f"read {number[item['prompt']]:05d}"]
            rows.append(_scored(item, form, said))
    return rows


def _scored(item: dict[str, Any], form: str, response: str) -> dict[str, Any]:
    """A line of data/evaluate/responses.jsonl: the benchmark's fields, the response and its verdicts (None: not scorable)."""
    row = {
        "id": f"{item['item_id']} {form}", "item_id": item["item_id"], "key": item["key"], "task": item["task"],
        "lang": item["lang"], "variant": item["variant"], "form": form, "prompt": item["prompt"],
        "instruction_id_list": item["instruction_id_list"], "kwargs": json.loads(item["kwargs"]), "response": response,
    }  # fmt: skip
    verdict = score_record(row)
    return {**row, **{k: verdict.get(k) for k in ("strict", "loose", "error")}}


def table(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """{task: {lang: {variant: {form: {score: {level: fraction}, n_prompts, n_instructions, n_dropped}}}}}."""
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        groups.setdefault((row["task"], row["lang"], row["variant"], row["form"]), []).append(row)
    result: dict[str, Any] = {}
    for (task, lang, variant, form), group in sorted(groups.items()):
        scores = aggregate([score_record(row) for row in group])
        cell: dict[str, Any] = {s: {level: scores[f"{s}-{level}"] for level in LEVELS} for s in SCORES}
        cell |= {name: scores[name] for name in ("n_prompts", "n_instructions", "n_dropped")}
        result.setdefault(task, {}).setdefault(lang, {}).setdefault(variant, {})[form] = cell
    return result
