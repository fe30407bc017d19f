"""Voices that training has heard and those that it has not are told apart, over the same documents and items."""

import numpy as np
import pytest
import torch

from models import InserterForConditionalGeneration, InserterProcessor
from stages.common.params import load
from stages.common.training import heldout
from stages.common.training.heldout import continuation
from stages.evaluate.voices import by_voice, seen_voices


@pytest.fixture
def model(tiny_model):
    return InserterForConditionalGeneration.from_pretrained(tiny_model), InserterProcessor.from_pretrained(tiny_model)


def documents(unseen: str = "abcd") -> list[dict]:
    names = "abcd"
    return [
        {"doc_id": d, "utt_id": d, "unseen_utt_id": f"{d}-unseen" if d in unseen else None, "context": f"the {d} dog",
         "continuation": " jumps over the fox", "other_doc_id": names[(i + 1) % 4]}
        for i, d in enumerate(names)
    ]  # fmt: skip


def clips(rows: list[dict]) -> dict[str, torch.Tensor]:
    names = [row[clip] for row in rows for clip in ("utt_id", "unseen_utt_id") if row[clip]]
    return {name: torch.from_numpy(np.random.default_rng(i).standard_normal((40, 32), np.float32)) for i, name in enumerate(names)}


def test_the_same_documents_are_heard_in_both_and_read_once(model, monkeypatch):
    asked, plain = [], heldout.losses
    monkeypatch.setattr(heldout, "losses", lambda *args: asked.append((args[4], len(args[1]))) or plain(*args))
    rows = documents()
    found = continuation(*model, rows, clips(rows), "fp32")
    seen, unseen = found["voices"]["seen"], found["voices"]["unseen"]
    assert seen["continuation"] == found["continuation"] and seen["gap_closed"] == found["gap_closed"]
    assert unseen["documents"] == seen["documents"] == found["documents"] == 4
    for context in ("read_own", "read_other", "absent"):
        assert unseen["continuation"][context] == seen["continuation"][context]
    for context in ("heard_own", "heard_other"):
        assert unseen["continuation"][context] != seen["continuation"][context]
    assert len(asked) == 7, "two contexts more, and only those"


def test_a_document_counts_where_its_own_context_and_the_other_one_are_in_both(model):
    rows = documents(unseen="abc")  # d has none, and is c's other document
    found = continuation(*model, rows, clips(rows), "fp32")
    assert found["documents"] == 4 and found["voices"]["seen"]["documents"] == found["voices"]["unseen"]["documents"] == 2


def test_without_an_unseen_voice_nothing_is_said_of_it(model):
    rows = documents(unseen="")
    found = continuation(*model, rows, clips(rows), "fp32")
    assert found["voices"]["unseen"] is None
    assert found["voices"]["seen"]["continuation"] == found["continuation"]


def test_an_interval_holds_the_gap():
    rng = np.random.default_rng(0)
    own, other = rng.uniform(20, 30, 60), rng.uniform(5, 15, 60)

    def pairs(losses: np.ndarray) -> list[tuple[float, int]]:
        return [(float(loss), 10) for loss in losses]

    measured = {
        "heard_own": pairs(own), "heard_other": pairs(own + 0.5 * other), "read_own": pairs(own - 3),
        "read_other": pairs(own - 3 + other), "absent": pairs(own + 20),
    }  # fmt: skip
    figures = heldout._figures(measured)
    low, high = figures["gap_closed_interval"]
    assert figures["gap_closed"] == pytest.approx(0.5) and low == pytest.approx(0.5) == high


def row(voice: str | None, form: str, variant: str = "standard", followed: bool = True) -> dict:
    return {
        "voice": voice, "form": form, "variant": variant, "lang": "en", "key": f"{voice} {form}", "id": f"{voice} {variant} {form}",
        "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}], "prompt": "p", "response": "no" if followed else "a, b",
        "strict": [followed], "loose": [followed], "error": None,
    }  # fmt: skip


def test_benchmark_items_are_grouped_by_whether_training_heard_the_speaker():
    params = load()
    seen = seen_voices(params)
    assert seen("heart") and seen("heart pitch 0.85"), "at another pitch it is the same speaker"
    assert not seen("slt") and not seen("SpeechInstructBench") and not seen("hearty")
    rows = [row("heart", "heard"), row("heart rate 1.2", "heard", "paralinguistics"), row("slt", "heard", "accent", False)]
    rows += [row("slt", "read", "accent"), row("slt", "lm", "accent"), row(None, "read")]
    table = by_voice(rows, seen)["en"]
    assert set(table["seen"]) == {"standard", "paralinguistics"} and set(table["unseen"]) == {"accent"}
    assert set(table["unseen"]["accent"]) == {"heard", "read"}
    assert table["unseen"]["accent"]["heard"]["strict"]["prompt"] == 0 and table["seen"]["standard"]["heard"]["n_prompts"] == 1
    assert by_voice([row("heart", "heard")], seen)["en"]["unseen"] is None


def test_a_heldout_voice_is_no_training_voice():
    params = load()
    held = [voice.model_copy(update={"heldout": voice.voice == "heart"}) for voice in params.synthesize.voices]
    changed = params.model_copy(update={"synthesize": params.synthesize.model_copy(update={"voices": tuple(held)})})
    assert not seen_voices(changed)("heart")
