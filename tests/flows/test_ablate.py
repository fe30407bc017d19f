"""`inserter ablate` on a git and DVC project whose stages are toys: killed, resumed, failed; what is recorded and where."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from checkout import ROOT
from databases import Databases

from flows.ablate.arms import read_arms, select
from flows.ablate.copies import _local
from flows.ablate.curves import gap_by_positions
from flows.ablate.results import effective
from flows.ablate.tables import write_page
from inserter.errors import InserterError
from inserter.params import laid_over
from inserter.training.loop import write_curve

GRAPH = """
stages:
  warmup: {cmd: python toy.py warmup, params: [warmup.steps], outs: [data/warmup], metrics: [reports/warmup.json], plots: [reports/plots/warmup.csv]}
  pretrain: {cmd: python toy.py pretrain, params: [pretrain.seed, pretrain.steps], deps: [data/warmup, texts/own.txt], outs: [data/pretrain], metrics: [reports/pretrain.json]}
  sft: {cmd: python toy.py sft, deps: [data/pretrain], outs: [data/sft], metrics: [reports/sft.json]}
  evaluate: {cmd: python toy.py evaluate, deps: [data/sft], outs: [data/evaluate], metrics: [reports/evaluate.json]}
  register: {cmd: "false", deps: [data/evaluate], metrics: [reports/register.json]}
"""  # noqa: E501
STAGES = """
import json, os, pathlib, sys, time
import yaml

name = sys.argv[1]
params = yaml.safe_load(open("params.yaml"))
steps, seed = params["pretrain"]["steps"], params["pretrain"]["seed"]
log = pathlib.Path(os.environ["TOY_LOG"])
with log.open("a") as file:
    file.write(f"{name} {steps} {seed}\\n")
if name == "pretrain" and steps == 2:
    while (log.parent / "asleep").exists():
        time.sleep(0.05)
if name == "pretrain" and steps == 13:
    sys.exit("pretrain: 13 steps bring bad luck. Take 14")
reports = {
    "warmup": {"heldout_token_error": 0.25, "hours": 1.5},
    "pretrain": {"positions": 1000 * steps, "transcript_nll": 2.0 / max(steps, 1), "text_nll": {"before": 4.0, "after": 3.0}},
    "sft": {},
    "evaluate": {
        "gap_closed": steps / 10 + seed / 1000, "gap_closed_interval": [0.0, 1.0], "text_nll": 5.0, "precision": "fp32",
        "voices": {"seen": {}, "unseen": None}, "cascade": {"gap_closed": 0.9, "gap_closed_interval": [0.8, 1.0]},
        "heard_minus_cascade": {"difference": -0.1, "low": -0.2, "high": 0.05}, "kl_read_heard": 0.03,
        "speechinstructbench": {"closed": {"en": {
            "standard": {
                form: {"mean": {"instruction": share}, "interval": {"mean": {"instruction": [0.1, 0.4]}}}
                for form, share in (("heard", 0.2), ("read", 0.3))
            }}}},
    },
}
pathlib.Path("reports/plots").mkdir(parents=True, exist_ok=True)
pathlib.Path("data").mkdir(exist_ok=True)
pathlib.Path("reports", name + ".json").write_text(json.dumps(reports[name]))
if name == "evaluate":
    pathlib.Path("data/evaluate").mkdir(exist_ok=True)
    row = {"task": "closed", "lang": "en", "variant": "standard", "voice": "toy", "loose": [True]}
    forms = [row | {"form": form} for form in ("heard", "read")]
    lines = [form | {"key": key, "strict": [key == "a" or form["form"] == "read"]} for key in "ab" for form in forms]
    pathlib.Path("data/evaluate/responses.jsonl").write_text("\\n".join(map(json.dumps, lines)) + "\\n")
else:
    pathlib.Path("data", name).write_text(f"{steps} {seed}")
if name == "warmup":
    pathlib.Path("reports/plots/warmup.csv").write_text("step,loss\\n0,3.0\\n1,2.0\\n")
"""
ARMS = """
seeded: [pretrain.seed]
base: {warmup.steps: 5}
groups:
  main:
    about: Toys
    arms:
      one: {set: {pretrain.steps: 1}, seeds: [1]}
      two: {set: {pretrain.steps: 2}, seeds: [1, 2, 3]}
  luck:
    about: One that fails before one that does not
    arms:
      bad: {set: {pretrain.steps: 13}, seeds: [1]}
      good: {set: {pretrain.steps: 3}, seeds: [1]}
"""
FIELDS = {
    "arm",
    "group",
    "seed",
    "gap_closed",
    "gap_closed_interval",
    "heard",
    "heard_interval",
    "heard_all",
    "heard_all_interval",
    "heard_chance",
    "read_chance",
    "read",
    "read_interval",
    "read_all",
    "read_all_interval",
    "variants",
    "text_nll_drift",
    "unseen_gap",
    "transcript_nll",
    "token_error",
    "positions",
    "gap_by_positions",
    "hours",
    "precision",
    "commit",
    "command",
    "key",
    "cascade_gap",
    "cascade_gap_interval",
    "heard_minus_cascade",
    "heard_minus_cascade_interval",
    "kl_read_heard",
    "kl_base_model",
}


class Project:
    """A committed project in a folder, and `inserter` run in it as a process of its own."""

    def __init__(self, folder: Path, api: str) -> None:
        self.folder, self.log = folder, folder.parent / "log"
        self.environment = {
            **os.environ,
            "PREFECT_API_URL": api,
            "PYTHONPATH": str(ROOT),
            "TOY_LOG": str(self.log),
            "DVC_SITE_CACHE_DIR": str(folder.parent / "site"),
        }

    def start(self, *arguments: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "flows.cli", "ablate", "--arms", "arms.yaml", *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=300)
        return process.returncode, out + err

    def ran(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def results(self) -> list[dict]:
        path = self.folder / "docs/results.json"
        return json.loads(path.read_text()) if path.exists() else []

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=toy", "-c", "user.email=toy@example.org"]
        return subprocess.run(["git", *who, *arguments], cwd=self.folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def project(prefect_server: str, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("ablate") / "project"
    folder.mkdir()
    project = Project(folder, prefect_server)
    databases.mlflow(folder / "mlflow.db")
    project.git("init", "-q")
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], cwd=folder, check=True)
    for name in ("stages", "inserter", "models"):  # what decides a result is hashed, the toys are what runs
        (folder / name).mkdir()
        (folder / name / "README").write_text(name)
    for name in ("warmup", "pretrain", "sft", "evaluate", "register"):
        (folder / "stages" / name).mkdir()
        (folder / "stages" / name / "__init__.py").touch()
        (folder / "stages" / name / "__main__.py").write_text(f"# {name}\nNAME = {name!r}\n")
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["corpus"]["sources"] = [{"name": "own", "kind": "local", "path": "texts/*.txt"}]
    params["register"]["audio_samples"] = 0
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    for name, text in (("dvc.yaml", GRAPH), ("toy.py", STAGES), ("arms.yaml", ARMS), (".gitignore", "/texts/\n")):
        (folder / name).write_text(text)
    for name in (".gitignore", ".dvcignore"):
        with (folder / name).open("a") as file:
            file.write((ROOT / name).read_text())
    (folder / "texts").mkdir()
    (folder / "texts/own.txt").write_text("not in git")
    project.git("add", "-A")
    project.git("commit", "-qm", "toys")
    return project


def test_killed_after_the_first_arm_the_run_resumes_with_the_second(project: Project) -> None:
    sleeping = project.folder.parent / "asleep"
    sleeping.touch()
    process = project.start("main", "--seed", "1")
    while "pretrain 2 1" not in project.ran():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert [row["arm"] for row in project.results()] == ["one"]
    sleeping.unlink()
    before = len(project.ran())
    code, said = project.run("main", "--seed", "1")
    assert code == 0, said
    assert "ablate-main-one-s1: already recorded" in said and "ablate-main-two-s1: sft" in said
    assert {line.split()[1] for line in project.ran()[before:]} == {"2"}, "only the second arm"
    assert project.ran().count("warmup 1 1") == 1 and "warmup 2 1" not in project.ran(), "the warm-up is shared"
    rows = project.results()
    assert [row["arm"] for row in rows] == ["one", "two"] and all(set(row) == FIELDS for row in rows)
    two = rows[1]
    assert (two["gap_closed"], two["positions"], two["heard"], two["text_nll_drift"]) == (0.201, 2000, 0.2, 0.25)
    beside = [two[name] for name in ("cascade_gap", "heard_minus_cascade", "heard_minus_cascade_interval", "kl_base_model")]
    assert beside == [0.9, -0.1, [-0.2, 0.05], None]
    assert (two["heard_interval"], two["heard_all"], two["read_all"]) == ([0.1, 0.4], 0.75, 1.0), "mean of strict and loose"
    assert two["commit"] == project.git("rev-parse", "HEAD").strip()
    assert two["command"] == "inserter ablate main --arm two --seed 1 --arms arms.yaml", "of these arms"
    assert not list(project.folder.glob("experiments/*")), "what is recorded needs no working copy"
    prompts = [json.loads(line) for line in (project.folder / "docs/prompts.jsonl").read_text().splitlines()]
    assert [row["arm"] for row in prompts] == ["one", "two"], "what the second run recorded is added"
    assert prompts[1]["heard"] == {"a": [1.0, 1.0], "b": [0.5, 1.0]} and prompts[1]["read"] == {"a": [1.0, 1.0], "b": [1.0, 1.0]}


def test_an_arm_is_a_dvc_experiment_and_a_run_of_mlflow(project: Project) -> None:
    from mlflow import MlflowClient

    shown = subprocess.run(
        [sys.executable, "-m", "dvc", "exp", "list", "--name-only"], cwd=project.folder, capture_output=True, text=True, check=True
    )
    assert {"ablate-main-one-s1", "ablate-main-two-s1"} <= set(shown.stdout.split())
    client = MlflowClient(f"sqlite:///{project.folder}/mlflow.db")
    where = client.get_experiment_by_name("inserter-ablate")
    assert where
    runs = {run.info.run_name: run for run in client.search_runs([where.experiment_id])}
    assert set(runs) == {"main", "ablate-main-one-s1", "ablate-main-two-s1"}
    run = runs["ablate-main-two-s1"]
    assert run.data.tags["mlflow.parentRunId"] == runs["main"].info.run_id
    assert (run.data.tags["arm"], run.data.tags["group"], run.data.tags["seed"]) == ("two", "main", "1")
    assert run.data.params["pretrain.steps"] == "2" and run.data.metrics["gap_closed"] == 0.201
    assert [m.value for m in client.get_metric_history(run.info.run_id, "warmup/loss")] == [3.0, 2.0]


def test_a_failed_arm_is_reported_and_does_not_stop_the_next(project: Project) -> None:
    code, said = project.run("luck")
    assert code == 1
    assert "ablate-luck-bad-s1 stopped the run: pretrain: 13 steps bring bad luck. Take 14" in said
    assert "1 of 2 experiments failed: ablate-luck-bad-s1" in said.strip().splitlines()[-1]
    assert {row["arm"] for row in project.results() if row["group"] == "luck"} == {"good"}
    before = project.ran()
    code, said = project.run("luck", "--arm", "good")
    assert code == 0 and "already recorded" in said and project.ran() == before
    assert "bad" not in (project.folder / "docs/RESULTS.md").read_text(), "no arm, no row"


def test_the_page_is_the_same_again_and_keeps_what_is_written_around(project: Project) -> None:
    page = project.folder / "docs/RESULTS.md"
    page.write_text(page.read_text().replace("## main\n", "## main\n\nTwo is better than one.\n"))
    before = page.read_bytes()
    assert b"<!-- results: main -->" in before and b"0.201 [0.000, 1.000]" in before
    for _ in range(2):
        code, said = project.run("--tables")
        assert code == 0, said
        assert page.read_bytes() == before


def test_other_code_is_another_result(project: Project) -> None:
    code = project.folder / "stages/sft/__main__.py"
    code.write_text('"""Fine-tuning."""\n# a comment\nNAME = \'sft\'  # another\n')
    project.git("commit", "-qam", "other comments")
    _, said = project.run("--dry-run", "main", "--arm", "one")
    assert said == "", "a comment decides no result"
    code.write_text('NAME = "other"\n')
    _, said = project.run("--dry-run", "main", "--arm", "one")
    assert said == "", "what is not committed is not in the experiments"
    project.git("commit", "-qam", "other code")
    _, said = project.run("--dry-run", "main", "--arm", "one")
    assert said.startswith("ablate-main-one-s1: would run")


def test_a_wrong_parameter_is_one_line_before_anything_runs(project: Project) -> None:
    arms = (project.folder / "arms.yaml").read_text()
    wrong = project.folder / "wrong.yaml"
    wrong.write_text(arms.replace("pretrain.steps: 1", "pretrain.stepz: 1"))
    before = project.ran()
    code, said = project.run("--arms", "wrong.yaml", "main")
    assert code == 1 and project.ran() == before
    (line,) = said.strip().splitlines()
    assert line.startswith("inserter: wrong.yaml, main, one: unknown key pretrain.stepz (did you mean steps?)")


def test_three_seeds_are_a_mean_and_a_range(tmp_path: Path) -> None:
    row = dict.fromkeys(FIELDS, None) | {"group": "main", "arm": "asr", "commit": "c" * 40, "command": "inserter ablate main"}
    rows = [row | {"seed": seed, "gap_closed": gap} for seed, gap in ((3, 0.3), (1, 0.1), (2, -0.1))]
    write_page(rows, [], read_arms(), page=tmp_path / "page.md")
    (line,) = [line for line in (tmp_path / "page.md").read_text().splitlines() if line.startswith("| asr")]
    assert "0.100 (-0.100 to 0.300)" in line and "1, 2, 3" in line and "–" in line
    assert "cascade" not in (tmp_path / "page.md").read_text(), "older runs did not measure it"
    found = {"cascade_gap": 0.93, "heard_minus_cascade": -0.014, "heard_minus_cascade_interval": [-0.026, -0.003]}
    write_page([rows[0] | found], [], read_arms(), page=tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text()
    assert "heard − cascade" in text and "-0.014 [-0.026, -0.003]" in text and "KL(base" not in text


def test_arms_of_another_file_leave_the_tables_of_these_alone(tmp_path: Path) -> None:
    row = dict.fromkeys(FIELDS, None) | {"group": "main", "commit": "c" * 40, "command": "inserter ablate main", "seed": 1}
    rows, page = [row | {"arm": "asr"}, row | {"arm": "inserter", "commit": "d" * 40}], tmp_path / "page.md"
    write_page(rows, [], read_arms(), page=page)
    whole = page.read_text()
    assert "Different commits" in whole
    (tmp_path / "mine.yaml").write_text("seeded: []\nbase: {}\ngroups: {mine: {about: Mine, arms: {a: {set: {}, seeds: [1]}}}}\n")
    write_page([*rows, row | {"group": "mine", "arm": "a"}], [], read_arms(tmp_path / "mine.yaml"), page=page)
    assert page.read_text().startswith(whole.rstrip()) and "Mine." in page.read_text()


def test_the_table_of_the_larger_run_is_renewed_though_no_arm_is_named_so(tmp_path: Path) -> None:
    row = dict.fromkeys(FIELDS, None) | {"group": "experiment", "arm": "two-hours", "command": "inserter experiment", "seed": 1}
    for commit in ("c" * 40, "d" * 40):
        write_page([row | {"commit": commit}], [], read_arms(), page=tmp_path / "page.md")
    assert "d" * 12 in (tmp_path / "page.md").read_text() and "c" * 12 not in (tmp_path / "page.md").read_text()


def test_local_inputs_are_found_by_their_key_where_the_name_is_bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("bench", "data", "heart", "voices"):
        (tmp_path / name).mkdir()
    for name in ("voices/x.onnx", "voices/x.onnx.json", "ann.wav", "ann.txt"):
        (tmp_path / name).touch()
    voice = {"name": "heart", "voice": "voices/x.onnx", "speaker": "ann.wav"}
    found = set(map(str, _local({"benchmark": {"path": "bench"}, "corpus": {"path": "data"}, "synthesize": {"voices": [voice]}})))
    assert found == {"bench", "voices/x.onnx", "voices/x.onnx.json", "ann.wav", "ann.txt"}, "heart is a name, data the copy's own"


def test_arms_are_compared_prompt_by_prompt(tmp_path: Path) -> None:
    """Every second prompt is followed by all; every sixth by one of InSerter's two seeds besides."""
    row = dict.fromkeys(FIELDS, None) | {"group": "main", "commit": "c" * 40, "command": "inserter ablate main", "seed": 1}
    easy = {f"{number}": [float(number % 2), 1.0] for number in range(0, 60)}
    better = easy | {f"{number}": [1.0, 1.0] for number in range(0, 60, 6)}
    spoken = [
        {"group": "main", "arm": arm, "seed": seed, "heard": heard, "read": easy | {"once": [1.0, 1.0]} if arm == "asr" else easy}
        for arm, seed, heard in (("asr", 1, easy), ("inserter", 1, better), ("inserter", 2, easy))
    ]
    rows = [row | {"arm": "asr"}, row | {"arm": "inserter"}]
    write_page(rows, spoken, read_arms(), page=tmp_path / "page.md")
    lines = (tmp_path / "page.md").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("| inserter − asr")]
    heard, read = [cell.strip() for cell in line.split("|")[2:4]]
    low, high = map(float, heard.removeprefix("+8.3 [").removesuffix("]").split(","))
    assert heard.startswith("+8.3 [") and 0 < low < 8.3 < high, "ten of 60 by one of two seeds"
    assert read == "+0.0 [+0.0, +0.0]", "what one arm alone was asked does not count"


def test_the_gap_is_drawn_by_the_positions_until_it_was_measured(tmp_path: Path) -> None:
    """Arms that differ in fine-tuning alone have one curve. Without three points there is none."""
    plots = tmp_path / "plots"
    assert gap_by_positions(plots) == []
    write_curve(plots / "pretrain.csv", [{"step": step, "loss": 1.0, "positions": 100 + step} for step in range(4)])
    watched = [{"step": step, "gap_closed": gap, "absent": 3.0} for step, gap in ((0, 0.0), (2, 0.25), (3, None), (4, 0.5))]
    write_curve(plots / "pretrain-gap.csv", watched, ("step", "gap_closed", "absent"))
    curve = gap_by_positions(plots)
    assert curve == [(0, 0.0), (201, 0.25), (406, 0.5)]
    row = dict.fromkeys(FIELDS, None) | {"group": "main", "commit": "c" * 40, "command": "inserter ablate main", "seed": 1}
    rows = [row | {"arm": arm, "gap_by_positions": curve} for arm in ("inserter", "inserter-written")]
    page, picture = tmp_path / "page.md", tmp_path / "main.png"
    write_page([rows[0] | {"gap_by_positions": curve[:2]}], [], read_arms(), page=page)
    assert not picture.exists() and "main.png" not in page.read_text()
    write_page(rows, [], read_arms(), page=page)
    first = picture.read_bytes()
    assert "](main.png)" in page.read_text() and first.startswith(b"\x89PNG")
    write_page(rows[:1], [], read_arms(), page=page)
    assert picture.read_bytes() == first, "one curve"
    write_page([rows[0], rows[1] | {"gap_by_positions": [*curve[:2], (406, 0.4)]}], [], read_arms(), page=page)
    assert picture.read_bytes() != first


def test_the_arms_of_the_project_are_parameters_that_load() -> None:
    below = yaml.safe_load((ROOT / "params.yaml").read_text())
    chosen = select(read_arms(), [], None, seed=None)
    assert {found.group for found in chosen} >= {"main", "span", "speech_share", "adapter", "warmup", "hours"}
    assert len({found.name for found in chosen}) == len(chosen)
    params = {found.name: effective(found, below) for found in chosen}
    assert params["ablate-main-none-s1"]["pretrain"]["steps"] == 0
    assert len({params[f"ablate-main-{arm}-s1"]["warmup"]["seed"] for arm in ("none", "asr", "continuation", "inserter")}) == 1
    overlay = yaml.safe_load((ROOT / "docs/experiment.yaml").read_text()) | {"evaluate": {}}
    larger = params["ablate-larger-inserter-s1"]
    assert laid_over(larger, overlay) == larger, "the arms that are to be compared with `make experiment` are of its size"
    card = {name.split("-gpu-")[1]: each["pretrain"] for name, each in params.items() if "-one-gpu-" in name}
    positions = {name: p["steps"] * p["batch_positions"] for name, p in card.items() if p["minutes"] is None and p["steps"]}
    assert len(card) == 8 and len(positions) == 6 and len({*positions.values()}) == 1 and min(positions.values()) >= 20_000_000
    two = {name.split("-cores-")[1]: each for name, each in params.items() if "-two-cores-" in name}
    assert {each["pretrain"]["steps"] * each["pretrain"]["batch_positions"] for each in two.values()} == {0, 200_000}
    assert {each["corpus"]["words"] for each in two.values()} == {100_000} and len(two) == 8
    with pytest.raises(InserterError, match=r"no group man\. Choose one of: main"):
        select(read_arms(), ["man"], None, seed=None)
