"""The command line as a user calls it: what it prints, how it fails, and that it is quick to answer."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from checkout import ROOT
from toy_project import Toy

from flows import steps
from flows.ask import answer, default_model
from flows.cli import app, main
from flows.summary import summary
from inserter.audio import clips as audio
from inserter.errors import InserterError
from inserter.files import write_json, write_table
from inserter.tables import ITEMS, UTTERANCES, VERIFIED

HEAVY = ("prefect", "mlflow", "torch", "great_expectations", "transformers", "dvc")


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def inserter(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Run:
    """`inserter("status")` calls the entry point as the console script does."""

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["inserter", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        out = capsys.readouterr()
        return Done(end.value.code or 0, out.out, out.err)

    return run


def imported(*arguments: str) -> set[str]:
    """Packages of HEAVY that `inserter ARGUMENTS` imports."""
    code = (
        "import sys\nfrom flows.cli import main\n"
        f"sys.argv = {['inserter', *arguments]!r}\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"print('|'.join(name for name in {HEAVY!r} if name in sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.strip().splitlines()[-1].split("|")) - {""} if done.stderr.strip() else set()


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """One record whose answer follows the instruction, and one whose answer does not."""
    record = {"key": "1", "prompt": "No commas.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    path = tmp_path / "answers.jsonl"
    lines = [{**record, "id": "good", "response": "None here."}, {**record, "id": "bad", "response": "One, two."}]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_help_and_score_import_nothing_heavy(answers: Path) -> None:
    assert imported("--help") == set()
    assert imported("run", "--help") == set()
    assert imported("score", "closed", str(answers), "--json") == set()


COMMANDS = ["run", "status", "score closed", "score open", "score adjustment", "ask", "promote", "compare", "assets"]
COMMANDS += ["evaluate", "rollback", "versions"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    from click.testing import CliRunner

    shown = CliRunner().invoke(app, [*command.split(), "--help"])
    assert shown.exit_code == 0 and f"inserter {command}" in shown.output and "Example" in shown.output


@pytest.mark.parametrize("options", [["--force"], ["--because", "x"], ["--force", "--because", " "]])
def test_a_forced_promotion_needs_a_reason_and_a_reason_needs_force(options: list[str]) -> None:
    from click.testing import CliRunner

    refused = CliRunner().invoke(app, ["promote", *options]).exception
    assert isinstance(refused, InserterError) and "reason" in str(refused)


def test_score_prints_json_and_nothing_else(inserter: Run, answers: Path, tmp_path: Path) -> None:
    details = tmp_path / "details.jsonl"
    done = inserter("score", "closed", str(answers), "--mode", "reference", "--json", "--details", str(details))
    result = json.loads(done.stdout)
    assert result["strict-prompt"] == 0.5 and result["n_prompts"] == 2
    rows = [json.loads(line) for line in details.read_text().splitlines()]
    assert [(row["id"], row["strict"]) for row in rows] == [("good", [True]), ("bad", [False])]


def test_judged_answers_are_scored(inserter: Run, tmp_path: Path) -> None:
    verdict = {"follow_after_adjust": "YES", "follow_before_adjust": "NO", "after_adjust_content_correct": "YES"}
    replies = {"open": ["```\n['YES', 'NO']\n```"], "adjustment": [f"Verdict: {json.dumps(verdict)}"]}
    for task, pred_score in replies.items():
        path = tmp_path / f"{task}.jsonl"
        records = [{"id": "a", "pred_score": pred_score}, {"id": "b", "pred_score": None}]
        path.write_text("\n".join(map(json.dumps, records)))
        done = inserter("score", task, str(path), "--json", "--details", str(tmp_path / "details.jsonl"))
        result = json.loads(done.stdout)
        assert (result["n"], result["n_counted"], result["dropped"]) == (2, 1, {"not judged": 1})
        shares = {"prompt": 0.0, "instruction": 0.5, "n_instructions": 2}
        scores = {"open": shares, "adjustment": {"iar": 1.0, "ecr": 0.0}}
        assert result.items() >= scores[task].items()
        first, second = [json.loads(line) for line in (tmp_path / "details.jsonl").read_text().splitlines()]
        rows = {"open": {"votes": ["YES", "NO"], "prompt_correct": False}, "adjustment": {"iar": 1, "ecr": 0}}
        assert first == {"id": "a", "counted": True, **rows[task]}
        assert second["counted"] is False and second["reason"] == "not judged" and second["error"]
        shown = inserter("score", task, str(path), "--mode", "reference").stdout
        assert "not measured" in shown and "dropped 2 of 2 records: no usable reply 1, not judged 1" in shown
        refused = inserter("score", task, str(path), "--mode", "loose")
        assert refused.returncode == 1 and "unknown mode 'loose'" in refused.stderr and refused.stderr.count("\n") == 1


def test_nothing_to_do_is_said_without_prefect(inserter: Run, toy: Toy) -> None:
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], check=True)
    assert imported("run") <= {"dvc"}
    done = inserter("run")
    assert done.returncode == 0
    assert done.stderr == "everything is up to date\n"
    assert "Gates" in done.stdout and "passed on 3 rows" in done.stdout


def test_status_says_why(inserter: Run, toy: Toy) -> None:
    steps.run("one")
    toy.set(one="new")
    write_json("reports/system/one.json", {"wall_seconds": 61.0, "peak_rss_mb": 2048.0})
    rows = {line.split()[0]: line for line in inserter("status").stdout.splitlines() if line.strip()}
    assert "changed: one modified" in rows["one"] and "1 min 01 s" in rows["one"] and "2.0 GiB" in rows["one"]
    assert "never run" in rows["two"]


def test_errors_are_one_line(inserter: Run, toy: Toy) -> None:
    wrong = inserter("run", "tow")
    assert wrong.returncode == 1 and wrong.stderr.startswith("inserter: there is no stage tow. Choose one of: ")
    assert wrong.stderr.count("\n") == 1 and wrong.stdout == ""
    silent = toy.folder / "silent.wav"
    silent.write_bytes(b"not audio")
    refused = inserter("ask", str(silent))
    assert refused.returncode == 1 and "cannot be decoded" in refused.stderr and refused.stderr.count("\n") == 1
    params = toy.folder / "params.yaml"
    params.write_text(params.read_text().replace("pretrain:\n", "pretrain:\n  sede: 1\n"))
    unknown = inserter("run")
    assert unknown.returncode == 1 and "unknown key pretrain.sede (did you mean seed?)" in unknown.stderr


def test_ask_prints_the_answer_alone(inserter: Run, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    tone = 0.1 * np.sin(np.arange(16_000) / 10).astype(np.float32)
    (tmp_path / "tone.flac").write_bytes(audio.flac(tone))
    missing = inserter("ask", "tone.flac")
    assert missing.returncode == 1 and "no model at data/sft/model. Train a model with `inserter run`" in missing.stderr
    said = inserter("ask", "tone.flac", "--text", "What was that?", "--model", str(tiny_model))
    assert said.returncode == 0
    assert said.stdout == answer(tmp_path / "tone.flac", "What was that?", str(tiny_model)) + "\n"
    long = inserter("ask", "tone.flac", "--text", "never " * 3_000, "--model", str(tiny_model))
    assert long.returncode == 1 and long.stdout == "" and long.stderr.count("\n") == 1
    assert "inserter: 1.0 s of sound and 'never never" in long.stderr and "room for 2,048 together. Give" in long.stderr


def test_hear_prints_one_line_per_file(inserter: Run, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be read costs the others nothing, and the exit code says that there was one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    for name, samples in (("low.flac", 8_000), ("long.flac", 520_000)):
        (tmp_path / name).write_bytes(audio.flac(0.1 * np.sin(np.arange(samples) / 10).astype(np.float32)))
    model = ("--model", str(tiny_model))
    plain = inserter("hear", "low.flac", "no.wav", "long.flac", *model)
    assert plain.returncode == 1 and "no.wav does not exist" in plain.stderr
    told = [line.split("\t") for line in plain.stdout.strip("\n").split("\n")]
    assert [row[0] for row in told] == ["low.flac", "long.flac"]
    rows = [json.loads(line) for line in inserter("hear", "low.flac", "long.flac", "--json", *model).stdout.splitlines()]
    assert [" ".join(row["heard"].split()) for row in rows] == [row[1] for row in told]
    assert [row["seconds"] for row in rows] == [0.5, 32.5]
    for row in rows:
        starts = [word["start"] for word in row["words"]]
        assert len(starts) == row["positions"] and starts == sorted(starts) and 0 <= starts[0] <= starts[-1] <= row["seconds"]


def test_ask_takes_the_registered_champion(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    from inserter.params import load
    from inserter.registry.tracking import connect
    from models.pyfunc import pyfunc_arguments

    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    text = (ROOT / "params.yaml").read_text().replace("sqlite:///mlflow.db", uri)
    (tmp_path / "params.yaml").write_text(text)
    (tmp_path / "click.flac").write_bytes(audio.flac(np.full(8_000, 0.1, dtype=np.float32)))
    register = load().register_
    assert default_model(register) == "data/sft/model" and not (tmp_path / "mlflow.db").exists()
    client = connect(register)
    with mlflow.start_run():
        logged = mlflow.pyfunc.log_model(name="model", **pyfunc_arguments(tiny_model))
    version = mlflow.register_model(logged.model_uri, register.model).version
    with pytest.raises(InserterError, match=r"cannot be loaded .*inserter has no version"):
        answer(tmp_path / "click.flac", None, f"models:/{register.model}@champion")
    client.set_registered_model_alias(register.model, "champion", str(version))
    assert default_model(register) == f"models:/{register.model}@champion"
    assert answer(tmp_path / "click.flac") == answer(tmp_path / "click.flac", None, str(tiny_model))


def test_summary_shows_what_was_measured_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert summary() == "no stage has run yet: run `inserter run`"
    write_json(
        "reports/verify.json",
        {"in": 1200, "clean": 1150, "quarantined": {"wer": 40, "silence": 10, "level": 0}, "hours_clean": 1.25},
    )
    text = summary()
    assert "1.25 h" in text and "50 (silence 10, wer 40)" in text
    assert "gap closed" not in text and "SpeechInstructBench" not in text and "registered" not in text
    shares = {"prompt": 0.2, "instruction": 0.25}
    form = {"mean": shares, "interval": {"mean": {"instruction": [0.2, 0.31]}}, "n_prompts": 75}
    unscored = {"mean": {"prompt": None, "instruction": None}, "n_prompts": 0}
    bench = {"closed": {"en": {"standard": {"heard": form, "read": unscored}}}}
    bench["open"] = {"en": {"standard": {"heard": {"judged": False, "n": 9, "reason": "no judge"}}}}
    losses = {"heard_own": 3.1, "heard_other": 3.4}
    write_json("reports/evaluate.json", {"gap_closed": 0.61, "continuation": losses, "speechinstructbench": bench})
    write_json("reports/register.json", {"model": "inserter", "version": 2, "alias": "challenger"})
    decided = {"version": 2, "decision": "promoted", "reason": "better", "alias": "champion"}
    write_json(".work/promotion.json", {"2": decided})
    text = summary()
    assert "0.610" in text and "heard own 3.100, heard other 3.400" in text
    row = next(line.split() for line in text.splitlines() if line.strip().startswith("standard"))
    assert " ".join(row) == "standard 25.0 (20–31) not scored 75"
    assert "standard not judged 9" in " ".join(text.split())
    assert "inserter version 2 @challenger @champion" in text and "better" in text


def test_the_summary_shows_recordings_of_people_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cell = {"errors": 3, "share": 0.12, "interval": [0.05, 0.2]}
    answers = {"en": {"recordings": {"heard": {"mean": {"instruction": 0.25, "prompt": 0.2}, "n_prompts": 9}}}}
    found = {
        "clips": 9,
        "hours": 0.5,
        "refused": {"silent": 2},
        "answers": answers,
        "word_errors": {"heard": cell, "asr": {**cell, "share": 0.1}, "difference": {**cell, "share": 0.02, "interval": None}},
    }
    write_json("reports/evaluate.json", {"recordings": found})
    text = " ".join(summary().split())
    assert "Recordings of people clips 9 (0.50 h); 2 refused" in text
    assert "what the model hears 12.0 % (95 % 5.0 to 20.0)" in text and "the recogniser 10.0 %" in text
    assert "model minus recogniser +2.0 points" in text and "instructions followed, en heard 25.0 %" in text
    write_json("reports/evaluate.json", {"recordings": None})
    assert "people" not in summary()


def beside_cascade(gap: tuple, points: tuple) -> dict:
    heard, cascade = ({"variant": "standard", "form": form} for form in ("heard", "cascade"))
    pair = {"lang": "en", "a": heard, "b": cascade, "difference": points[0], "interval": list(points[1:]), "p_value": 0.5}
    return {
        "heard_minus_cascade": dict(zip(("difference", "low", "high"), gap, strict=True)),
        "comparisons": [pair],
        "speechinstructbench": {"closed": {"en": {"standard": {}}}},
    }


@pytest.mark.parametrize(
    ("gap", "points", "said"),
    [
        ((0.1, 0.05, 0.15), (0.1, 0.02, 0.2), "The model hears better than its own cascade: "),
        ((-0.1, -0.2, -0.05), (-0.1, -0.2, -0.02), "The model hears worse than its own cascade: "),
        ((-0.1, -0.2, 0.05), (0.1, -0.02, 0.2), "The model and its own cascade are not told apart: "),
        ((-0.1, -0.2, -0.05), (-0.1, -0.2, 0.02), "The model hears worse than its own cascade: "),
        ((-0.1, -0.2, -0.05), (0.1, 0.02, 0.2), "The two figures disagree"),
    ],
)
def test_the_summary_begins_with_how_the_model_hears_beside_its_cascade(gap, points, said, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_json("reports/evaluate.json", beside_cascade(gap, points))
    first = " ".join(summary().split("\n\n")[0].split())
    assert first.startswith(said)
    assert f"gap closed {gap[0]:+.3f} (95 % {gap[1]:+.3f} to {gap[2]:+.3f})" in first and f"{100 * points[0]:+.1f} points" in first


def _spoken(folder: Path) -> dict[str, bytes]:
    """A workspace with one clip in data/synthesize, its original, and one that could not be spoken: {name: FLAC}."""
    waves = {"d-000": 0.5, "d-000-original": 0.1}
    clips = {name: audio.flac(np.full(1600, level, np.float32)) for name, level in waves.items()}
    index = {name: audio.write_shard(folder / f"data/synthesize/{name}.tar", [(name, data)])[name] for name, data in clips.items()}
    place = dict(zip(("offset", "size"), index["d-000"], strict=True))
    before = dict(zip(("original_offset", "original_size"), index["d-000-original"], strict=True))
    before["original_shard"] = "d-000-original.tar"
    rows = [{"utt_id": "d-000", "shard": "d-000.tar", **place, **before}, {"utt_id": "d-001", "error": "no word of it"}]
    write_table(folder / "data/synthesize/utterances.parquet", rows, UTTERANCES)
    return clips


def test_clip_writes_the_sound_of_an_utterance(tmp_path: Path) -> None:
    clips, here = _spoken(tmp_path), {**os.environ, "PYTHONPATH": str(ROOT)}

    def call(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, "-m", "flows.cli", "clip", *arguments], cwd=tmp_path, capture_output=True, env=here)

    done = call("d-000")
    assert done.returncode == 0 and done.stdout == clips["d-000"] and done.stderr == b""
    assert call("d-000", "--original", "--out", "voice.flac").stdout == b""
    assert (tmp_path / "voice.flac").read_bytes() == clips["d-000-original"]


def test_a_prompt_that_was_refused_can_be_listened_to(inserter: Run, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    flac = audio.flac(np.full(1600, 0.5, np.float32))
    index = audio.write_shard(Path("data/sft/clips/shard-00000.tar"), [("p-1", flac)])
    place = dict(zip(("offset", "size"), index["p-1"], strict=True))
    row = {"utt_id": "p-1", "shard": "shard-00000.tar", "reason": "wer 0.50 > 0.35", **place}
    write_table(Path("data/sft/clips/quarantine.parquet"), [row], VERIFIED)
    assert inserter("clip", "p-1", "--out", "p.flac").returncode == 0 and Path("p.flac").read_bytes() == flac


def test_a_benchmark_item_has_no_original(inserter: Run, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    index = audio.write_shard(Path("data/benchmark/shard-00000.tar"), [("i-1", audio.flac(np.zeros(1600, np.float32)))])
    place = dict(zip(("offset", "size"), index["i-1"], strict=True))
    write_table(Path("data/benchmark/items.parquet"), [{"item_id": "i-1", "shard": "shard-00000.tar", **place}], ITEMS)
    assert "the benchmark keeps no original of i-1" in inserter("clip", "i-1", "--original").stderr


@pytest.mark.parametrize(("name", "said"), [("d-001", "d-001 has no clip: no word of it"), ("d-9", "no clip has the id d-9")])
def test_a_clip_that_is_not_there_is_one_line(inserter: Run, tmp_path, monkeypatch, name, said) -> None:
    _spoken(tmp_path)
    monkeypatch.chdir(tmp_path)
    done = inserter("clip", name)
    assert done.returncode == 1 and done.stdout == ""
    assert said in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.fixture
def installed(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess]:
    """`installed(folder, ...)` runs the command line in `folder`, with the package `inserter` alone on the path."""
    site = tmp_path / "site"
    shutil.copytree(ROOT / "inserter", site / "inserter", ignore=shutil.ignore_patterns("__pycache__"))

    def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-P", "-m", "inserter", *arguments]  # -P: as the console script, without the current folder
        environment = os.environ | {"PYTHONPATH": str(site)}
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)

    return run


def test_scoring_needs_no_checkout_and_the_pipeline_says_that_it_does(installed, tmp_path: Path) -> None:
    record = {
        "key": "1",
        "prompt": "No commas.",
        "instruction_id_list": ["punctuation:no_comma"],
        "kwargs": [{}],
        "response": "None.",
    }
    (tmp_path / "answers.jsonl").write_text(json.dumps(record) + "\n")
    scored = installed(tmp_path, "score", "closed", "answers.jsonl", "--json")
    assert scored.returncode == 0 and json.loads(scored.stdout)["strict-prompt"] == 1.0, scored.stderr
    refused = installed(tmp_path, "run")
    assert refused.returncode == 1 and refused.stdout == ""
    (line,) = refused.stderr.splitlines()
    assert line.startswith("inserter: `inserter run` is a command of the pipeline. Change to the folder of its checkout")
    listed = installed(tmp_path, "--help")
    assert listed.returncode == 0 and "score" in listed.stdout and "promote" not in listed.stdout


def test_the_command_finds_the_pipeline_in_a_folder_of_the_checkout(installed) -> None:
    listed = installed(ROOT / "docs", "--help")
    assert listed.returncode == 0 and "promote" in listed.stdout, listed.stderr


def test_a_checkout_is_run_by_its_own_code(installed, tmp_path: Path) -> None:
    """An environment has one checkout installed, and the command runs in the folder of another."""
    other = tmp_path / "other"
    for name in ("flows", "inserter"):
        shutil.copytree(ROOT / name, other / name, ignore=shutil.ignore_patterns("__pycache__"))
    errors = other / "inserter" / "errors.py"
    errors.write_text(errors.read_text() + '\nprint("the other checkout")\n')
    listed = installed(other, "--help")
    assert listed.returncode == 0 and "the other checkout" in listed.stdout and "promote" in listed.stdout, listed.stderr
