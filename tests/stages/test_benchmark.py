"""The benchmark: each variant is what its notes say, every item keeps its clean twin, and nothing is lost silently."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from num2words import num2words

from stages.benchmark import own, real
from stages.benchmark.disfluency import disfluent
from stages.common.audio import SAMPLE_RATE, read_clip
from stages.common.errors import InserterError
from stages.common.files import read_jsonl, read_table
from stages.common.params import Benchmark, Voice, load
from stages.common.prompts import Prompt, generate
from stages.common.seeds import rng
from stages.common.tables import ITEMS

SETTINGS = load(Path(__file__).parents[2] / "params.yaml").benchmark
MADE = ("standard", "background", "paralinguistics", "disfluency")  # no accent: its voice is not there
NOWHERE = Voice(name="nowhere", engine="piper", voice="/no/such/voice.onnx", optional=True)
PROMPTS = [
    Prompt("title-000", "Compose a note on tea. It needs a heading.", ("detectable_format:title",), ({},), "tea"),
    Prompt("end-000", "Talk of rain. Close with, see you soon.", ("startend:end_checker",), ({"end_phrase": "see you soon"},), ""),
    Prompt("no_comma-000", "???", ("punctuation:no_comma",), ({},), "nothing that a voice could say"),
]


def settings(**variants) -> Benchmark:
    spec = {"snr_db": (10.0,), "rates": (1.25,), "pitches": (), "accents": (NOWHERE,), **variants}
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
    assert [(row["key"], row["reason"]) for row in quarantined] == [("no_comma-000", "unspeakable")] * 4
    assert metrics["read"] == len(rows) + len(quarantined) == len(PROMPTS) * 4
    assert metrics["quarantined"] == {"total": 4, "unspeakable": 4}


def test_a_variant_without_a_voice_is_absent_and_the_report_says_why(spoken):
    _, metrics = spoken
    assert "accent" in metrics["absent"]
    assert "nowhere" in metrics["absent"]["accent"]
    assert list(metrics["accents"]["missing"]) == ["nowhere"]
    assert metrics["items"] == {f"en/{variant}": 2 for variant in MADE}


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
    assert set(metrics["items"]) == {"en/standard", "en/disfluency"}
    assert set(metrics["absent"]) == {"accent", "background", "paralinguistics"}


def plain_words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())


def count(phrase: str, text: str) -> int:
    return len(re.findall(rf"(?<!\w){re.escape(phrase)}(?!\w)", text, re.IGNORECASE))


def test_disfluencies_only_put_words_in_and_never_inside_what_is_checked():
    kinds = set()
    for prompt in generate("benchmark", 3, per_type=8):
        text, used = disfluent(prompt.prompt, prompt.kwargs, 2, rng(1, prompt.key))
        kinds.update(used)
        assert len(used) == 2
        rest = iter(plain_words(text))
        assert all(word in rest for word in plain_words(prompt.prompt)), text
        for kwargs in prompt.kwargs:
            for value in kwargs.values():
                for one in value if isinstance(value, list) else [value]:
                    said = str(num2words(one)) if isinstance(one, int) else one
                    assert count(said, text) == count(said, prompt.prompt), (said, text)
        assert disfluent(prompt.prompt, prompt.kwargs, 2, rng(1, prompt.key)) == (text, used)
    assert kinds == {"filler", "repetition", "false start", "self-correction"}


def tone(path: Path, rate: int = 16_000, seconds: float = 0.5) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.sin(np.arange(int(rate * seconds)) / 20), rate)


def line(key, variant="standard", lang="en", **fields) -> str:
    record = {"key": key, "prompt": f"Prompt {key}.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    return json.dumps({**record, "audio_path": f"closed_{variant}_{key}_{lang}.wav", **fields})


@pytest.fixture
def copy(tmp_path, monkeypatch) -> Path:
    """A folder laid out as the data set is, good and bad records mixed."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "SpeechInstructBench"
    closed = root / "closed-ended"
    tone(closed / "closed_standard_1000_en.wav")
    tone(closed / "wavs/en/closed_standard_1001_en.wav", rate=44_100)
    tone(closed / "closed_standard_1002_en.wav", seconds=0.0)
    (closed / "closed_standard_1003_en.wav").write_bytes(b"not audio")
    bullets = {"instruction_id_list": ["detectable_format:number_bullet_lists"]}
    empty = {"num_bullets": 3, "keywords": None}
    (closed / "closed_standard_en.jsonl").write_text("\n".join([
        line(1000), line(1001, **bullets, kwargs=[empty], audio_path="en/closed_standard_1001_en.wav"), line(1002), line(1003),
        line(1004), line(1000, prompt="Again."), line(1005, **bullets), line(1006, instruction_id_list=["no:such"]),
        line(1007, **bullets, kwargs=[{"num_bullets": "many"}]), line(1008, prompt=None), "{broken", "",
    ]))  # fmt: skip
    tone(closed / "cn/closed_disfluency_1000_cn.wav")
    (closed / "closed_disfluency_cn.jsonl").write_text(line(1000, "disfluency", "cn", prompt="呃，不要用逗号。"))
    (root / "adjustment").mkdir()
    (root / "adjustment/adjustment_en.jsonl").write_text('{"id": 1}\n{"id": 2}\n')
    return root


def test_the_real_folder_gives_items_and_every_bad_record_has_its_reason(copy):
    target = copy.parent / "data/benchmark"
    metrics = real.build(SETTINGS.model_copy(update={"path": str(copy)}), target, workers=1)
    rows = read_table(target / "items.parquet", ITEMS)
    assert [row["item_id"] for row in rows] == ["standard-en-1000", "standard-en-1001", "disfluency-cn-1000"]
    for row in rows:
        assert len(read_clip(target, row)) == SAMPLE_RATE // 2  # the 44.1 kHz file too
    assert json.loads(rows[1]["kwargs"]) == [{"keywords": None, "num_bullets": 3}]
    reasons = {
        "zero samples": 1, "undecodable": 1, "missing wav": 1, "duplicate key": 1, "wrong kwargs": 2,
        "unknown instruction": 1, "missing field": 1, "not JSON": 1,
    }  # fmt: skip
    assert metrics["quarantined"] == {"total": 9, **reasons}
    assert metrics["read"] == 12 == len(rows) + len(list(read_jsonl(target / "quarantine.jsonl")))
    assert metrics["items"] == {"en/standard": 2, "cn/disfluency": 1}
    assert metrics["not_read"] == {"adjustment": 2}
    assert set(metrics["absent"]) == {"background", "accent", "paralinguistics"}


def test_prompts_of_unusable_records_are_still_kept_out_of_training(copy):
    target = copy.parent / "data/benchmark"
    real.build(SETTINGS.model_copy(update={"path": str(copy)}), target, workers=1)
    prompts = [row["prompt"] for row in read_jsonl(target / "prompts.jsonl")]
    assert {"Prompt 1003.", "Prompt 1006.", "Again.", "呃，不要用逗号。"} <= set(prompts)
    assert len(prompts) == len(set(prompts))


def test_a_missing_folder_says_how_to_get_the_data(tmp_path):
    with pytest.raises(InserterError, match=r"hf download ddwang2000/SpeechInstructBench --repo-type dataset"):
        real.build(SETTINGS.model_copy(update={"path": str(tmp_path / "absent")}), tmp_path / "out")


def test_a_folder_with_nothing_usable_stops_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    closed = tmp_path / "bench/closed-ended"
    closed.mkdir(parents=True)
    (closed / "closed_standard_en.jsonl").write_text(line(1))
    with pytest.raises(InserterError, match=r"no usable item \(missing wav: 1\)"):
        real.build(SETTINGS.model_copy(update={"path": str(tmp_path / "bench")}), tmp_path / "data/benchmark")
    assert not (tmp_path / "data/benchmark").exists()


def test_a_rate_that_is_no_factor_is_refused_by_name(tmp_path):
    raw = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text())
    raw["benchmark"]["variants"]["rates"] = [85]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
    with pytest.raises(InserterError, match=r"benchmark\.variants\.rates"):
        load(tmp_path / "params.yaml")
