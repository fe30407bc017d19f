"""This checkout against an earlier commit: real processes, each with its own code, on inputs of a few words."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml
from checkout import ROOT

from flows.ablate.copies import NOBODY
from flows.bench import __main__ as bench
from flows.bench import against, train
from inserter.audio.clips import flac, write_shard
from inserter.files import read_json, write_table
from inserter.params import Voice
from inserter.tables import UTTERANCES
from inserter.tts import load_voice

TEXTS = ["Good morning to you all.", "The state of the Union is strong."]
ANSWER = "text.strip() for text in"  # the end of models/generation.py


@pytest.fixture
def project(tmp_path: Path, tiny_lm: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of one commit with this code and tiny models. What is temporary goes to a folder beside it."""
    folder = tmp_path / "project"
    for name in ("stages", "inserter", "models"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["assets"] |= {"lm": str(tiny_lm), "encoder": str(tiny_encoder)}
    params["evaluate"]["max_new_tokens"] = 8
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    for name, value in NOBODY.items():
        monkeypatch.setenv(name, value)
    subprocess.run("git init -q && git add -A && git commit -q -m first", shell=True, check=True, cwd=folder)
    monkeypatch.chdir(folder)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("BENCH_AGAINST", "HEAD")
    for name, value in {"CLIPS": len(TEXTS), "PROMPTS": 2, "PAIRS": 1}.items():
        monkeypatch.setattr(against, name, value)
    return folder


def run(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", name])
    bench.main()


def nothing_left(project: Path) -> bool:
    worktrees = subprocess.run(["git", "worktree", "list"], cwd=project, capture_output=True, text=True, check=True)
    return not list((project.parent / "temporary").iterdir()) and worktrees.stdout.count("\n") == 1


def speak(folder: Path) -> None:
    """data/synthesize with a clip of each text, after one that could not be spoken."""
    voice = load_voice(Voice(name="heart", engine="hibari", voice="heart"))
    waves = {f"u{n}": voice.speak(text) for n, text in enumerate(TEXTS)}
    index = write_shard(folder / "shard-00000.tar", {name: flac(wave) for name, wave in waves.items()}.items())
    row = {"doc_id": "d", "split": "train", "language": "en", "engine": "hibari", "voice": "heart", "sample_rate": 16_000}
    rows = [row | {"utt_id": "lost", "written": "日本語", "spoken": "日本語", "error": "the engine gave zero samples"}]
    for (name, wave), text in zip(waves.items(), TEXTS, strict=True):
        offset, size = index[name]
        place = {"shard": "shard-00000.tar", "offset": offset, "size": size, "n_samples": len(wave), "duration": len(wave) / 16_000}
        rows.append(row | {"utt_id": name, "written": text, "spoken": text} | place)
    write_table(folder / "utterances.parquet", rows, UTTERANCES)


def test_both_sides_hear_the_same_clips(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    speak(project / "data/synthesize")
    run(monkeypatch, "verify")
    (found,) = read_json("reports/bench.json")
    assert 0 < found["low"] <= found["ratio"] <= found["high"]
    assert (found["equal"], found["of"]) == (2, 2)
    told = r"verify: [\d.]+ \([\d.]+ to [\d.]+\) x commit \w{7,} on the same 2 clips, 2 of 2 results equal\n"
    assert re.fullmatch(told, capsys.readouterr().out)
    assert nothing_left(project)


def test_each_side_answers_with_its_own_code(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = Path("models/generation.py")
    assert ANSWER in code.read_text()
    code.write_text(code.read_text().replace(ANSWER, ANSWER.replace("text.strip()", '"Now: " + text')))
    run(monkeypatch, "answers")
    (found,) = read_json("reports/bench.json")
    assert (found["equal"], found["of"]) == (0, 2)
    assert nothing_left(project)


def test_both_sides_train_on_the_same_text(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """The same code on both sides: the same positions and the same tokens, at the precision that was asked for."""
    monkeypatch.setattr(train, "DOCUMENTS", 2)
    monkeypatch.setattr(against, "STEPS", 1)
    monkeypatch.setenv("BENCH_PRECISION", "fp32")
    run(monkeypatch, "train_cpu")
    (found,) = read_json("reports/bench.json")
    assert 0 < found["low"] <= found["ratio"] <= found["high"]
    assert found["tokens"] == found["ratio"]
    assert found["against"].endswith("here decoder in fp32, there decoder in fp32")
    assert capsys.readouterr().out.endswith(" times its learnt tokens per second\n")
    assert nothing_left(project)


@pytest.mark.parametrize("name", ["read_sequential", "read_random"])
def test_both_sides_read_the_clips_that_they_have_written(project: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(against, "SPOKEN", 8)
    monkeypatch.setattr(against, "PASSES", 2)
    run(monkeypatch, name)
    (found,) = read_json("reports/bench.json")
    assert 0 < found["low"] <= found["ratio"] <= found["high"]
    assert (found["equal"], found["of"]) == (8, 8)
    assert nothing_left(project)


def test_an_unknown_precision_is_a_line(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "DOCUMENTS", 2)
    monkeypatch.setenv("BENCH_PRECISION", "fp16")
    with pytest.raises(SystemExit, match=r"^bench: train_cpu: BENCH_PRECISION=fp16 is not a precision\. Set it to bf16 or fp32"):
        run(monkeypatch, "train_cpu")


def test_a_side_that_lacks_what_is_measured_says_so(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not take the module from where the project is installed."""
    speak(project / "data/synthesize")
    Path("inserter/verification/asr.py").unlink()
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, "verify")
    why = r"ModuleNotFoundError: .* 'inserter\.verification\.asr'"
    problem = rf"bench: verify: this checkout cannot run this benchmark \({why}\)\. Correct that error, .*"
    assert re.fullmatch(problem, str(end.value.code))
    assert nothing_left(project)


def test_what_is_missing_is_a_line(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"^bench: verify: there are no clips in data/synthesize\. Run `make run` first$"):
        run(monkeypatch, "verify")
    monkeypatch.setenv("BENCH_AGAINST", "0123abc")
    with pytest.raises(SystemExit, match=r"^bench: answers: git archive failed \(.*0123abc\)\. Run `git fetch --unshallow` .*$"):
        run(monkeypatch, "answers")
    assert nothing_left(project)
