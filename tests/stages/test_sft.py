"""Pairs for fine-tuning: whole answers that pass their checks, in both forms, none of the benchmark's."""

import pytest
import yaml
from checkout import ROOT

from inserter.errors import InserterError
from inserter.files import read_table, write_jsonl
from inserter.params import Params
from inserter.prompts import Prompt, generate
from inserter.run.work import WorkFolder
from inserter.tables import UTTERANCES, VERIFIED
from inserter.training.examples import example
from inserter.training.tokens import Tokens
from models import InserterProcessor
from stages.sft import pairs as making
from stages.sft.clips import spoken, verified
from stages.sft.pairs import prompts, readable, whole_sentences
from stages.sft.stage import chat_examples, replayed


def params(**sft) -> Params:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["sft"].update(sft)
    return Params.model_validate(raw)


@pytest.fixture
def processor(tiny_model):
    return InserterProcessor.from_pretrained(tiny_model)


def test_an_answer_at_the_limit_ends_with_a_sentence(processor):
    answer = 'The dog sleeps. "It is lazy." Then the quick bro'
    limit = len(processor.tokenizer(answer)["input_ids"])
    assert whole_sentences(processor, answer, limit) == 'The dog sleeps. "It is lazy."'
    assert whole_sentences(processor, answer, 10 * limit) == answer, "it ended by itself"
    assert whole_sentences(processor, "no end at all", 2) == "no end at all"


def test_a_prompt_of_the_benchmark_is_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = params(prompts=30)
    stolen = generate("train", settings.sft.seed, count=30)[3]
    write_jsonl("data/benchmark/prompts.jsonl", [{"key": "k", "prompt": stolen.prompt.upper()}])
    kept, refused = prompts(settings.sft)
    assert refused == 1 and len(kept) == 29 and stolen.prompt not in {p.prompt for p in kept}


def test_a_prompt_that_cannot_be_read_aloud_is_counted():
    asked = [Prompt(key, text, (), (), "t") for key, text in (("a", "Say yes."), ("b", "What is p ⊕ q?"), ("c", "Explain ∮."))]
    kept, refused = readable(asked)
    assert [prompt.key for prompt in kept] == ["a"] and refused == {"cannot_read: ⊕": 1, "cannot_read: ∮": 1}


def test_prompts_whose_greedy_answer_fails_are_asked_again(monkeypatch):
    """Of six, two pass at once, one at the second draw, one never within three; nobody is asked after passing."""
    asked = [Prompt(f"p{i}", "Say yes in lower case.", ("change_case:english_lowercase",), ({},), "t") for i in range(6)]
    passes = {"p0": 1, "p1": 1, "p2": 2, "p3": 3, "p4": 3, "p5": 4}
    calls: list[tuple[str, list[str], float]] = []

    def answers(model, processor, questions, *, name, temperature, **_):
        calls.append((name, [q.id for q in questions], temperature))
        return {q.id: "yes, surely." if passes[q.id] <= len(calls) else "YES" for q in questions}

    monkeypatch.setattr(making, "answer_all", answers)
    monkeypatch.setattr(making, "whole_sentences", lambda processor, answer, limit: answer)
    pairs, edited, dropped = making.answered(params(samples=3, rewrite=False).sft, None, None, asked=asked, work=None)
    assert [pair["pair_id"] for pair in pairs] == ["p0", "p1", "p2", "p3", "p4"] and edited == 0
    assert dropped == {"change_case:english_lowercase": 1}
    assert [(ids, temperature > 0) for _, ids, temperature in calls] == [
        ([f"p{i}" for i in range(6)], False),
        (["p2", "p3", "p4", "p5"], True),
        (["p3", "p4", "p5"], True),
    ]
    assert len({name for name, _, _ in calls}) == 3, "each draw is kept apart"


def test_an_answer_that_fails_is_edited_and_what_no_edit_corrects_is_counted(monkeypatch):
    lower, french = ("change_case:english_lowercase",), ("language:response_language",)
    asked = [
        Prompt("good", "In lower case.", lower, ({},), "t"),
        Prompt("mended", "In lower case.", lower, ({},), "t"),
        Prompt("lost", "In French.", french, ({"language": "fr"},), "t"),
    ]
    said = {"good": "yes, that is so.", "mended": "Yes, that is so.", "lost": "Yes, that is most certainly so."}
    monkeypatch.setattr(making, "answer_all", lambda *_, **__: said)
    monkeypatch.setattr(making, "whole_sentences", lambda processor, answer, limit: answer)
    pairs, edited, dropped = making.answered(params().sft, None, None, asked=asked, work=None)
    assert {pair["pair_id"]: pair["response"] for pair in pairs} == dict.fromkeys(("good", "mended"), "yes, that is so.")
    assert edited == 1 and dropped == {"language:response_language": 1}


@pytest.mark.parametrize(
    ("share", "heard", "read"), [(0.5, 200, 200), (1.0, 200, 0), (0.0, 0, 200), (0.75, 200, 67), (0.25, 67, 200)]
)
def test_spoken_share(processor, share, heard, read):
    pairs = [{"pair_id": f"p{i}", "utt_id": f"p{i}", "prompt": "Name a dog.", "response": "Rex."} for i in range(200)]
    examples = chat_examples(params(spoken_share=share).sft, processor, pairs, lengths={})
    found = sum(bool(e.clips) for e in examples), sum(not e.clips for e in examples)
    assert found == pytest.approx((heard, read), abs=0 if share in (0.0, 0.5, 1.0) else 15)
    for e in examples:
        learnt = [i for i, label in zip(e.ids, e.labels, strict=True) if label != -100]
        assert processor.tokenizer.decode(learnt) == "Rex.<|im_end|>"


def test_a_replay_without_speech_is_of_text_alone(processor):
    chat = [example(processor, [{"text": "word " * 30, "utt_id": None, "loss": True}])]
    heard = example(processor, [{"text": "a", "utt_id": "u", "loss": False}, {"text": " b c", "utt_id": None, "loss": True}])
    read = example(processor, [{"text": "some text", "utt_id": None, "loss": True}])
    both = Tokens.of([heard, read] * 4)
    assert {item.clips for item in replayed(params(replay_share=0.5).sft, both, chat)} == {("u",), ()}
    silent = params(replay_share=0.5, replay_speech=False).sft
    assert replayed(silent, both, chat) == [read] * 4
    with pytest.raises(InserterError, match="there are none"):
        replayed(silent, Tokens.of([heard]), chat)


def test_a_prompt_whose_clip_says_something_else_is_set_aside_with_the_reason(tmp_path, monkeypatch):
    """Real voice, real recognisers; of three clips one is of other words than its row, and one prompt cannot be spoken."""
    monkeypatch.chdir(tmp_path)
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["synthesize"] |= {"workers": 1, "voices": raw["synthesize"]["voices"][:1]}
    raw["verify"]["workers"] = 1
    settings = Params.model_validate(raw)
    texts = ["Name three rivers of Europe.", "Write a short letter to a friend.", "Explain why the sky is blue.", " "]
    pairs = [{"pair_id": f"p{i}", "utt_id": f"p{i}", "prompt": text, "spoken": text} for i, text in enumerate(texts)]
    work = WorkFolder("sft", {})
    said, mute = spoken(settings, pairs, work)
    assert [row["utt_id"] for row in said] == ["p0", "p1", "p2"] and mute.total() == 1
    said[1]["spoken"] = "Describe an old house by the sea."
    clean, refused = verified(settings, said, [], work=work)
    assert [row["utt_id"] for row in clean] == ["p0", "p2"]
    assert read_table(work / "out/clips/clips.parquet", UTTERANCES) == clean
    (row,) = read_table(work / "out/clips/quarantine.parquet", VERIFIED)
    assert refused == [row]
    assert row["utt_id"] == "p1" and "letter to a friend" in row["heard"] and row["reason"].startswith("wer ")
