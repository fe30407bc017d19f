"""Likelihood: known losses give known figures, counts reconcile, and a deaf model gets half of the minimal pairs."""

import json

import numpy as np
import pytest
import torch

from inserter.scoring import table as scoretable
from inserter.training.examples import example
from inserter.training.heldout import Subject, forgetting, losses
from models import InserterForConditionalGeneration, InserterProcessor
from stages.evaluate import likelihood
from stages.evaluate.likelihood import Prompt, following, instruction_gap, minimal_pairs, needed, telling_pairs
from stages.register.runs import flatten
from stages.report.text import markdown

FORMS = ("heard", "read", "cascade")


def prompt(word: str, *answers: str, lang: str = "en") -> Prompt:
    """A prompt that asks for one keyword."""
    kwargs = json.dumps([{"keywords": [word]}])
    item = {"item_id": f"standard-{lang}-{word}", "lang": lang, "prompt": f"Speak of the {word}.", "kwargs": kwargs}
    return Prompt({**item, "instruction_id_list": ["keywords:existence"]}, word, f"the {word}", answers)


FOX, DOG, OWL = prompt("fox", "A fox runs."), prompt("dog", "A dog, no fox.", "A dog jumps."), prompt("owl")


@pytest.fixture
def model(tiny_model):
    return InserterForConditionalGeneration.from_pretrained(tiny_model), InserterProcessor.from_pretrained(tiny_model)


def test_an_answer_that_passes_both_prompts_makes_way_for_one_that_does_not():
    pairs, left_out = telling_pairs([DOG, FOX])
    assert pairs == [(0, "A dog jumps.", 1, "A fox runs.")] and left_out == {"without_answer": 0, "passes_both": 0}
    both = [DOG._replace(answers=("A dog, no fox.",)), FOX]
    assert telling_pairs(both) == ([], {"without_answer": 0, "passes_both": 1})


def test_the_counts_reconcile_and_languages_do_not_mix():
    prompts = [DOG, FOX, OWL, prompt("boat", "The boat.", lang="xx")]
    assert following(prompts) == {0: 1, 1: 2, 2: 0}
    table = {form: dict.fromkeys(needed(prompts), (1.0, 1)) for form in FORMS}
    pairs, gap = minimal_pairs(FORMS, prompts, table), instruction_gap(FORMS, prompts, table)
    assert (pairs["pairs"], pairs["without_answer"], pairs["passes_both"]) == (1, 2, 0), "3 neighbours"
    assert (gap["prompts"], gap["without_answer"], gap["without_other"]) == (2, 1, 1), "4 prompts"
    assert gap["heard"]["share"] is None, "reading does not help"
    assert pairs["heard"]["share"] == 0.5, "equal losses count half"


def test_known_losses_give_known_figures():
    prompts = [DOG, FOX]
    trials = needed(prompts)
    own = {(0, "A dog, no fox."), (0, "A dog jumps."), (1, "A fox runs.")}
    perfect = {trial: (2.0 if trial in own else 4.0, 2) for trial in trials}
    half = {trial: (2.0 if trial in own else 3.0, 2) for trial in trials}
    wrong = {trial: (4.0 if trial in own else 2.0, 2) for trial in trials}
    table = {"heard": half, "read": perfect, "cascade": wrong}
    gap = instruction_gap(FORMS, prompts, table)
    assert gap["heard"]["share"] == pytest.approx(0.5) and gap["heard_minus_read"]["difference"] == pytest.approx(-0.5)
    assert gap["cascade"]["share"] == pytest.approx(-1.0) and gap["heard_minus_cascade"]["difference"] == pytest.approx(1.5)
    pairs = minimal_pairs(FORMS, prompts, table)
    assert [pairs[form]["share"] for form in FORMS] == [1.0, 1.0, 0.0]
    assert pairs["heard_minus_cascade"] == {"difference": 1.0, "low": None, "high": None}, "one pair: nothing to resample"


def test_a_deaf_model_gets_half_of_the_minimal_pairs(model):
    """Every prompt has the same clip: what is heard says nothing of the prompt."""
    words = ("fox", "dog", "owl", "lazy")
    prompts = [prompt(word, f"The {word} jumps over it.")._replace(clip="same") for word in words]
    clips = {"same": torch.from_numpy(np.random.default_rng(0).standard_normal((40, 32), np.float32))}
    trials = sorted(needed(prompts))
    found = likelihood.answer_losses(Subject(*model, clips, "fp32"), FORMS, prompts, trials=trials)
    table = {form: dict(zip(trials, found[form], strict=True)) for form in FORMS}
    result = minimal_pairs(FORMS, prompts, table)
    assert result["pairs"] == 2 and result["heard"] == {"share": 0.5, "low": 0.5, "high": 0.5}
    assert instruction_gap(FORMS, prompts, table)["nats"]["heard_own"] > 0
    read = [losses_of for (place, _), losses_of in zip(trials, found["read"], strict=True) if place == 0]
    assert read != [losses_of for (place, _), losses_of in zip(trials, found["cascade"], strict=True) if place == 0]


def test_the_cloze_sets_two_continuations_against_each_other_after_the_same_context():
    """Each context has its own continuation, and one that is likelier after it than that, or less likely."""
    others = {"a": "b", "b": "c", "c": "a"}  # by document, whose context is its other
    own, other = {"b": 2.0, "c": 2.0, "a": 1.0}, {"a": 3.0, "b": 1.0, "c": 1.0}
    per_token = {(name, which): loss for which, losses in (("own", own), ("other", other)) for name, loss in losses.items()}
    by_document = [
        {"doc_id": name, "voice": voice, "context": f"{form}_{which}", "loss": tokens * loss, "tokens": tokens}
        for form in ("heard", "read")
        for voice, tokens in (("unseen", 1), ("seen", len(form)))
        for (name, which), loss in per_token.items()
        if voice == "seen" or (form, which) == ("heard", "own")
    ]
    result = likelihood.topic_cloze(("heard", "read"), by_document, others)
    assert result["heard"]["share"] == result["read"]["share"] == 0.5, "one right, one wrong, one as likely"
    assert result["documents"] == 3 and "cascade" not in result
    assert result["heard_minus_read"] == {"difference": 0.0, "low": 0.0, "high": 0.0}


def test_nothing_is_forgotten_by_the_same_model_and_something_by_another(model, tiny_model):
    net, processor = model
    texts = [example(processor, [{"text": t, "utt_id": None, "loss": True}]) for t in ("The lazy dog jumps", "fox")]
    same = forgetting(net, net.__class__.from_pretrained(tiny_model), texts, precision="fp32")
    assert same["kl"] == pytest.approx([0.0, 0.0], abs=1e-4) and same["base"] == pytest.approx(same["model"])
    assert same["tokens"] == [item.learnt for item in texts]
    changed = net.__class__.from_pretrained(tiny_model)
    with torch.no_grad():
        for weight in changed.language_model.parameters():
            weight.add_(0.5 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
    found = forgetting(net, changed, texts, precision="fp32")
    ids = torch.tensor([texts[0].ids])
    with torch.no_grad():
        before, after = (side.language_model(input_ids=ids).logits[0, :-1].log_softmax(-1) for side in (net, changed))
    expected = float((before.exp() * (before - after)).sum())
    assert found["kl"][0] == pytest.approx(expected, rel=1e-3) and expected > 1e-4
    direct = losses(Subject(changed, model[1], {}, "fp32"), texts, "direct")
    assert found["model"] == pytest.approx([loss for loss, _ in direct], rel=1e-4)
    told = likelihood.forgotten(found)
    assert told["kl"] == pytest.approx(sum(found["kl"]) / told["tokens"])
    assert told["model_minus_base"]["difference"] == pytest.approx(told["text_nll_model"] - told["text_nll_base"])
    changed.language_model.resize_token_embeddings(net.language_model.get_input_embeddings().num_embeddings + 8)
    with pytest.raises(ValueError, match="vocabularies"):
        forgetting(net, changed, texts, precision="fp32")


def figures() -> dict:
    cell, pair = {"share": 0.612, "low": 0.55, "high": 0.674}, {"difference": -0.051, "low": -0.1, "high": -0.002}
    both = {"heard": cell, "read": cell, "heard_minus_read": pair}
    return {
        "topic_cloze": {"documents": 123, **both},
        "instruction_gap": {"prompts": 40, **both, "read": None},
        "minimal_pairs": {"pairs": 31, **both},
        "forgetting": {"kl": 0.021, "low": 0.02, "high": 0.022, "text_nll_base": 3.1, "text_nll_model": 3.2},
    }


def test_the_report_shows_every_figure_and_mlflow_gets_flat_numbers():
    assert scoretable.likelihood({}) is None
    text = markdown({"speechinstructbench": {}, "likelihood": figures()})
    for shown in ("61.2 (55.0 to 67.4)", "-5.1 (-10.0 to -0.2)", "123", "KL(base || model) 0.021", "heard - read"):
        assert shown in text
    assert "cascade" not in text, "a model without a recogniser of its own"
    assert dict(flatten({"likelihood": figures()}))["likelihood.topic_cloze.heard_minus_read.difference"] == -0.051
