"""evaluate: every form answers the same items, a text or a sound is put to a model once, and scores say how sure they are."""

import json
from pathlib import Path

import numpy as np
import pytest
from judge_server import JudgeServer, bare_workspace, every, refuse, settings

from inserter.audio.clips import flac, write_shard
from inserter.errors import InserterError
from inserter.files import read_json, read_jsonl, write_jsonl, write_table
from inserter.params import load
from inserter.run.work import WorkFolder
from inserter.scoring import table as scoretable
from inserter.scoring.adjustment import FIELDS
from inserter.scoring.closed import score_record
from inserter.scoring.intervals import share_interval, sign_flip_p
from inserter.scoring.scores import closed_table, comparisons, deals, share_by_prompt
from inserter.tables import ITEMS
from inserter.training import answers as answering
from inserter.training.models import for_answers, new_model, saved_model
from inserter.tts import load_voice
from models.generation import Prompt, generate_answers
from stages.evaluate import responses
from stages.evaluate.judged import judge_rows, judge_settings, judged_table
from stages.evaluate.selection import select

VARIANTS = ("standard", "background")


def item(key: str, variant: str = "standard", task: str = "closed", lang: str = "en", kind: str = "punctuation:no_comma", **more):
    closed = task == "closed"
    return {
        "item_id": f"{task}-{variant}-{lang}-{key}",
        "key": key,
        "task": task,
        "lang": lang,
        "variant": variant,
        "prompt": f"Tell me about {key}.",
        "clean_prompt": f"Tell me about {key}.",
        "questions": [] if closed else ["Is it?"],
        "instruction_id_list": [kind] if closed else [],
        "kwargs": "[{}]" if closed else "[]",
        "shard": None,
        "offset": 0,
        "size": 0,
        "duration": 0.0,
        "voice": "",
        "notes": "{}",
        **more,
    }


def limits(**items: int):
    return load().evaluate.items.model_copy(update=items)


def test_a_key_is_chosen_with_all_its_variants_and_every_type_stays_in():
    items = [item(f"{kind}{n}", variant, kind=kind) for kind in ("a:a", "b:b") for n in range(5) for variant in VARIANTS]
    items += [item(f"o{n}", task="open") for n in range(5)] + [item(f"z{n}", lang="cn") for n in range(5)]
    chosen = select(items, limits(closed_per_type=2, open=3), ("en",))
    closed = [row for row in chosen if row["task"] == "closed"]
    keys = {variant: {row["key"] for row in closed if row["variant"] == variant} for variant in VARIANTS}
    assert keys["standard"] == keys["background"] and sorted(key[:3] for key in keys["standard"]) == ["a:a", "a:a", "b:b", "b:b"]
    assert sum(row["task"] == "open" for row in chosen) == 3 and all(row["lang"] == "en" for row in chosen)
    assert select(items, limits(closed_per_type=0, open=0), ("en", "cn")) == items
    assert select(items[::-1], limits(closed_per_type=2, open=3), ("en",)) == chosen[::-1], "the order decides nothing"


def scored(key: str, variant: str, form: str, followed: bool, asked: int = 2) -> dict:
    verdicts = [followed, True][:asked]
    texts = {True: "Bread and milk.", False: "Bread, and milk."}
    return {
        **item(key, variant),
        "id": f"{key} {variant} {form}",
        "form": form,
        "response": texts[followed],
        "instruction_id_list": ["punctuation:no_comma", "startend:quotation"][:asked],
        "kwargs": [{}, {}][:asked],
        "strict": [followed, False][:asked],
        "loose": verdicts,
    }


def test_the_table_has_shares_counts_and_intervals_that_hold_them():
    rows = [scored(f"k{n}", variant, "heard", n % 4 > 0) for n in range(40) for variant in VARIANTS]
    cell = closed_table(rows)["en"]["standard"]["heard"]
    assert cell["strict"]["instruction"] == 30 / 80 and cell["n_prompts"] == 40 and cell["n_instructions"] == 80
    low, high = cell["interval"]["strict"]["instruction"]
    assert low < 30 / 80 < high and high - low < 0.2
    assert closed_table(rows) == closed_table(list(rows)), "the same randomness each time"
    heard = [line for line in scoretable.rows({"closed": closed_table(rows)}) if line["form"] == "heard"]
    (line,) = [line for line in heard if line["variant"] == "standard"]
    assert line["share"] == cell["mean"]["instruction"] and line["n"] == 40


def test_the_verdicts_that_rows_have_are_counted_and_not_made_again():
    rows = [scored(f"k{n}", "standard", "read", n > 0, 1) | {"response": "a, b"} for n in range(4)]
    cell = closed_table([*rows, rows[0] | {"key": "k5", "strict": None, "loose": None}])["en"]["standard"]["read"]
    assert cell["loose"]["prompt"] == cell["strict"]["prompt"] == 0.75
    assert (cell["n_prompts"], cell["n_instructions"], cell["n_dropped"]) == (4, 4, 1)


def spoken_to(number: int, response: str, variant: str = "standard") -> dict:
    """Of 16 prompts half forbid commas and half ask for quotation marks."""
    kind = ("punctuation:no_comma", "startend:quotation")[number // 8]
    record = scored(f"k{number:02d}", variant, "heard", True, 1) | {"response": response, "instruction_id_list": [kind]}
    return record | {name: verdict for name, verdict in score_record(record).items() if name in ("strict", "loose")}


def test_chance_is_what_answers_follow_of_other_prompts():
    """What all answers do all the same is chance."""

    def cells(responses: list[str]) -> dict:
        rows = [spoken_to(number, response) for number, response in enumerate(responses)]
        assert closed_table(rows[::-1]) == closed_table(rows)
        return closed_table(rows)["en"]["standard"]

    deaf = cells(["Bread."] * 16)
    assert deaf["heard"]["mean"] == deaf["chance"]["mean"] == {"prompt": 0.5, "instruction": 0.5}
    good = cells(["Bread."] * 8 + ['"Milk, bread."'] * 8)
    assert good["heard"]["mean"]["instruction"] == 1.0 and good["chance"]["mean"]["instruction"] < 0.5
    assert good["chance"]["n_prompts"] == 16 and good["chance"]["interval"] is None
    assert "chance" not in closed_table([spoken_to(number, "Bread.") for number in range(3)])["en"]["standard"], "too few to deal"


def test_what_is_heard_is_set_against_chance_prompt_by_prompt():
    """With an interval, in each variant and over all: of an answer that is understood above 0, of a deaf one none."""

    def pairs(responses: list[str]) -> dict[str, dict]:
        rows = [spoken_to(number, response, variant) for number, response in enumerate(responses) for variant in VARIANTS]
        assert comparisons(rows, deals(rows)) == comparisons(rows)
        found = {pair["a"]["variant"]: pair for pair in comparisons(rows) if pair["b"]["form"] == "chance"}
        cells = closed_table(rows)["en"]["standard"]
        assert found["standard"]["difference"] == pytest.approx(
            cells["heard"]["mean"]["instruction"] - cells["chance"]["mean"]["instruction"]
        )
        return found

    good = pairs(["Bread."] * 8 + ['"Milk, bread."'] * 8)
    assert set(good) == {*VARIANTS, "all"} and {pair["n_prompts"] for pair in good.values()} == {16}
    assert all(pair["interval"][0] > 0 for pair in good.values()) and good["standard"]["p_value"] < 0.01
    deaf = pairs(["Bread."] * 16)["standard"]
    assert (deaf["difference"], deaf["interval"]) == (0.0, [0.0, 0.0])
    unlucky = pairs(["Bread."] * 7 + ["Bread, milk."] + ["Bread."] * 7 + ['"Milk, bread."'])["standard"]
    assert unlucky["interval"][0] < 0 < unlucky["interval"][1]


def test_variants_of_a_prompt_are_one_draw_of_the_interval_over_all_of_them():
    rows = [scored(f"k{n}", variant, "heard", n % 2 > 0, 1) for n in range(40) for variant in VARIANTS]
    share, over_prompts = share_by_prompt(rows)
    alone = share_by_prompt([row for row in rows if row["variant"] == VARIANTS[0]])
    assert share == alone[0] == 0.5
    assert over_prompts[1] - over_prompts[0] == pytest.approx(alone[1][1] - alone[1][0]), "no narrower for saying it all again"
    assert share_by_prompt([]) == (None, None)


def test_an_interval_covers_the_truth_as_often_as_it_says():
    random, hits = np.random.default_rng(0), 0
    for trial in range(100):
        followed = random.random(80) < 0.3
        low, high = share_interval(followed.astype(float), np.ones(80), str(trial))
        hits += low <= 0.3 <= high
    assert hits >= 88
    assert share_interval(np.ones(1), np.ones(1)) is None
    assert share_interval(np.ones(2), np.ones(2)) == [1.0, 1.0]


def test_what_was_followed_is_drawn_together_with_what_was_asked():
    asked = np.array([1.0, 2.0, 3.0, 9.0])
    assert share_interval(asked / 2, asked, "x") == [0.5, 0.5], "every prompt has the same share, so that no draw has another"


def test_variants_are_compared_with_their_own_twins():
    """Every key loses in noise, and none is easy: unpaired, 30 items could not tell."""
    heard = [scored(f"k{n}", "standard", "heard", True, 1) for n in range(30)]
    noisy = [scored(f"k{n}", "background", "heard", n < 20, 1) for n in range(29)]  # one has no noisy clip
    found = comparisons([*heard, *noisy, *[scored(f"k{n}", "standard", "read", True, 1) for n in range(30)]])
    by_pair = {(c["a"]["variant"], c["b"]["variant"], c["b"]["form"]): c for c in found}
    loss = by_pair["background", "standard", "heard"]
    assert loss["n_prompts"] == 29 and loss["difference"] == pytest.approx(-9 / 29)
    assert loss["interval"][1] < 0 and loss["p_value"] < 0.01
    same = by_pair["standard", "standard", "read"]
    assert same["difference"] == 0.0 and same["p_value"] == 1.0


def test_over_all_variants_a_prompt_is_one_draw_however_often_it_was_heard():
    """Half of 30 prompts lose by hearing, in each of two variants, against the cascade."""
    forms = {"heard": 15, "cascade": 30}
    rows = [scored(f"k{n}", v, form, n < good, 1) for form, good in forms.items() for n in range(30) for v in VARIANTS]
    found = comparisons([*rows, scored("k0", "accent", "cascade", True, 1)])
    pairs = {c["a"]["variant"]: c for c in found if c["b"]["form"] == "cascade"}
    assert set(pairs) == {*VARIANTS, "all"}, "nothing is said of a variant that is not heard"
    one, every = pairs["standard"], pairs["all"]
    assert one["difference"] == every["difference"] == -0.5 and one["n_prompts"] == every["n_prompts"] == 30
    widths = [pair["interval"][1] - pair["interval"][0] for pair in (one, every)]
    assert widths[1] == pytest.approx(widths[0], rel=0.15), "no narrower for being said twice"
    alone = [row for row in rows if row["variant"] == "standard"]
    assert "all" not in {c["a"]["variant"] for c in comparisons(alone)}


def test_over_all_variants_an_answer_is_compared_with_its_own_twin():
    """Every noisy clip is misheard, and the text was read for the clean ones alone: by reading nothing is won."""
    heard = [scored(f"k{n}", variant, "heard", variant == "standard", 1) for n in range(10) for variant in VARIANTS]
    read = [scored(f"k{n}", "standard", "read", True, 1) for n in range(10)]
    (every,) = [c for c in comparisons([*heard, *read]) if c["a"]["variant"] == "all" and c["b"]["form"] == "read"]
    assert (every["difference"], every["n_prompts"]) == (0.0, 10)


def test_each_language_is_compared_over_its_own_answers():
    """A second language, with other forms and other prompts, changes nothing of what is said of the first."""

    def rows(lang: str, forms: dict[str, int]) -> list[dict]:
        return [
            scored(f"{lang}{n}", variant, form, n < good, 1) | {"lang": lang}
            for form, good in forms.items()
            for n in range(12)
            for variant in VARIANTS
        ]

    english, chinese = rows("en", {"heard": 6, "read": 9}), rows("zh", {"heard": 3, "cascade": 12})
    apart = [*comparisons(english), *comparisons(chinese)]
    assert sorted(comparisons([*english, *chinese]), key=repr) == sorted(apart, key=repr)
    together = [pair for pair in apart if pair["a"]["variant"] == "all" and pair["b"]["form"] != "chance"]
    found = {(pair["lang"], pair["b"]["form"]): pair["difference"] for pair in together}
    assert found == {("en", "read"): -0.25, ("zh", "cascade"): -0.75}


def test_the_paired_test_is_exact_for_few_items():
    assert sign_flip_p(np.array([1.0, 1.0, 1.0]), "two-sided", "x") == pytest.approx(0.25)
    assert sign_flip_p(np.zeros(5), "greater", "x") == 1.0


@pytest.fixture
def asked(tmp_path, monkeypatch, tiny_lm, tiny_encoder, tiny_model):
    """(params, items, ask): two spoken items of one sound, one that is only read, in a workspace of their own."""
    params = load()
    monkeypatch.chdir(tmp_path)
    wave = load_voice(params.synthesize.voices[0]).speak("Good morning.")
    index = write_shard("data/benchmark/shard-00000.tar", [("a", flac(wave)), ("b", flac(wave))])
    place = {"shard": "shard-00000.tar", "duration": len(wave) / 16_000}
    items = [
        item("a", **place, offset=index["a"][0], size=index["a"][1]),
        item("a", "background", **place, offset=index["b"][0], size=index["b"][1]),
        item("c", task="open"),
    ]
    write_table("data/benchmark/items.parquet", items, ITEMS)
    assets = params.assets.model_copy(update={"lm": str(tiny_lm), "encoder": str(tiny_encoder)})
    evaluate = params.evaluate.model_copy(update={"max_new_tokens": 4, "precision": "fp32"})
    adapter = params.warmup.adapter.model_copy(update={"kind": "soft_token", "hidden_size": 32})
    warmup = params.warmup.model_copy(update={"adapter": adapter})
    params = params.model_copy(update={"assets": assets, "evaluate": evaluate, "warmup": warmup})

    def ask():
        return responses.respond(params, *saved_model(tiny_model), items=items, work=WorkFolder("evaluate", {}, []))

    return ask


def test_each_form_answers_and_one_sound_is_heard_once(asked):
    rows = asked()
    forms = {row["id"]: row for row in rows}
    assert len(rows) == 2 * 5 + 2, "the item without a clip is read, by both models, and not heard"
    assert {row["form"] for row in rows if row["key"] == "c"} == {"read", "lm"}
    heard = [row for row in rows if row["form"] == "heard"]
    assert heard[0]["response"] == heard[1]["response"]
    kept = [read_json(path) for path in Path(".work/evaluate").glob("*/answers heard/*.json")]
    assert sum(map(len, kept)) == 1
    for form in ("cascade", "asr_lm"):
        assert "morning" in forms[f"closed-standard-en-a {form}"]["transcript"].lower()
    assert forms["closed-standard-en-a read"]["transcript"] is None
    assert forms["open-standard-en-c read"]["strict"] is None and forms["closed-standard-en-a read"]["strict"] in ([True], [False])
    json.dumps(rows)


def test_the_trained_model_reads_the_transcript_in_the_cascade_and_the_one_before_training_in_asr_lm(asked, monkeypatch):
    models, plain = {}, responses.Respondent.__call__

    def noted(self, name, questions):
        models[name] = (id(self.model), {question.text for question in questions.values()})
        return plain(self, name, questions)

    monkeypatch.setattr(responses.Respondent, "__call__", noted)
    asked()
    trained, untrained = models["heard"][0], models["lm"][0]
    assert models["cascade"][0] == trained == models["read"][0] and models["asr_lm"][0] == untrained != trained
    assert models["cascade"][1] == models["asr_lm"][1], "both read the same transcripts"


def test_a_text_is_put_to_a_model_once_in_whatever_form(asked, monkeypatch):
    heard_word_by_word = lambda items, *_: {item["item_id"]: item["prompt"] for item in items if item["shard"]}  # noqa: E731
    monkeypatch.setattr(responses, "transcripts", heard_word_by_word)
    rows = {row["id"]: row["response"] for row in asked()}
    for name, like in (("cascade", "read"), ("asr_lm", "lm")):
        assert rows[f"closed-standard-en-a {name}"] == rows[f"closed-standard-en-a {like}"]
        assert not list(Path(".work/evaluate").glob(f"*/answers {name}/*.json"))


def test_killed_and_run_again_nothing_is_answered_or_heard_twice(asked, monkeypatch):
    before = asked()

    def never(*_, **__):
        raise AssertionError("asked again")

    monkeypatch.setattr(answering, "generate_answers", never)
    assert asked() == before


def test_responses_are_json_lines(tmp_path, asked):
    rows = asked()
    assert list(read_jsonl(write_jsonl(tmp_path / "r.jsonl", rows))) == rows


def answered(task: str, key: str) -> dict:
    return {**item(key, task=task), "id": f"{task} {key}", "form": "heard", "response": "A letter.", "strict": None, "judged": None}


ROWS = [answered("open", str(n)) for n in range(4)] + [answered("adjustment", str(n)) for n in range(3)]


def test_without_a_judge_no_judged_score_is_printed():
    assert judge_rows(ROWS, None) == ROWS
    table = judged_table(ROWS)
    cell = table["open"]["en"]["standard"]["heard"]
    assert cell["judged"] is False and cell["n"] == 4 and "docs/JUDGE.md" in cell["reason"]
    assert [scoretable.shown(row) for row in scoretable.rows(table)] == ["not judged"] * 2


def test_a_judge_that_is_named_and_not_set_up_is_an_error(monkeypatch):
    for name in ("INSERTER_JUDGE_BASE_URL", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InserterError, match="INSERTER_JUDGE_BASE_URL"):
        judge_settings("a-judge")


def test_a_judge_that_fails_does_not_leave_the_stage_finished(monkeypatch, tmp_path):
    """Else DVC would record it, and the answers stay without a verdict for good."""
    bare_workspace(monkeypatch, tmp_path)
    with JudgeServer(usual=refuse(502)) as server:
        with pytest.raises(InserterError, match=r"open: 50 of 50 answers are not judged .*then run again"):
            judge_rows([answered("open", str(n)) for n in range(50)], settings(server, tries=2, give_up_after=5))


def test_judged_by_a_real_server_the_table_has_scores_and_counts_what_was_dropped(tmp_path, monkeypatch):
    def verdict(request) -> None:
        corrected = json.dumps(dict.fromkeys(FIELDS, "YES") | {"follow_before_adjust": "NO"})
        said = corrected if "follow_after_adjust" in request.text else '["YES"]'
        every("I would rather not." if "Tell me about 3." in request.text else said)(request)

    monkeypatch.chdir(tmp_path)
    with JudgeServer(usual=verdict) as server:
        monkeypatch.setenv("INSERTER_JUDGE_BASE_URL", server.url)
        judged = judge_rows(ROWS, judge_settings("a-judge"))
        asked = len(server.requests)
        assert judge_rows(ROWS, judge_settings("a-judge")) == judged and len(server.requests) == asked, "nothing is paid twice"
    table = judged_table(judged)
    opened, adjusted = (table[task]["en"]["standard"]["heard"] for task in ("open", "adjustment"))
    assert (opened["instruction"], opened["n"], opened["n_counted"]) == (1.0, 4, 3) and opened["dropped"] == {"no usable reply": 1}
    assert (adjusted["iar"], adjusted["ecr"], adjusted["n_counted"]) == (1.0, 0.0, 3)
    assert adjusted["interval"]["iar"] == [1.0, 1.0]
    assert {row["id"]: row["judged"]["counted"] for row in judged}["open 3"] is False


def test_the_default_lm_ends_its_turn_by_itself():
    """The real LM with its own template and stop token, as it answers here: no run-on, nothing of the template in the answer."""
    params = load()
    model, processor = new_model(params.assets, params.warmup.adapter, 0)
    question = Prompt(text="What is the capital of France? Answer in one short sentence.")
    (answer,) = generate_answers(for_answers(model, "bf16"), processor, [question], max_new_tokens=64, batch_size=1)
    assert "Paris" in answer and "<|" not in answer and "assistant" not in answer
    assert len(processor.tokenizer(answer)["input_ids"]) < 40
