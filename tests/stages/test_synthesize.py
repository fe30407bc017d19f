"""Killed at any point and run again, the stage ends with the same bytes, and what was finished is not made again."""

import json
import re
import signal
import time

import pytest
from checkout import ROOT
from speech_workspace import contents, run, spans, start, workspace

from inserter.audio.clips import check_shards
from inserter.errors import InserterError
from inserter.files import read_table
from inserter.params import Synthesize, Voice, load
from inserter.tables import UTTERANCES
from inserter.tts import Job
from stages.synthesize.assign import assign


def test_killed_and_run_again_it_resumes_with_the_bytes_of_an_undisturbed_run(tmp_path):
    whole = workspace(tmp_path / "whole", spans(30), workers=2)
    assert re.search(r"40/40.* h spoken now, \d+ x real time, 25.0 % quarantined", run(whole))

    killed = workspace(tmp_path / "killed", spans(30))
    process = start(killed)
    while not list(killed.glob(".work/synthesize/*/out/shard-*.json")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    work = next(killed.glob(".work/synthesize/*/key.json")).parent
    names = [path.stem for path in work.glob("out/shard-*.json")]
    files = [work / file for name in names for file in (f"out/{name}.json", f"rows/{name}.parquet", f"out/{name}.tar")]
    finished = {path: path.stat().st_mtime_ns for path in files}
    assert finished

    run(killed)
    assert contents(killed) == contents(whole)
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert (killed / "reports/synthesize.json").read_bytes() == (whole / "reports/synthesize.json").read_bytes()

    rows = read_table(whole / "data/synthesize/utterances.parquet", UTTERANCES)
    report = json.loads((whole / "reports/synthesize.json").read_text())
    assert [row["utt_id"] for row in rows if not row["utt_id"].endswith("-unseen")] == [row["utt_id"] for row in spans(30)]
    assert report["in"] == 40 == report["clips"] + sum(report["failed"].values())
    assert report["unseen"] == 10
    assert report["failed"] == {"the engine gave zero samples": 7 + 3}
    assert check_shards(whole / "data/synthesize") == 14  # with those of the originals
    assert report["hours"] == pytest.approx(sum(row["duration"] for row in rows) / 3600)


def test_without_spans_it_stops_with_the_remedy_and_leaves_nothing(tmp_path):
    folder = workspace(tmp_path / "empty", spans(1))
    (folder / "data/segment/spans.parquet").unlink()
    process = start(folder)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "spans.parquet. Run `dvc repro`" in errors and "Traceback" not in errors
    assert not (folder / "data/synthesize").exists()


@pytest.fixture(scope="module")
def spec() -> Synthesize:
    """The section of params.yaml with four voices of training, one of them Chinese, and two held-out ones."""
    names = [("a", 2.0, "en", False), ("b", 1.0, "en", False), ("c", 1.0, "en", False), ("z", 1.0, "zh", False)]
    names += [("unseen", 1.0, "en", True), ("unseen2", 3.0, "en", True)]
    voices = tuple(Voice(name=n, engine="hibari", voice="heart", weight=w, language=lang, heldout=h) for n, w, lang, h in names)
    return load(ROOT / "params.yaml").synthesize.model_copy(update={"voices": voices})


def jobs(table: list[dict], spec: Synthesize) -> dict[str, Job]:
    return {job.utt_id: job for row in table for job in assign(row, spec, spec.voices)}


def test_a_span_gets_its_voice_and_effect_from_its_id_alone(spec):
    table = spans(60)
    forwards = jobs(table, spec)
    assert forwards == jobs(list(reversed(table)), spec)
    other = spec.model_copy(update={"seed": spec.seed + 1})
    assert any(jobs(table, other)[utt_id] != job for utt_id, job in forwards.items())


def test_voices_are_drawn_by_weight_and_held_out_contexts_have_no_noise(spec):
    levels = {row["utt_id"]: row["level"] for row in spans(3000)}
    drawn = {utt_id: job for utt_id, job in jobs(spans(3000), spec).items() if utt_id in levels}
    for name, share in {"a": 0.5, "b": 0.25, "c": 0.25}.items():
        assert sum(job.voice == name for job in drawn.values()) / len(drawn) == pytest.approx(share, abs=0.03)
    noisy = [levels[utt_id] for utt_id, job in drawn.items() if job.effect and job.effect.noise]
    assert "context" not in noisy
    cut = sum(level != "context" for level in levels.values())
    assert len(noisy) / cut == pytest.approx(spec.augmentation.noise_share, abs=0.04)


def test_another_weight_moves_spans_to_or_from_that_voice_only(spec):
    before = jobs(spans(3000), spec)
    louder = tuple(voice.model_copy(update={"weight": 3.0}) if voice.name == "b" else voice for voice in spec.voices)
    after = jobs(spans(3000), spec.model_copy(update={"voices": louder}))
    moved = [utt_id for utt_id, job in before.items() if job != after[utt_id]]
    assert moved
    assert {after[utt_id].voice for utt_id in moved} == {"b"}
    without = tuple(voice for voice in spec.voices if voice.name != "c")
    left = jobs(spans(3000), spec.model_copy(update={"voices": without}))
    assert {before[utt_id].voice for utt_id, job in left.items() if job != before[utt_id]} == {"c"}


def test_held_out_voices_speak_the_contexts_a_second_time_and_nothing_else(spec):
    table = spans(300)
    found = jobs(table, spec)
    heldout = {job.utt_id: job for job in found.values() if job.voice.startswith("unseen")}
    assert set(heldout) == {f"{row['utt_id']}-unseen" for row in table if row["level"] == "context"}
    assert {job.voice for job in heldout.values()} == {"unseen", "unseen2"}
    for utt_id, job in heldout.items():
        twin = found[utt_id.removesuffix("-unseen")]
        assert (job.spoken, job.doc_id, job.split, job.effect) == (twin.spoken, twin.doc_id, twin.split, twin.effect)
    seen_only = spec.model_copy(update={"voices": tuple(voice for voice in spec.voices if not voice.heldout)})
    assert len(jobs(table, seen_only)) == 300


def test_a_span_is_spoken_by_a_voice_of_its_language(spec):
    (chinese,) = assign({**spans(1)[0], "language": "zh"}, spec, spec.voices)
    assert chinese.voice == "z"
    with pytest.raises(
        InserterError, match=r"no voice speaks 'fr', the language of d0-0 .*en, zh.*Add a voice to synthesize.voices"
    ):
        assign({**spans(1)[0], "language": "fr"}, spec, spec.voices)
