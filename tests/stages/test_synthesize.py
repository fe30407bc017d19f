"""Killed at any point and run again, the stage ends with the same bytes, and what was finished is not made again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stages.common.files import read_table, write_table
from stages.common.params import Params, load
from stages.common.tables import SPANS, UTTERANCES
from stages.synthesize.stage import assign

ROOT = Path(__file__).resolve().parents[2]
TEXTS = ["Good morning to you all.", "The state of the Union is strong.", "日本語", "We ask for peace, and for trade."]


def spans(count: int) -> list[dict]:
    def span(i: int) -> dict:
        text, level = TEXTS[i % 4], ("word", "sentence", "context")[i % 3]
        split = "heldout" if level == "context" else "train"
        return {
            "utt_id": f"d{i // 5}-{i}", "doc_id": f"d{i // 5}", "split": split, "level": level,
            "start": 0, "end": len(text), "written": text, "spoken": text,
        }  # fmt: skip

    return [span(i) for i in range(count)]


def workspace(folder: Path, count: int, workers: int) -> Path:
    """A workspace with `count` spans, in shards of six clips."""
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    text = text.replace("shard_clips: 256", "shard_clips: 6")
    head, tail = text.split("synthesize:\n", 1)
    folder.mkdir()
    (folder / "params.yaml").write_text(f"{head}synthesize:\n{tail.replace('workers: 0', f'workers: {workers}', 1)}")
    write_table(folder / "data/segment/spans.parquet", spans(count), SPANS)
    return folder


def start(folder: Path) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "stages.synthesize"]
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def run(folder: Path) -> None:
    process = start(folder)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "data/synthesize").iterdir())}


def test_killed_and_run_again_it_goes_on_and_the_bytes_are_those_of_an_undisturbed_run(tmp_path):
    whole = workspace(tmp_path / "whole", 30, workers=2)
    run(whole)

    killed = workspace(tmp_path / "killed", 30, workers=1)
    process = start(killed)
    while not list(killed.glob(".work/synthesize/*/rows/*.parquet")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    work = next(killed.glob(".work/synthesize/*/key.json")).parent
    finished = {path: path.stat().st_mtime_ns for path in work.glob("rows/*.parquet")}
    finished |= {work / "out" / f"{path.stem}.tar": (work / "out" / f"{path.stem}.tar").stat().st_mtime_ns for path in finished}
    assert finished

    run(killed)
    assert contents(killed) == contents(whole)
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert (killed / "reports/synthesize.json").read_bytes() == (whole / "reports/synthesize.json").read_bytes()

    rows = read_table(whole / "data/synthesize/utterances.parquet", UTTERANCES)
    report = json.loads((whole / "reports/synthesize.json").read_text())
    assert [row["utt_id"] for row in rows] == [row["utt_id"] for row in spans(30)]
    assert report["in"] == 30 == report["clips"] + sum(report["failed"].values())
    assert report["failed"] == {"the engine gave zero samples": 7}
    assert report["hours"] == pytest.approx(sum(row["duration"] for row in rows) / 3600)


def test_without_spans_it_stops_with_the_remedy_and_leaves_nothing(tmp_path):
    folder = workspace(tmp_path / "empty", 1, workers=1)
    (folder / "data/segment/spans.parquet").unlink()
    process = start(folder)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "spans.parquet. Run `dvc repro`" in errors and "Traceback" not in errors
    assert not (folder / "data/synthesize").exists()


@pytest.fixture(scope="module")
def params() -> Params:
    return load(ROOT / "params.yaml")


def test_a_span_gets_its_voice_and_effect_from_its_id_alone(params):
    spec = params.synthesize
    voices = list(spec.voices)
    table = spans(60)
    forwards = {row["utt_id"]: assign(row, spec, voices) for row in table}
    backwards = {row["utt_id"]: assign(row, spec, voices) for row in reversed(table)}
    assert forwards == backwards
    other = spec.model_copy(update={"seed": spec.seed + 1})
    assert any(assign(row, other, voices) != forwards[row["utt_id"]] for row in table)


def test_voices_are_drawn_by_weight_and_held_out_contexts_have_no_noise(params):
    spec = params.synthesize
    voices = list(spec.voices)
    drawn = [(row["level"], assign(row, spec, voices)) for row in spans(3000)]
    total = sum(voice.weight for voice in voices)
    for voice in voices:
        share = sum(job.voice == voice.name for _, job in drawn) / len(drawn)
        assert share == pytest.approx(voice.weight / total, abs=0.03)
    noisy = [level for level, job in drawn if job.effect and job.effect.noise]
    assert "context" not in noisy
    assert len(noisy) / sum(level != "context" for level, _ in drawn) == pytest.approx(spec.augmentation.noise_share, abs=0.04)
