"""SpeechInstructBench itself: every task and language, jsonl and Parquet; each bad record has its reason, none is lost."""

import json
from pathlib import Path

import pytest
from checkout import ROOT
from real_copy import BULLETS, SETTINGS, adjusted, build, closed, embedded, opened, parquet, put, wav, write

from inserter.errors import InserterError
from inserter.files import read_jsonl, write_json
from inserter.params import load
from inserter.prompts import generate
from stages.benchmark import own, real
from stages.check.stage import check

PARAMS = load(ROOT / "params.yaml")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "SpeechInstructBench"


def whole(root: Path) -> None:
    """A record of every task, variant (two of them) and language."""
    for lang in ("en", "cn"):
        for variant in ("standard", "disfluency"):
            write(root, "closed", [closed(1000, variant, lang, prompt=f"{variant} {lang}")], lang, variant)
        write(root, "open", [opened(1, lang)], lang)
        write(root, "adjustment", [adjusted(1, lang)], lang)


WHOLE = [
    *(f"{variant}-{lang}-1000" for variant in ("standard", "disfluency") for lang in ("cn", "en")),
    "open-cn-1",
    "open-en-1",
    "adjustment-cn-1",
    "adjustment-en-1",
]


def test_all_tasks_and_languages_become_items(root):
    whole(root)
    rows, quarantine, metrics = build(root)
    assert quarantine == []
    assert [row["item_id"] for row in rows] == WHOLE
    found = {row["item_id"]: row for row in rows}
    assert found["open-cn-1"]["questions"] == ["Is it a poem?", "Does it name the sea?"]
    assert json.loads(found["open-cn-1"]["notes"]) == {"gender": "female"}
    assert (found["adjustment-en-1"]["task"], found["adjustment-en-1"]["variant"]) == ("adjustment", "standard")
    assert found["adjustment-en-1"]["questions"] == found["adjustment-en-1"]["instruction_id_list"] == []
    assert found["disfluency-cn-1000"]["prompt"] == "disfluency cn"
    assert found["disfluency-cn-1000"]["clean_prompt"] == "standard cn"
    assert set(metrics["absent"]) == {"background", "accent", "paralinguistics"}


def test_prompts_of_all_tasks_are_kept_for_decontamination(root):
    whole(root)
    write(root, "open", [opened(1), opened(2, decomposed_questions=""), opened(3, language="fr"), opened(4)], sound=False)
    build(root)
    prompts = [row["prompt"] for row in read_jsonl("data/benchmark/prompts.jsonl")]
    assert {"standard en", "disfluency cn", "Open 2.", "Open 3.", "Open 4.", "A tale, no, sorry, a poem 1."} <= set(prompts)
    assert {prompt.prompt for prompt in own.prompts(SETTINGS)} <= set(prompts), "our own set is kept apart whatever is asked"


def test_the_counts_are_compared_with_the_published_ones(root, capsys):
    whole(root)
    *_, metrics = build(root)
    expected = metrics["expected"]
    assert expected["closed/en/standard"] == {
        "prompts": {"published": 454, "here": 1},
        "instructions": {"published": 699, "here": 1},
    }
    assert expected["adjustment"]["prompts"] == {"published": 502, "here": 2}
    assert expected["open/cn/standard"]["prompts"] == {"published": 434, "here": 1}
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "published benchmark" in line]
    assert "closed/cn/background 0 of 434" in line
    assert "adjustment 2 of 502" in line


BROKEN_RECORDS = {
    "bad JSON": ("closed", "{broken", "not JSON"),
    "not UTF-8": ("closed", '{"key": 1, "prompt": "\udcff"}', "not JSON"),
    "half a character": ("closed", r'{"key": 1, "prompt": "\ud83d"}', "not JSON"),
    "not an object": ("open", "[1]", "not JSON"),
    "no key": ("closed", closed(None), "missing field"),
    "null prompt": ("closed", closed(9, prompt=None), "missing field"),
    "null prompt, open": ("open", opened(9, prompt=None), "missing field"),
    "blank prompt": ("adjustment", adjusted(9, prompt=" "), "missing field"),
    "duplicate key": ("closed", closed(1, prompt="Again."), "duplicate key"),
    "duplicate id": ("adjustment", adjusted("1", prompt="Again."), "duplicate key"),
    "unknown language": ("open", opened(9, language="fr"), "wrong language"),
    "language that is no text": ("open", opened(9, language=7), "wrong language"),
    "the other language": ("adjustment", adjusted(9, language="cn"), "wrong language"),
    "no questions": ("open", opened(9, decomposed_questions=[]), "no questions"),
    "blank questions": ("open", opened(9, decomposed_questions=["", " "]), "no questions"),
    "questions of another kind": ("open", opened(9, decomposed_questions=[1, 2]), "no questions"),
    "no instructions": ("closed", closed(9, instruction_id_list=[]), "missing field"),
    "unknown instruction": ("closed", closed(9, instruction_id_list=["no:such"]), "unknown instruction"),
    "kwargs missing": ("closed", closed(9, **BULLETS), "wrong kwargs"),
    "kwargs not parallel": ("closed", closed(9, **BULLETS, kwargs=[]), "wrong kwargs"),
    "kwargs no number": ("closed", closed(9, **BULLETS, kwargs=[{"num_bullets": "many"}]), "wrong kwargs"),
    "no audio named": ("adjustment", adjusted(9, audio=None), "missing wav"),
    "samples": ("adjustment", adjusted(9, audio=[0.1, -0.1]), "samples"),
    "samples and their rate": ("open", opened(9, audio={"array": [0.1], "sampling_rate": 8_000, "path": None}), "samples"),
    "samples in place of a wav": ("closed", closed(9, audio_path=None, audio={"array": [0.1]}), "samples"),
    "a path to elsewhere": ("adjustment", adjusted(9, audio="../../../outside.wav"), "missing wav"),
    "an impossible path": ("adjustment", adjusted(9, audio="x" * 5000), "missing wav"),
}
GOOD = {"closed": closed(1), "open": opened(1), "adjustment": adjusted(1)}


@pytest.mark.parametrize("name", BROKEN_RECORDS)
def test_a_broken_record_is_quarantined_with_its_reason(root, name):
    task, bad, reason = BROKEN_RECORDS[name]
    put(root.parent / "outside.wav", wav())
    file = write(root, task, [GOOD[task]])
    line = bad if isinstance(bad, str) else json.dumps(bad)
    file.write_bytes(file.read_bytes() + b"\n\n" + line.encode(errors="surrogateescape") + b"\n")
    if isinstance(bad, dict) and reason not in ("missing wav", "samples"):
        for path in (file.parent / n for n in ("closed_standard_9_en.wav", "open_ended_9_en.wav", "adjustment_9_en.wav")):
            put(path, wav())
    rows, (found,), _ = build(root)
    assert [row["key"] for row in rows] == ["1"]
    assert (found["reason"], found["file"], found["line"]) == (reason, str(file.relative_to(root)), 3)
    prompts = [row["prompt"] for row in read_jsonl("data/benchmark/prompts.jsonl")][len(own.prompts(SETTINGS)) :]
    readable = isinstance(bad, dict) and (bad["prompt"] or "").strip()
    assert len(prompts) == (2 if readable else 1)  # of a bad record too: training must not see it


def piped(data: bytes) -> bytes:
    """The header of a wav that was written into a pipe: its length was not known."""
    return data[:4] + b"\xff" * 4 + data[8:40] + b"\xff" * 4 + data[44:]


BROKEN_AUDIO = {
    "zero samples": wav(seconds=0),
    "silent": wav(loudness=0),
    "truncated": wav()[:-200],
    "undecodable": b"not audio",
}


@pytest.mark.parametrize("stored", ["wav", "parquet"])
@pytest.mark.parametrize("reason", BROKEN_AUDIO)
def test_audio_that_cannot_be_heard_is_quarantined(root, reason, stored):
    if stored == "wav":
        write(root, "adjustment", [adjusted(1), adjusted(2)])
        put(root / "adjustment/adjustment_2_en.wav", BROKEN_AUDIO[reason])
    else:
        sounds = [embedded(adjusted(1), wav()), embedded(adjusted(2), BROKEN_AUDIO[reason])]
        parquet(root / "adjustment/adjustment_en.parquet", sounds)
    rows, (found,), _ = build(root)
    assert [row["item_id"] for row in rows] == ["adjustment-en-1"]
    assert (found["reason"], found["item_id"], found["line"]) == (reason, "adjustment-en-2", 2)


def test_other_rates_and_wavs_from_a_pipe_are_whole(root):
    write(root, "adjustment", [adjusted(1), adjusted(2)])
    put(root / "adjustment/adjustment_1_en.wav", wav(rate=44_100))
    put(root / "adjustment/adjustment_2_en.wav", piped(wav()))
    rows, quarantine, _ = build(root)
    assert quarantine == []
    assert [row["duration"] for row in rows] == [0.5, 0.5]


def test_a_wav_is_found_by_the_end_of_its_path(root):
    """The same name in two folders is not mixed up, and where only a guess is left there is none."""
    audio = {"a": "en/7.wav", "b": "cn/7.wav", "c": "7.wav"}
    write(root, "open", [opened(key, audio=path) for key, path in audio.items()], sound=False)
    put(root / "wavs/en/7.wav", wav(seconds=1))
    put(root / "wavs/cn/7.wav", wav(seconds=2))
    rows, (found,), _ = build(root)
    assert {row["key"]: row["duration"] for row in rows} == {"a": 1.0, "b": 2.0}
    assert (found["key"], found["reason"]) == ("c", "ambiguous wav")


def test_links_into_the_hubs_cache_are_followed(root):
    write(root, "adjustment", [adjusted(1)], sound=False)
    blob = put(root.parent / "blobs/0123", wav())
    (root / "adjustment/adjustment_1_en.wav").symlink_to(blob)
    rows, quarantine, _ = build(root)
    assert len(rows) == 1 and quarantine == []


def test_keys_of_any_form_make_different_names(root):
    keys = ["a b", "a_b", "开放", "放开", "x" * 200, "x" * 201, "../etc", 7]
    write(root, "open", [opened(key, audio="one.wav") for key in keys])
    rows, _, _ = build(root)
    assert [row["key"] for row in rows] == [str(key) for key in keys]
    assert all(len(row["item_id"]) < 95 and row["item_id"].isascii() and "/" not in row["item_id"] for row in rows)


def test_a_copy_with_all_types_passes_the_gate_and_a_part_of_it_says_what_is_missing(root):
    types = [prompt.record() for prompt in generate("benchmark", 1, per_type=1)]
    for variant in ("standard", "disfluency"):
        names = [{**one, "audio_path": f"closed_{variant}_{one['key']}_en.wav"} for one in types]
        write(root, "closed", names, "en", variant)
    write(root, "open", [opened(1, "cn"), opened(2, "cn", decomposed_questions="")], "cn")
    write(root, "adjustment", [adjusted(1)])
    write_json("reports/benchmark.json", build(root)[2])
    assert [found for found in check("benchmark", PARAMS)["expectations"] if not found["passed"]] == []
    write(root, "closed", names[1:], "en", "disfluency")
    write_json("reports/benchmark.json", build(root)[2])
    (failed,) = [found for found in check("benchmark", PARAMS)["expectations"] if not found["passed"]]
    assert (failed["table"], failed["first_ids"]) == ("variants", ["closed/en/disfluency"])


def test_files_of_other_names_are_counted_and_not_read(root):
    whole(root)
    put(root / "closed-ended/closed_standard_en_responses.jsonl", b"{}\n{}\n")
    put(root / ".cache/adjustment_en.jsonl", b"{}\n")
    *_, metrics = build(root)
    assert metrics["not_read"] == {"closed-ended/closed_standard_en_responses.jsonl": 2}


def test_files_of_other_endings_are_said_and_a_folder_of_them_is_refused(root, capsys):
    for name in ("closed_standard_en.json", "deep/open_ended_en.JSONL", "README.md", "a.wav", ".gitattributes"):
        put(root / name, b"{}")
    with pytest.raises(InserterError, match=r"but 3 files \(.JSONL 1, .json 1, .md 1\)\. Download the data set again"):
        build(root)
    whole(root)
    build(root)
    assert (
        "benchmark: skipped 3 files (.JSONL 1, .json 1, .md 1); readable endings are .jsonl, .jsonl.gz" in capsys.readouterr().err
    )


def test_a_missing_folder_says_how_to_get_the_data(tmp_path):
    with pytest.raises(InserterError, match=r"hf download ddwang2000/SpeechInstructBench --repo-type dataset"):
        real.build(SETTINGS.model_copy(update={"path": str(tmp_path / "absent")}), tmp_path / "out")


def test_an_empty_folder_says_how_to_get_the_data_too(root):
    root.mkdir()
    with pytest.raises(InserterError, match=r"has no closed_VARIANT_LANG.* Download the data set again"):
        build(root)


def test_a_folder_with_nothing_usable_stops_and_leaves_nothing(root):
    write(root, "closed", [closed(1)], sound=False)
    with pytest.raises(InserterError, match=r"no usable item \(missing wav: 1\)"):
        build(root)
    assert not Path("data/benchmark").exists()
