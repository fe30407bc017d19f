"""Answer the benchmark's items in each form.

The trained model or the LM before training answers what it hears or reads.
"""

import hashlib

from inserter.assets import asr_folder
from inserter.audio.clips import read_clip_bytes
from inserter.evaluation import Response
from inserter.params import Params
from inserter.paths import DATA
from inserter.run.work import WorkFolder
from inserter.scoring.answer import answer_of
from inserter.scoring.closed import score_record
from inserter.tables import Clip, Item
from inserter.training.answers import Question, answer_all
from inserter.training.models import for_answers, new_model
from inserter.training.states import States, encode_clips
from models import InserterForConditionalGeneration, InserterProcessor
from stages.evaluate.transcripts import hears_words, own_words, transcripts

Answers = dict[str, str]  # by item_id, or by Question.id: "text DIGEST" or "clip DIGEST"


CASCADES = ("cascade", "asr_lm")  # forms that read the recogniser's transcript


class Respondent:
    """Asks one model.

    Each distinct text and sound is answered once, however many items, variants and forms share it.
    """

    def __init__(
        self, params: Params, model: InserterForConditionalGeneration, processor: InserterProcessor, *, work: WorkFolder
    ) -> None:
        self.params, self.processor, self.work = params, processor, work
        self.model = for_answers(model, params.evaluate.precision)
        self.known: Answers = {}

    def __call__(self, name: str, questions: dict[str, Question]) -> Answers:
        """Return {key: answer} of `questions`.

        Only new questions are answered. Their answers are kept in the work folder's `answers NAME`,
        by batch.
        """
        p = self.params.evaluate
        new = {question.id: question for question in questions.values() if question.id not in self.known}
        self.known |= answer_all(
            self.model,
            self.processor,
            list(new.values()),
            work=self.work,
            name=f"answers {name}",
            max_new_tokens=p.max_new_tokens,
            batch_size=p.batch_size,
            precision=p.precision,
        )
        return {key: self.known[question.id] for key, question in questions.items()}


def respond(
    params: Params, model: InserterForConditionalGeneration, processor: InserterProcessor, *, items: list[Item], work: WorkFolder
) -> list[Response]:
    """Return one row per item and form, as in data/evaluate/responses.jsonl.

    An item without audio has no row for a form that hears it.
    """
    forms = params.evaluate.forms
    spoken = [item for item in items if item["shard"]]
    transcribed = bool(set(CASCADES) & set(forms))
    own = transcribed and hears_words(model)
    sounds = _sounds(params, model, processor, items=spoken) if "heard" in forms or own else {}
    texts: dict[str, str] = {}
    if own:
        texts = {name: own_words(processor, sound.states()) for name, sound in sounds.items() if sound.states}
    elif transcribed:
        texts = transcripts(spoken, asr_folder(params.assets.asr), work)
    # A clip of which nothing was understood is still asked, as an empty turn.
    understood = {item["item_id"]: _text(texts[item["item_id"]] or " ") for item in spoken} if texts else {}
    answers: dict[str, Answers] = {}
    trained = Respondent(params, model, processor, work=work)
    if "heard" in forms:
        answers["heard"] = trained("heard", sounds)
    if "read" in forms:
        answers["read"] = trained("read", {item["item_id"]: _text(item["prompt"]) for item in items})
    if "cascade" in forms:
        answers["cascade"] = trained("cascade", understood)
    if {"lm", "asr_lm"} & set(forms):
        untrained = Respondent(params, *new_model(params.assets, params.warmup.adapter, 0), work=work)
        if "lm" in forms:
            answers["lm"] = untrained("lm", {item["item_id"]: _text(item["clean_prompt"]) for item in items})
        if "asr_lm" in forms:
            answers["asr_lm"] = untrained("asr_lm", understood)
    return [
        _row(item, form, answers[form][item["item_id"]], transcript=texts.get(item["item_id"]))
        for item in items
        for form in forms
        if item["item_id"] in answers[form]
    ]


def _text(text: str) -> Question:
    digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return Question(f"text {digest}", len(text), text=text)


def _sounds(
    params: Params, model: InserterForConditionalGeneration, processor: InserterProcessor, *, items: list[Item]
) -> dict[str, Question]:
    """Return one question per clip, by item_id."""
    digests, states = clips_of_items(params, model, processor, items=items)
    return {item["item_id"]: _sound(digests[item["item_id"]], item, states) for item in items}


def clips_of_items(
    params: Params, model: InserterForConditionalGeneration, processor: InserterProcessor, *, items: list[Item]
) -> tuple[dict[str, str], States]:
    """Return {item_id: digest}, and the encoder states by digest.

    Clips of the same bytes share a digest. Each is encoded once, and its states are kept for the
    next model too.
    """
    digests = {
        item["item_id"]: hashlib.blake2b(read_clip_bytes(DATA / "benchmark", item), digest_size=8).hexdigest() for item in items
    }
    distinct = {digests[item["item_id"]]: item for item in items}
    clips: list[Clip] = [
        {"utt_id": name, "shard": item["shard"], "offset": item["offset"], "size": item["size"], "duration": item["duration"]}
        for name, item in distinct.items()
    ]
    return digests, encode_clips(model, processor, clips, shards=DATA / "benchmark", precision=params.evaluate.precision)


def _sound(digest: str, item: Item, states: States) -> Question:
    return Question(f"clip {digest}", item["duration"] * 16, states=lambda: states[digest])


def _row(item: Item, form: str, response: str, *, transcript: str | None) -> Response:
    """Return the benchmark's fields, the response, and the verdicts if the item is closed-ended.

    A verdict is None if the response cannot be scored; `error` says why.
    """
    row = answer_of(item, form, response, transcript=transcript if form in ("heard", *CASCADES) else None)
    verdict = score_record(row) if item["task"] == "closed" else {}
    return {
        **row,
        "judged": None,
        "strict": verdict.get("strict"),
        "loose": verdict.get("loose"),
        "error": verdict.get("error"),
    }
