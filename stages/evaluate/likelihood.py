"""Measure by likelihood, without generation.

The measures are topic cloze, instruction gap, minimal pairs, and forgetting. Each measure compares
losses of fixed texts. A measure by likelihood has more power than answers that are checked, and
costs no decoding.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from inserter.errors import InserterError
from inserter.evaluation import Difference, Figure, Forgetting, Form, Likelihood, Measure, Response
from inserter.files import fingerprint, read_json, write_json
from inserter.params import Params
from inserter.run.work import WorkFolder
from inserter.scoring.closed import score_record
from inserter.scoring.intervals import share_interval
from inserter.tables import HeldOutContext, Item, Loss
from inserter.training.examples import Example, chat_example, example
from inserter.training.gap import Measured, Pairs, gains, gap_closed, mean, share_of_reading
from inserter.training.heldout import Subject, forgetting, hear_all, losses
from inserter.training.models import new_model
from inserter.training.processes import from_main, rank
from inserter.training.sequences import text_part
from inserter.training.states import States
from models import InserterProcessor
from stages.evaluate.transcripts import hears_words, own_words

# A passing answer is looked for in this order.
ANSWER_FORMS = ("lm", "asr_lm", "read", "cascade", "heard")


Value = TypeVar("Value")
Trial = tuple[int, str]  # (place of a prompt, answer)


class Prompt(NamedTuple):
    """A closed-ended prompt of the standard variant that has a clip.

    The fields hold what each form gives the model.
    """

    item: Item

    clip: str
    """The digest of its audio."""

    transcript: str | None
    """What the model's own recogniser wrote; None if the model has none."""

    answers: tuple[str, ...]
    """The distinct answers that pass all checks strictly, in the order of ANSWER_FORMS."""


def measure(
    params: Params,
    subject: Subject,
    prompts: list[Prompt],
    *,
    rows: list[HeldOutContext],
    by_document: list[Loss],
    work: WorkFolder,
) -> Likelihood:
    """Return all four measures.

    subject: the model as it was saved, since `for_answers` changes weights at bf16.
    rows: the held-out documents.
    by_document: rows of LOSSES, whose losses are not measured again.
    """
    forms: tuple[Form, ...] = ("heard", "read", "cascade") if hears_words(subject.model) else ("heard", "read")
    trials = sorted(needed(prompts))
    asked = [(prompts[place].item["item_id"], answer) for place, answer in trials]
    found = _once(work, "answers", asked, made=lambda: answer_losses(subject, forms, prompts, trials=trials))
    table = {form: {trial: (loss, n) for trial, (loss, n) in zip(trials, found[form], strict=True)} for form in forms}
    lost = _once(work, "forgetting", [row["doc_id"] for row in rows], made=lambda: _lost(params, subject, rows))
    return {
        "topic_cloze": topic_cloze(forms, by_document, {row["doc_id"]: row["other_doc_id"] for row in rows}),
        "instruction_gap": instruction_gap(forms, prompts, table),
        "minimal_pairs": minimal_pairs(forms, prompts, table),
        "forgetting": forgotten(lost),
    }


def _once(work: WorkFolder, name: str, asked: Sequence[object], *, made: Callable[[], Value]) -> Value:
    """Return the value that the work folder keeps for `asked`; else make it on all ranks."""
    path = work / "likelihood" / f"{name}-{fingerprint(asked)}.json"
    if from_main(path.exists()):
        kept: Value = read_json(path)
        return kept
    value = made()
    if rank() == 0:
        write_json(path, value)
    return value


def prompts_of(
    processor: InserterProcessor,
    items: list[Item],
    responses: list[Response],
    *,
    digests: Mapping[str, str],
    clips: States,
    own: bool,
) -> list[Prompt]:
    """Return the closed-ended prompts of the standard variant that have a clip.

    The prompts are sorted by language and id, and have their passing answers.
    digests: {item_id: clip}.
    own: whether the model has a recogniser of its own, whose transcript the cascade reads.
    """
    passing: dict[str, dict[str, str]] = {}
    for row in responses:
        if row["strict"] and all(row["strict"]):
            passing.setdefault(row["item_id"], {})[row["form"]] = row["response"]
    chosen = [item for item in items if (item["task"], item["variant"]) == ("closed", "standard") and item["item_id"] in digests]
    result = []
    for item in sorted(chosen, key=lambda item: (item["lang"], item["item_id"])):
        passed = passing.get(item["item_id"], {})
        answers = dict.fromkeys(passed[form] for form in ANSWER_FORMS if form in passed)
        clip = digests[item["item_id"]]
        # As in `responses`, a clip of which nothing was understood is read as an empty turn.
        text = (own_words(processor, clips[clip]) or " ") if own else None
        result.append(Prompt(item, clip, text, tuple(answers)))
    return result


def following(prompts: list[Prompt]) -> dict[int, int]:
    """Return {place: place of the prompt with which it is compared}.

    The prompts of a language form a ring. The other prompt stands half a ring further, and so is of
    another type. The only prompt of a language has none.
    """
    by_language: dict[str, list[int]] = {}
    for place, prompt in enumerate(prompts):
        by_language.setdefault(prompt.item["lang"], []).append(place)
    groups = [group for group in by_language.values() if len(group) > 1]
    return {place: group[(i + len(group) // 2) % len(group)] for group in groups for i, place in enumerate(group)}


def _passes(prompt: Prompt, answer: str) -> bool:
    asked = {"instruction_id_list": prompt.item["instruction_id_list"], "kwargs": json.loads(prompt.item["kwargs"])}
    strict = score_record({**asked, "response": answer})["strict"]
    return bool(strict) and all(strict)


def telling_pairs(prompts: list[Prompt]) -> tuple[list[tuple[int, str, int, str]], dict[str, int]]:
    """Return (A, a, B, b) of each pair of compared prompts, and counts of what is left out.

    Answer a passes prompt A alone; answer b passes prompt B alone. Each is the first such answer in
    the order of ANSWER_FORMS. Two prompts are one pair, whichever comes first.
    """
    seen: set[frozenset[int]] = set()
    pairs = []
    left_out = {"without_answer": 0, "passes_both": 0}
    for one, other in sorted(following(prompts).items()):
        if frozenset((one, other)) in seen:
            continue
        seen.add(frozenset((one, other)))
        if not prompts[one].answers or not prompts[other].answers:
            left_out["without_answer"] += 1
            continue
        a = next((answer for answer in prompts[one].answers if not _passes(prompts[other], answer)), None)
        b = next((answer for answer in prompts[other].answers if not _passes(prompts[one], answer)), None)
        if a is None or b is None:
            left_out["passes_both"] += 1
        else:
            pairs.append((one, a, other, b))
    return pairs, left_out


def needed(prompts: list[Prompt]) -> set[tuple[int, str]]:
    """Return every (prompt, answer) whose loss the instruction gap or the minimal pairs need."""
    trials = set()
    for place, other in following(prompts).items():
        for answer in prompts[place].answers[:1]:
            trials |= {(place, answer), (other, answer)}
    for one, a, other, b in telling_pairs(prompts)[0]:
        trials |= {(one, a), (one, b), (other, a), (other, b)}
    return trials


def answer_losses(subject: Subject, forms: tuple[Form, ...], prompts: list[Prompt], *, trials: list[Trial]) -> dict[str, Pairs]:
    """Return {form: (summed loss, tokens) of each trial}.

    The loss is that of the answer and its end, after the prompt as the user's turn.
    """
    if not trials:  # no answer passes its checks
        return {form: [] for form in forms}

    def turn(form: str, place: int, answer: str) -> Example:
        prompt = prompts[place]
        text = prompt.transcript if form == "cascade" else prompt.item["prompt"]
        return chat_example(subject.processor, str(text), answer, utt_id=prompt.clip if form == "heard" else None)

    turns = {form: [turn(form, *trial) for trial in trials] for form in forms}
    heard = hear_all(subject, turns["heard"])
    return {form: losses(subject, turns[form], f"likelihood: answers, {form}", heard=heard) for form in forms}


def topic_cloze(forms: tuple[Form, ...], by_document: list[Loss], others: Mapping[str, str]) -> Measure:
    """Return the share of documents whose context favours their own continuation over another's.

    A continuation is favoured if it is likelier per token. Chance is 50 %.
    others: {document: the document whose context was its other context}. So `by_document` (rows of
    LOSSES) has both losses after each other context.
    """
    loss = {(row["doc_id"], row["context"]): row["loss"] / max(1, row["tokens"]) for row in by_document if row["voice"] == "seen"}
    right = {
        form: _likelier(
            np.array([loss[context, f"{form}_own"] for context in others.values()], dtype=float),
            np.array([loss[name, f"{form}_other"] for name in others], dtype=float),
        )
        for form in forms
    }
    return {"documents": len(others), **_shares(right, "topic cloze")}


def _likelier(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return 1 where the loss `own` is lower, 0 where it is higher, 0.5 where both are equal."""
    return (np.sign(other - own) + 1) / 2


def _shares(right: dict[Form, np.ndarray], name: str) -> Measure:
    result: Measure = {}
    for form, one in right.items():
        result[form] = _cell(one, name, form)
    if "cascade" in right:
        result["heard_minus_cascade"] = _difference(right["heard"] - right["cascade"], name, "heard - cascade")
    if "read" in right:
        result["heard_minus_read"] = _difference(right["heard"] - right["read"], name, "heard - read")
    return result


def _difference(values: np.ndarray, *names: str) -> Difference:
    found = _cell(values, *names)
    return {"difference": found["share"], "low": found["low"], "high": found["high"]}


def _cell(values: np.ndarray, *names: str) -> Figure:
    low, high = share_interval(values, np.ones(len(values)), *names) or (None, None)
    return {"share": float(values.mean()) if len(values) else None, "low": low, "high": high}


def instruction_gap(
    forms: tuple[Form, ...], prompts: list[Prompt], table: Mapping[Form, Mapping[Trial, tuple[float, int]]]
) -> Measure:
    """Return the gap closed over prompts.

    The gap is between the losses of a passing answer after the other prompt and after its own
    prompt.
    """
    after = following(prompts)
    chosen = [place for place in sorted(after) if prompts[place].answers]
    measured: Measured = {}
    for form in forms:
        measured[f"{form}_own"] = [table[form][place, prompts[place].answers[0]] for place in chosen]
        measured[f"{form}_other"] = [table[form][after[place], prompts[place].answers[0]] for place in chosen]
    means = {context: mean(pairs) for context, pairs in measured.items()}
    read = gains(measured, "read")
    closed = {form: gap_closed(means, form) for form in forms if form != "read"}
    result: Measure = {
        "prompts": len(chosen),
        "without_answer": sum(not prompt.answers for prompt in prompts),
        "without_other": sum(bool(prompt.answers) for prompt in prompts) - len(chosen),
        "nats": means,
    }
    for form, gap in closed.items():
        low, high = _of_reading(gap, gains(measured, form), read, name=f"instruction gap {form}")
        result[form] = Figure(share=gap, low=low, high=high)
    heard = closed["heard"]
    if "cascade" in closed:
        both = None if heard is None or closed["cascade"] is None else heard - closed["cascade"]
        gained = gains(measured, "heard") - gains(measured, "cascade")
        low, high = _of_reading(both, gained, read, name="instruction gap heard - cascade")
        result["heard_minus_cascade"] = Difference(difference=both, low=low, high=high)
    behind = None if heard is None else heard - 1.0  # reading closes the gap by definition
    low, high = _of_reading(behind, gains(measured, "heard") - read, read, name="instruction gap heard - read")
    result["heard_minus_read"] = Difference(difference=behind, low=low, high=high)
    return result


def _of_reading(value: float | None, gained: np.ndarray, read: np.ndarray, *, name: str) -> tuple[float | None, float | None]:
    found = None if value is None else share_of_reading(gained, read, name)
    return (found[0], found[1]) if found else (None, None)


def minimal_pairs(
    forms: tuple[Form, ...], prompts: list[Prompt], table: Mapping[Form, Mapping[Trial, tuple[float, int]]]
) -> Measure:
    """Return the share of choices in which the passing answer is likelier than the other prompt's.

    Likelihood is per token. A pair is two choices, one per prompt. Each answer is right once and
    wrong once, so that a deaf model scores 50 %.
    """
    pairs, left_out = telling_pairs(prompts)

    def loss(form: Form, place: int, answer: str) -> float:
        total, tokens = table[form][place, answer]
        return total / max(1, tokens)

    right = {}
    for form in forms:
        of = np.array(
            [(loss(form, A, a), loss(form, A, b), loss(form, B, b), loss(form, B, a)) for A, a, B, b in pairs], dtype=float
        ).reshape(-1, 4)
        right[form] = (_likelier(of[:, 0], of[:, 1]) + _likelier(of[:, 2], of[:, 3])) / 2
    return {
        "pairs": len(pairs),
        "without_answer": left_out["without_answer"],
        "passes_both": left_out["passes_both"],
        **_shares(right, "minimal pairs"),
    }


def _lost(params: Params, subject: Subject, rows: list[HeldOutContext]) -> dict[str, list[float]]:
    processor = subject.processor
    base, before = new_model(params.assets, params.warmup.adapter, 0, delimiters=processor.delimiters)
    sizes = len(before.tokenizer), len(processor.tokenizer)
    if sizes[0] != sizes[1]:
        problem = f"the LM before training has {sizes[0]} tokens and the model has {sizes[1]}"
        raise InserterError(problem, "Run `dvc repro`: the model has another assets.lm or warmup.adapter")
    texts = [example(processor, [text_part(row["context"] + row["continuation"])]) for row in rows]
    return forgetting(base, subject.model, texts, precision=subject.precision, shared=subject.shared)


def forgotten(lost: dict[str, list[float]]) -> Forgetting:
    """Return what training changed on the held-out text, in nats per token.

    The figures are KL(base || model), the loss of both models, and the difference of these losses.
    """
    tokens = np.array(lost["tokens"], dtype=float)

    def per_token(name: str, values: list[float]) -> tuple[float | None, float | None, float | None]:
        if not tokens.sum():
            return None, None, None
        found = np.array(values, dtype=float)
        low, high = share_interval(found, tokens, f"forgetting {name}") or (None, None)
        return float(found.sum() / tokens.sum()), low, high

    kl, low, high = per_token("kl", lost["kl"])
    more = per_token("loss", [after - before for before, after in zip(lost["base"], lost["model"], strict=True)])
    return {
        "documents": len(tokens),
        "tokens": int(tokens.sum()),
        "kl": kl,
        "low": low,
        "high": high,
        "text_nll_base": per_token("base", lost["base"])[0],
        "text_nll_model": per_token("model", lost["model"])[0],
        "model_minus_base": Difference(difference=more[0], low=more[1], high=more[2]),
    }
