"""Voices that training has heard and those that it has not are told apart, over the same documents and items."""

import numpy as np
import pytest
import torch

from inserter.params import load
from inserter.tables import KL
from inserter.training import gap, heldout
from inserter.training.heldout import Subject, continuation
from models import InserterForConditionalGeneration, InserterProcessor
from stages.evaluate.company import loss_rows
from stages.evaluate.voices import by_voice, seen_voices


@pytest.fixture
def model(tiny_model):
    return InserterForConditionalGeneration.from_pretrained(tiny_model), InserterProcessor.from_pretrained(tiny_model)


def documents(unseen: str = "abcd") -> list[dict]:
    names = "abcd"
    return [
        {
            "doc_id": d,
            "utt_id": d,
            "unseen_utt_id": f"{d}-unseen" if d in unseen else None,
            "context": f"the {d} dog",
            "continuation": " jumps over the fox",
            "other_doc_id": names[(i + 1) % 4],
        }
        for i, d in enumerate(names)
    ]


def clips(rows: list[dict]) -> dict[str, torch.Tensor]:
    names = [row[clip] for row in rows for clip in ("utt_id", "unseen_utt_id") if row[clip]]
    return {name: torch.from_numpy(np.random.default_rng(i).standard_normal((40, 32), np.float32)) for i, name in enumerate(names)}


def test_the_same_documents_are_heard_in_both_and_read_once(model, monkeypatch):
    asked, plain = [], heldout.losses
    monkeypatch.setattr(heldout, "losses", lambda *args, **more: asked.append((args[2], len(args[1]))) or plain(*args, **more))
    rows = documents()
    found = continuation(Subject(*model, clips(rows), "fp32"), rows)
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
    found = continuation(Subject(*model, clips(rows), "fp32"), rows)
    assert found["documents"] == 4 and found["voices"]["seen"]["documents"] == found["voices"]["unseen"]["documents"] == 2


def test_without_an_unseen_voice_no_figure_of_it_is_reported(model):
    rows = documents(unseen="")
    found = continuation(Subject(*model, clips(rows), "fp32"), rows)
    assert found["voices"]["unseen"] is None
    assert found["voices"]["seen"]["continuation"] == found["continuation"]


def test_an_interval_holds_the_gap():
    rng = np.random.default_rng(0)
    own, other = rng.uniform(20, 30, 60), rng.uniform(5, 15, 60)

    def pairs(losses: np.ndarray) -> list[tuple[float, int]]:
        return [(float(loss), 10) for loss in losses]

    measured = {
        "heard_own": pairs(own),
        "heard_other": pairs(own + 0.5 * other),
        "read_own": pairs(own - 3),
        "read_other": pairs(own - 3 + other),
        "absent": pairs(own + 20),
    }
    figures = gap._figures(measured)
    low, high = figures["gap_closed_interval"]
    assert figures["gap_closed"] == pytest.approx(0.5) and low == pytest.approx(0.5) == high


def test_a_recogniser_without_errors_closes_the_whole_gap_in_both_voices(model):
    rows = documents()
    right = {row[clip]: row["context"] for row in rows for clip in ("utt_id", "unseen_utt_id")}
    found = heldout.measure(Subject(*model, clips(rows), "fp32"), rows, right)
    for measured in (found.seen, found.unseen):
        for whose in ("own", "other"):
            assert [x for x, _ in measured[f"cascade_{whose}"]] == pytest.approx([x for x, _ in found.seen[f"read_{whose}"]])
    figures = gap.figures(found)
    for part in (figures, figures["voices"]["seen"], figures["voices"]["unseen"]):
        if part["gap_closed"] is not None:  # the tiny LM's weights are random: reading may help nothing
            assert part["cascade"]["gap_closed"] == pytest.approx(1.0, abs=1e-3)
            assert part["heard_minus_cascade"]["difference"] == pytest.approx(part["gap_closed"] - 1.0, abs=1e-3)
        assert part["kl_read_heard"] > 0
    table = list(loss_rows(found))
    assert {(r["voice"], r["context"]) for r in table if r["voice"] == "unseen"} == {
        ("unseen", c) for c in (*gap.HEARD, *gap.CASCADE, KL)
    }
    assert len(table) == 4 * (8 + 5) and len({r["content"] for r in table}) == 4
    of = {(r["doc_id"], r["voice"], r["context"]): (r["loss"], r["tokens"]) for r in table}
    assert of["b", "unseen", "heard_own"] == found.unseen["heard_own"][1]


def test_a_cascade_that_hears_another_document_is_behind_and_pretraining_never_measures_it(model):
    rows = documents()
    wrong = {row[clip]: "a lazy fox" for row in rows for clip in ("utt_id", "unseen_utt_id")}
    found = heldout.measure(Subject(*model, clips(rows), "fp32"), rows, wrong)
    assert gap.gains(found.seen, "cascade") == pytest.approx(np.zeros(4), abs=1e-4), "the same words, own and other"
    assert not {"cascade", "heard_minus_cascade", "kl_read_heard"} & set(continuation(Subject(*model, clips(rows), "fp32"), rows))


def test_divergence_is_none_of_a_context_from_itself(model):
    rows = documents()
    others = {row["doc_id"]: row for row in rows}
    read, other = ([heldout.context_example(model[1], r, c, others=others) for r in rows] for c in ("read_own", "read_other"))
    subject = Subject(*model, clips(rows), "fp32")
    same = heldout.divergences(subject, list(zip(read, read, strict=True)))
    apart = heldout.divergences(subject, list(zip(read, other, strict=True)))
    assert all(abs(kl) < 1e-6 and tokens == read[i].learnt for i, (kl, tokens) in enumerate(same.kl))
    assert all(kl > 1e-5 for kl, _ in apart.kl), "the weights are random: little depends on the context"
    for side, examples in ((apart.first, read), (apart.second, other)):
        alone = heldout.losses(subject, examples, "alone")
        assert np.array(side) == pytest.approx(np.array(alone), rel=1e-5)
    p, q = torch.randn(2, 100, 50, generator=torch.Generator().manual_seed(0))
    whole = torch.nn.functional.kl_div(q.log_softmax(-1), p.log_softmax(-1), reduction="sum", log_target=True)
    assert heldout._divergence(p, q) == (pytest.approx(float(whole), rel=1e-5), 100)
    assert not model[0].language_model._forward_hooks


def test_the_paired_difference_is_of_the_same_documents():
    """The documents differ far more from each other than the cascade from hearing does."""
    rng = np.random.default_rng(0)
    read = rng.uniform(5, 50, 60)

    def pairs(gain: np.ndarray) -> dict[str, list[tuple[float, int]]]:
        return {"own": [(100.0, 10)] * 60, "other": [(100.0 + float(g), 10) for g in gain]}

    ways = {"heard": 0.8 * read + rng.normal(0, 0.5, 60), "cascade": 0.9 * read + rng.normal(0, 0.5, 60), "read": read}
    measured = {f"{how}_{whose}": found for how, gain in ways.items() for whose, found in pairs(gain).items()}
    figures = gap._figures({**measured, "absent": measured["read_own"]})
    behind = figures["heard_minus_cascade"]
    assert behind["low"] < behind["difference"] < behind["high"] < 0
    assert behind["difference"] == pytest.approx(figures["gap_closed"] - figures["cascade"]["gap_closed"])
    assert behind["high"] - behind["low"] < 0.05


def row(voice: str | None, form: str, variant: str = "standard", followed: bool = True) -> dict:
    return {
        "voice": voice,
        "form": form,
        "variant": variant,
        "lang": "en",
        "key": f"{voice} {form}",
        "id": f"{voice} {variant} {form}",
        "instruction_id_list": ["punctuation:no_comma"],
        "kwargs": [{}],
        "prompt": "p",
        "response": "no" if followed else "a, b",
        "strict": [followed],
        "loose": [followed],
        "error": None,
    }


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
