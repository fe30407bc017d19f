"""The benchmark: each variant is what its notes say, every item keeps its clean twin, and nothing is lost silently."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from checkout import ROOT
from num2words import num2words

from inserter.audio.clips import SAMPLE_RATE, read_clip
from inserter.errors import InserterError
from inserter.files import read_jsonl, read_table
from inserter.params import Benchmark, Voice, load
from inserter.prompts import Prompt, generate, generate_adjustment, generate_open
from inserter.seeds import rng
from inserter.tables import ITEMS
from stages.benchmark import own
from stages.benchmark.disfluency import disfluent
from stages.benchmark.variants import plan

SETTINGS = load(ROOT / "params.yaml").benchmark
MADE = ("standard", "background", "paralinguistics", "disfluency")  # no accent: its voice is not there
NOWHERE = Voice(name="nowhere", engine="piper", voice="/no/such/voice.onnx", optional=True)
PROMPTS = [
    Prompt("title-000", "Compose a note on tea. It needs a heading.", ("detectable_format:title",), ({},), "tea"),
    Prompt("end-000", "Talk of rain. Close with, see you soon.", ("startend:end_checker",), ({"end_phrase": "see you soon"},), ""),
    Prompt("title-001", "Explain p ⊕ q. It needs a heading.", ("detectable_format:title",), ({},), "a sign without a reading"),
    Prompt("no_comma-000", "???", ("punctuation:no_comma",), ({},), "nothing that a voice could say"),
]


def settings(**variants) -> Benchmark:
    spec = {"snr_db": (10.0,), "rates": (1.25,), "pitches": (), "loudness_db": (), "whisper": False, "accents": (NOWHERE,)}
    spec |= variants
    return SETTINGS.model_copy(update={"variants": SETTINGS.variants.model_copy(update=spec)})


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """(folder, metrics) of the prompts above, spoken for real in a workspace of their own."""
    root = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        metrics = own.speak(PROMPTS, settings(), root / "data/benchmark", workers=1)
    return root / "data/benchmark", metrics


def items(folder: Path) -> dict[tuple[str, str], dict]:
    return {(row["variant"], row["key"]): row for row in read_table(folder / "items.parquet", ITEMS)}


def test_every_item_has_a_clip_and_what_cannot_be_spoken_is_counted(spoken):
    folder, metrics = spoken
    rows = items(folder)
    assert set(rows) == {(variant, key) for variant in MADE for key in ("title-000", "end-000")}
    for row in rows.values():
        wave = read_clip(folder, row)
        assert len(wave) / SAMPLE_RATE == pytest.approx(row["duration"])
        assert 1.0 < row["duration"] < 15.0
    quarantined = list(read_jsonl(folder / "quarantine.jsonl"))
    assert [(row["key"], row["reason"], row["detail"]) for row in quarantined] == [
        *[("title-001", "unspeakable", "cannot_read: ⊕")] * 4,
        *[("no_comma-000", "unspeakable", "empty text")] * 4,
    ]
    assert metrics["read"] == len(rows) + len(quarantined) == len(PROMPTS) * 4
    assert metrics["quarantined"] == {"total": 8, "unspeakable": 8}


def test_a_variant_without_a_voice_is_absent_and_the_report_says_why(spoken):
    _, metrics = spoken
    assert "accent" in metrics["absent"]
    assert "nowhere" in metrics["absent"]["accent"]
    assert list(metrics["accents"]["missing"]) == ["nowhere"]
    assert metrics["items"] == {f"closed/en/{variant}": 2 for variant in MADE}


def test_background_is_the_standard_clip_plus_noise_at_the_stated_snr(spoken):
    folder, _ = spoken
    rows = items(folder)
    for key in ("title-000", "end-000"):
        clean, noisy = read_clip(folder, rows["standard", key]), read_clip(folder, rows["background", key])
        scale = clean @ noisy / (clean @ clean)
        noise = noisy - scale * clean
        snr = 10 * np.log10(np.mean((scale * clean) ** 2) / np.mean(noise**2))
        assert snr == pytest.approx(json.loads(rows["background", key]["notes"])["snr_db"], abs=0.5)


def test_paralinguistics_is_as_fast_as_its_notes_say(spoken):
    folder, _ = spoken
    rows = items(folder)
    for key in ("title-000", "end-000"):
        rate = json.loads(rows["paralinguistics", key]["notes"])["rate"]
        assert rows["standard", key]["duration"] / rows["paralinguistics", key]["duration"] == pytest.approx(rate, rel=0.15)


def test_disfluent_items_keep_the_clean_prompt_and_last_longer(spoken):
    rows = items(spoken[0])
    for key in ("title-000", "end-000"):
        standard, disfluent_row = rows["standard", key], rows["disfluency", key]
        assert disfluent_row["prompt"] != disfluent_row["clean_prompt"] == standard["prompt"]
        assert disfluent_row["duration"] > standard["duration"]


def test_run_again_gives_the_same_bytes_resumed_or_from_nothing(spoken, monkeypatch):
    folder, metrics = spoken
    before = contents(folder)
    monkeypatch.chdir(folder.parents[1])
    shutil.rmtree(folder)  # as `dvc repro` does
    assert own.speak(PROMPTS, settings(), folder, workers=1) == metrics
    assert contents(folder) == before
    shutil.rmtree(".work")
    own.speak(PROMPTS, settings(), folder, workers=1)
    assert contents(folder) == before


def test_prompts_do_not_depend_on_the_variants(spoken, tmp_path, monkeypatch):
    """corpus depends on prompts.jsonl alone: changing a variant must not sample the corpus again."""
    monkeypatch.chdir(tmp_path)
    other = settings(snr_db=(), rates=())
    metrics = own.speak(PROMPTS[:2], other, tmp_path / "data/benchmark", workers=1)
    own_prompts = (tmp_path / "data/benchmark/prompts.jsonl").read_text().splitlines()
    assert own_prompts == (spoken[0] / "prompts.jsonl").read_text().splitlines()[:2]
    assert set(metrics["items"]) == {"closed/en/standard", "closed/en/disfluency"}
    assert set(metrics["absent"]) == {"accent", "background", "paralinguistics"}


def test_what_was_drawn_is_counted_by_kind(spoken):
    drawn = spoken[1]["drawn"]
    assert sum(drawn["noises"].values()) == sum(drawn["paralinguistics"].values()) == 2
    assert drawn["paralinguistics"] == {"rate": 2}
    assert sum(drawn["disfluencies"].values()) == 4


def small(**changes) -> Benchmark:
    few = SETTINGS.chinese.model_copy(update={"items_per_type": 1, "open_items": 2, "adjustment_items": 3})
    return settings().model_copy(update={"items_per_type": 1, "open_items": 2, "adjustment_items": 3, "chinese": few, **changes})


def test_all_tasks_and_languages_are_asked_and_their_counts_reconcile(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = [p for p in own.prompts(small()) if p.lang == "cn" or p.task != "closed" or p.key.startswith(("title", "quotation"))]
    folder = tmp_path / "data/benchmark"
    metrics = own.speak(asked, settings(rates=(), whisper=True), folder, workers=1)
    rows = read_table(folder / "items.parquet", ITEMS)
    assert len({row["item_id"] for row in rows}) == len(rows) == metrics["read"]
    assert metrics["items"] == {
        **{f"closed/en/{variant}": 2 for variant in MADE},
        "closed/cn/standard": 25,
        "open/en/standard": 2,
        "open/cn/standard": 2,
        "adjustment/en/standard": 3,
        "adjustment/cn/standard": 3,
    }
    assert metrics["text_only"] == ["cn"]
    assert [row["shard"] is None for row in rows] == [row["lang"] == "cn" for row in rows]
    assert all(bool(row["questions"]) == (row["task"] == "open") for row in rows)
    for row in rows:
        assert (set(json.loads(row["notes"])) == {"before", "after", "kind"}) == (row["task"] == "adjustment")
    everything = list(read_jsonl(folder / "prompts.jsonl"))
    assert {(p["task"], p["lang"], p["key"], p["prompt"]) for p in everything} == {
        (row["task"], row["lang"], row["key"], row["clean_prompt"]) for row in rows
    }
    loud = {(row["variant"], row["key"]): read_clip(folder, row) for row in rows if row["task"] == "closed" and row["shard"]}
    for variant, key in loud:  # made from the same speech: as long to the sample
        if variant in ("background", "paralinguistics"):
            assert len(loud[variant, key]) == len(loud["standard", key])


def test_a_chinese_voice_speaks_chinese_where_one_is_named():
    mandarin = Voice(name="mandarin", engine="hibari", voice="heart")  # stands for one: this machine may lack espeak-ng
    voices = SETTINGS.voices.model_copy(update={"cn": mandarin})
    asked = [*generate("benchmark", 1, per_type=1, lang="cn")[:2], *generate_open(1, 1, "cn"), *generate_adjustment(1, 1, "cn")]
    accent = SETTINGS.voices.en.model_copy(update={"name": "other"})
    made = plan(asked, settings(accents=(accent,)).model_copy(update={"voices": voices}))
    assert {item.voice.name.split()[0] for item in made.items} == {"mandarin"}
    assert [item.variant for item in made.items] == ["standard", "background", "paralinguistics"] * 2 + ["standard"] * 2
    assert set(made.absent) == {"cn/accent", "cn/disfluency"} and made.text_only == []
    assert made.items[0].job().spoken == asked[0].prompt  # not read by English rules


def test_prompts_of_another_number_of_items_begin_the_same():
    few, more = own.prompts(small()), own.prompts(small(open_items=5, adjustment_items=9, items_per_type=2))
    assert {(p.lang, p.key): p for p in few}.items() <= {(p.lang, p.key): p for p in more}.items()


def test_the_default_set_is_as_large_as_it_says_and_draws_every_kind():
    made = plan(own.prompts(SETTINGS), SETTINGS.model_copy(update={"variants": settings().variants}))
    counts = Counter((item.prompt.task, item.prompt.lang) for item in made.items if item.variant == "standard")
    assert counts["closed", "en"] >= 400 and counts["open", "en"] >= 100 and counts["adjustment", "en"] >= 100
    assert all(counts[task, "cn"] for task in ("closed", "open", "adjustment"))
    assert len({item.item_id for item in made.items}) == len(made.items)
    disfluent_items = [item for item in made.items if item.variant == "disfluency"]
    kinds = Counter(kind for item in disfluent_items for kind in item.notes["disfluencies"])
    assert min(kinds.values()) >= 40 and len(kinds) == 4


def plain_words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())


def count(phrase: str, text: str) -> int:
    return len(re.findall(rf"(?<!\w){re.escape(phrase)}(?!\w)", text, re.IGNORECASE))


def test_disfluencies_only_put_words_in_and_never_inside_what_is_checked():
    kinds = set()
    for prompt in generate("benchmark", 3, per_type=8):
        text, used = disfluent(prompt.prompt, prompt.kwargs, 2, random=rng(1, prompt.key))
        kinds.update(used)
        assert len(used) == 2, text
        rest = iter(plain_words(text))
        assert all(word in rest for word in plain_words(prompt.prompt)), text
        for kwargs in prompt.kwargs:
            for value in kwargs.values():
                for one in value if isinstance(value, list) else [value]:
                    said = str(num2words(one)) if isinstance(one, int) else one
                    assert count(said, text) == count(said, prompt.prompt), (said, text)
        assert disfluent(prompt.prompt, prompt.kwargs, 2, random=rng(1, prompt.key)) == (text, used)
    assert kinds == {"filler", "repetition", "false start", "self-correction"}


def test_a_rate_that_is_no_factor_is_refused_by_name(tmp_path):
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["benchmark"]["variants"]["rates"] = [85]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
    with pytest.raises(InserterError, match=r"benchmark\.variants\.rates"):
        load(tmp_path / "params.yaml")
