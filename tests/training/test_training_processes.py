"""Whole runs of pre-training: the curve is the one it always was, and the same when it is killed, and over two gloo processes with
sharded weights."""

import csv
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
import ranks
import torch
import yaml
from checkout import ROOT
from training_runs import finish as finish_stage
from training_runs import stage, workspace, write_sequences

from inserter.files import read_json, read_table, write_table
from inserter.tables import SEQUENCES, VERIFIED
from models import InserterForConditionalGeneration

TWO = "--nproc-per-node 2 --max-restarts 2 --rdzv-backend c10d --rdzv-endpoint 127.0.0.1:0"
STAGE = """
from inserter.training.processes import run_training_stage
from stages.{name}.stage import main
run_training_stage("{name}", main)
"""
TOLERANCE = 2e-5  # of a loss of 6 in fp32: sums over two processes round otherwise; measured 1e-6


def start(folder: Path, launch: str | None = None, warmed: Path | None = None) -> subprocess.Popen:
    """Pre-training, after the warm-up in as many processes, or with the adapter that `warmed` has."""
    environment = {"INSERTER_TORCHRUN": launch} if launch else {}
    if warmed:
        shutil.copytree(warmed / "data/warmup", folder / "data/warmup")
    else:
        finish_stage(stage("warmup", folder, **environment), folder)
    return stage("pretrain", folder, **environment)


def curve_of(folder: Path, name: str) -> list[dict[str, float]]:
    with (folder / f"reports/plots/{name}.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def finish(process: subprocess.Popen, folder: Path) -> list[dict[str, float]]:
    """The curve, when the stage has ended well."""
    finish_stage(process, folder)
    return curve_of(folder, "pretrain")


@pytest.fixture(scope="module")
def alone(tiny_lm, tiny_encoder, tmp_path_factory):
    folder = workspace(tmp_path_factory.mktemp("alone") / "w", tiny_lm, tiny_encoder)
    return finish(start(folder), folder), folder


def test_the_curve_is_the_one_it_always_was(alone):
    """A change of the code that is to change nothing leaves it; one that is to change it writes the file anew, and says why."""
    curve, _ = alone
    golden = read_json(ROOT / "tests/training/golden_curve.json")
    assert [row["positions"] for row in curve] == golden["positions"]
    assert [row["loss"] for row in curve] == pytest.approx(golden["loss"], abs=1e-4), "other CPUs round otherwise"


def killed_at(steps: list[int], name: str, folder: Path) -> None:
    """kill -9 of the process group at each of the steps; nothing half-written is left."""
    for step in sorted(steps):
        process = stage(name, folder)
        while not any(int(p.name[-6:]) >= step for p in folder.glob(f".work/{name}/*/{name}-checkpoints/step-*")):
            assert process.poll() is None, "it ended before a resume point was seen: raise the number of steps"
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not (folder / f"data/{name}").exists() and not (folder / f"reports/{name}.json").exists()


def test_stages_killed_at_random_steps_end_with_the_same_bytes(alone, tiny_lm, tiny_encoder, tmp_path):
    """Warm-up and pre-training: the encoding is not done again, every loss and every weight is bit for bit the same."""
    _, calm = alone
    killed = workspace(tmp_path / "killed", tiny_lm, tiny_encoder)
    for name, steps in (("warmup", (5,)), ("pretrain", random.Random(5).sample(range(3, 36), 2))):
        killed_at(list(steps), name, killed)
        encoded = {f: f.stat().st_mtime_ns for f in killed.glob(".work/states/*/*")}
        finish_stage(stage(name, killed), killed)
        assert encoded and encoded == {f: f.stat().st_mtime_ns for f in killed.glob(".work/states/*/*")}
        assert (killed / f"reports/plots/{name}.csv").read_text() == (calm / f"reports/plots/{name}.csv").read_text()
        assert read_json(killed / f"reports/{name}.json") == read_json(calm / f"reports/{name}.json")
        assert list(killed.glob(f".work/{name}/*/*-checkpoints")), "DVC has no record of it yet"
    assert not list(killed.glob(".work/warmup/*/*-checkpoints"))
    assert (killed / "data/warmup/adapter.safetensors").read_bytes() == (calm / "data/warmup/adapter.safetensors").read_bytes()


@pytest.fixture(scope="module")
def saving(tiny_lm, tiny_encoder, tmp_path_factory):
    """Its encoder learns too, in rows of about 30 positions, with layers computed again, and by distillation; half of its sequences
    are text, and one step of its warm-up has a single clip."""

    def make(name: str) -> Path:
        folder = workspace(tmp_path_factory.mktemp(name) / "w", tiny_lm, tiny_encoder)
        params = yaml.safe_load((folder / "params.yaml").read_text())
        params["pretrain"].update(steps=10, micro_positions=30, gradient_checkpointing="selective", distill=0.5)
        params["pretrain"]["trainable"]["encoder"] = True
        params["warmup"].update(steps=8, batch_seconds=3.2)
        (folder / "params.yaml").write_text(yaml.safe_dump(params))
        clips = read_table(folder / "data/verify/clean.parquet", VERIFIED)
        for number, row in enumerate(clips):  # 7 to learn from, in twos, each of its own words
            row.update(written=f"lazy dog {number}", split="heldout" if number < 5 else "train")
        write_table(folder / "data/verify/clean.parquet", clips, VERIFIED)
        spoken = read_table(folder / "data/interleave/sequences.parquet", SEQUENCES)
        text = [{"text": "The quick brown fox jumps over the lazy dog", "utt_id": None, "loss": True}]
        written = [{**row, "seq_id": f"t-{row['seq_id']}", "kind": "text", "parts": text} for row in spoken]
        write_sequences(folder, spoken + written, tiny_lm, tiny_encoder)
        return folder

    folder = make("saving")
    return finish(start(folder), folder), folder, make


def test_an_encoder_that_learns_is_heard_as_it_is(saving, alone):
    """Its clips are encoded in every step. Whisper's sinusoids are not learnt."""
    _, folder, _ = saving
    before, after = (
        InserterForConditionalGeneration.from_pretrained(f / "data/pretrain/model").encoder.state_dict() for f in (alone[1], folder)
    )
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert {name for name in after if "weight" in name} - moved == {"embed_positions.weight"}
    text = read_json(folder / "reports/pretrain.json")["text_nll"]
    assert text["after"] < text["before"]


def test_two_processes_take_part_in_every_pass(saving):
    """One has rows of text where the other hears, and fewer of them: nobody waits for ever, and the curve is that of one."""
    curve, one, make = saving
    folder = make("saving-two")
    for name in ("warmup", "pretrain"):
        ranks.finish(STAGE.format(name=name), folder)
    together = curve_of(folder, "pretrain")
    warmed = [[row["loss"] for row in curve_of(f, "warmup")] for f in (one, folder)]
    assert len(warmed[0]) == 8 and warmed[0] == pytest.approx(warmed[1], abs=TOLERANCE)
    for a, b in zip(curve, together, strict=True):
        assert (a["positions"], a["tokens"]) == (b["positions"], b["tokens"])
        assert a["loss"] == pytest.approx(b["loss"], abs=TOLERANCE), a["step"]


def test_two_processes_learn_what_one_learns_and_one_that_dies_is_restarted(alone, tiny_lm, tiny_encoder, tmp_path):
    curve, one = alone
    folder = workspace(tmp_path / "w", tiny_lm, tiny_encoder)
    process = start(folder, TWO, warmed=one)
    while not list(folder.glob(".work/pretrain/*/pretrain-checkpoints/step-*")):
        assert process.poll() is None, (folder / "log").read_text()[-3000:]
        time.sleep(0.01)
    workers = [p for p in psutil.Process(process.pid).children() if "stages.pretrain" in p.cmdline()]
    assert len(workers) == 2
    workers[1].kill()
    together = finish(process, folder)
    assert "resuming at step" in (folder / "log").read_text()
    for a, b in zip(curve, together, strict=True):
        assert (a["step"], a["positions"], a["tokens"]) == (b["step"], b["positions"], b["tokens"]), "the step is the same"
        assert a["loss"] == pytest.approx(b["loss"], abs=TOLERANCE), a["step"]
        assert a["gradient_norm"] == pytest.approx(b["gradient_norm"], rel=1e-2)
    reports = [read_json(f / "reports/pretrain.json") for f in (one, folder)]
    assert reports[0]["continuation"] == pytest.approx(reports[1]["continuation"], abs=TOLERANCE)
    saved = [InserterForConditionalGeneration.from_pretrained(f / "data/pretrain/model").state_dict() for f in (one, folder)]
    assert {k: v.shape for k, v in saved[0].items()} == {k: v.shape for k, v in saved[1].items()}, "an ordinary model"
