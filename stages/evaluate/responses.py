"""What each form of listening answers to the benchmark's items: heard, read, the LM before training, the cascade."""

import hashlib
import json
from typing import Any

from models import InserterForConditionalGeneration, InserterProcessor
from stages.common.assets import asr_folder
from stages.common.audio import read_clip_bytes
from stages.common.params import Params
from stages.common.paths import DATA
from stages.common.training.answers import Question, answer_all
from stages.common.training.models import for_answers, new_model
from stages.common.training.states import States, encode_clips
from stages.common.work import WorkFolder
from stages.evaluate.closed import score_record
from stages.evaluate.transcripts import transcripts

Item = dict[str, Any]
Answers = dict[str, str]  # by what was put to the model: "text TEXT" or "clip DIGEST"


class Respondent:
    """A model that answers each distinct text and sound once, however many items and variants share it."""

    def __init__(self, params: Params, work: WorkFolder) -> None:
        self.params, self.work = params, work

    def __call__(
        self, name: str, model: InserterForConditionalGeneration, processor: InserterProcessor, questions: dict[str, Question]
    ) -> Answers:
        """{key: answer} of `questions`, kept in the folder `answers NAME` batch by batch."""
        p = self.params.evaluate
        distinct = list({question.id: question for question in questions.values()}.values())
        answers = answer_all(
            for_answers(model, p.precision), processor, distinct, self.work, f"answers {name}",
            p.max_new_tokens, p.batch_size, p.precision,
        )  # fmt: skip
        return {key: answers[question.id] for key, question in questions.items()}


def respond(
    params: Params, model: InserterForConditionalGeneration, processor: InserterProcessor, items: list[Item], work: WorkFolder
) -> list[dict[str, Any]]:
    """A row an item and form (data/evaluate/responses.jsonl). An item without audio is not heard, nor by the cascade."""
    forms, ask = params.evaluate.forms, Respondent(params, work)
    spoken = [item for item in items if item["shard"]]
    answers: dict[str, Answers] = {}
    if "heard" in forms:
        answers["heard"] = ask("heard", model, processor, _sounds(params, model, processor, spoken))
    if "read" in forms:
        answers["read"] = ask("read", model, processor, {i["item_id"]: _text(i["prompt"]) for i in items})
    texts = transcripts(spoken, asr_folder(params.assets.asr), work) if "cascade" in forms else {}
    if {"lm", "cascade"} & set(forms):
        untrained = new_model(params.assets, params.warmup.adapter, 0)
        if "lm" in forms:
            answers["lm"] = ask("lm", *untrained, {i["item_id"]: _text(i["clean_prompt"]) for i in items})
        if "cascade" in forms:
            # what was not understood at all is still put to the LM: an empty turn
            answers["cascade"] = ask("cascade", *untrained, {i["item_id"]: _text(texts[i["item_id"]] or " ") for i in spoken})
    return [
        _row(item, form, answers[form][item["item_id"]], texts.get(item["item_id"]))
        for item in items for form in forms if item["item_id"] in answers[form]
    ]  # fmt: skip


def _text(text: str) -> Question:
    digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return Question(f"text {digest}", len(text), text=text)


def _sounds(
    params: Params, model: InserterForConditionalGeneration, processor: InserterProcessor, items: list[Item]
) -> dict[str, Question]:
    """A question a clip; clips of the same bytes are one. Each is encoded once, and that is kept for the next model too."""
    digests = {
        item["item_id"]: hashlib.blake2b(read_clip_bytes(DATA / "benchmark", item), digest_size=8).hexdigest() for item in items
    }
    distinct = {digests[item["item_id"]]: item | {"utt_id": digests[item["item_id"]]} for item in items}
    states = encode_clips(model, processor, distinct.values(), DATA / "benchmark", params.evaluate.precision)
    return {item["item_id"]: _sound(digests[item["item_id"]], item, states) for item in items}


def _sound(digest: str, item: Item, states: States) -> Question:
    return Question(f"clip {digest}", item["duration"] * 16, states=lambda: states[digest])


def _row(item: Item, form: str, response: str, transcript: str | None) -> dict[str, Any]:
    """The benchmark's fields, the response and, closed-ended, its verdicts (None: not scorable, and `error` says why)."""
    row = {
        "id": f"{item['item_id']} {form}", "item_id": item["item_id"], "key": item["key"], "task": item["task"],
        "lang": item["lang"], "variant": item["variant"], "form": form, "prompt": item["prompt"],
        "clean_prompt": item["clean_prompt"], "instruction_id_list": item["instruction_id_list"],
        "kwargs": json.loads(item["kwargs"]), "questions": item["questions"] or [],
        "voice": item["voice"] if item["shard"] else None,
        "transcript": transcript if form in ("heard", "cascade") else None, "response": response, "judged": None,
    }  # fmt: skip
    verdict = score_record(row) if item["task"] == "closed" else {}
    return {**row, **{name: verdict.get(name) for name in ("strict", "loose", "error")}}
