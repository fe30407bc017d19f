"""A small finished workspace is registered in a real MLflow on SQLite; a second time, and after a kill, nothing doubles."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pytest
import training_runs
import yaml
from checkout import ROOT

from flows import evaluated
from flows.export import export
from inserter.audio.clips import flac, write_shard
from inserter.errors import InserterError
from inserter.files import publish, read_json, read_jsonl, read_table, write_json, write_jsonl, write_table
from inserter.params import Params, load
from inserter.tables import ITEMS
from stages.evaluate import transcripts
from stages.register.inputs import items_fingerprint, lineage, read_inputs
from stages.register.runs import flatten, live_run, log_stages
from stages.register.samples import choose
from stages.register.stage import close_runs, main

VARIANTS = ("standard", "noise")


def workspace(root: Path, model: Path, database: Path, **assets: Path) -> None:
    """What the stages before `register` leave, small."""
    shutil.copytree(model, root / "data/sft/model")
    wave = (0.1 * np.sin(np.arange(4_000) / 7)).astype(np.float32)
    names = [f"{key}-{variant}" for key in range(3) for variant in VARIANTS]
    index = write_shard(root / "data/benchmark/clips-00000.tar", [(name, flac(wave)) for name in names])
    items = [
        {
            "item_id": name,
            "key": name.partition("-")[0],
            "task": "closed",
            "lang": "en",
            "variant": name.partition("-")[2],
            "prompt": "Answer in lower case.",
            "clean_prompt": "Answer in lower case.",
            "instruction_id_list": ["change_case:english_lowercase"],
            "kwargs": "[{}]",
            "shard": "clips-00000.tar",
            "offset": index[name][0],
            "size": index[name][1],
            "duration": 0.25,
            "voice": "heart",
            "notes": "{}",
        }
        for name in names
    ]
    write_table(root / "data/benchmark/items.parquet", items, ITEMS)
    responses = [
        {
            "item_id": row["item_id"],
            "key": row["key"],
            "variant": row["variant"],
            "form": form,
            "response": f"{form} yes",
            "strict": [True],
            "loose": [True],
        }
        for row in items
        for form in ("heard", "read")
    ]
    write_jsonl(root / "data/evaluate/responses.jsonl", responses)
    shares = {"prompt": 0.5, "instruction": 0.75}
    cell = {"mean": shares, "interval": {"mean": {"instruction": [0.6, 0.9]}}, "n_prompts": 3}
    heard, cascade = ({"variant": "all", "form": form} for form in ("heard", "cascade"))
    pair = {"lang": "en", "a": heard, "b": cascade, "difference": -0.1, "interval": [-0.2, 0.05], "p_value": 0.2, "n_prompts": 3}
    noisy = {**pair, "b": {"variant": "standard", "form": "heard"}, "interval": None}
    scores = {"gap_closed": 0.61, "speechinstructbench": {"closed": {"en": {"standard": {"heard": cell}}}}}
    standard = {**pair, "a": heard | {"variant": "standard"}, "b": cascade | {"variant": "standard"}, "difference": -0.3}
    by_chance = {**standard, "b": {"variant": "standard", "form": "chance"}, "difference": 0.096, "interval": [-0.01, 0.195]}
    scores["comparisons"] = [pair, noisy, standard, by_chance]
    scores["heard_minus_cascade"] = {"difference": -0.2, "low": -0.3, "high": -0.1}
    errors = {"heard": {"errors": 3, "share": 0.12, "interval": [0.05, 0.2]}, "asr": None, "difference": None}
    scores["recordings"] = {"clips": 9, "hours": 0.5, "refused": {}, "word_errors": errors, "answers": None}
    write_json(root / "data/evaluate/losses.parquet", "any bytes")
    write_json(root / "reports/evaluate.json", scores)
    write_json(root / "reports/pretrain.json", {"loss": {"first": 5.0, "last": 2.5}, "note": "no metric", "from": {"version": 4}})
    samples = [{"seconds": 2.0 * n, "rss_mb": 100.0 + n, "cpu_percent": 50.0} for n in range(3)]
    write_json(root / "reports/system/pretrain.json", {"wall_seconds": 6.0, "peak_rss_mb": 102.0, "samples": samples})
    (root / "reports/plots").mkdir()
    (root / "reports/plots/pretrain.csv").write_text("step,loss,phase,gap\n1,5.0,warmup,\n2,3.0,main,0.1\n3,2.5,main,0.2\n")
    (root / "reports/plots/pretrain-gap.csv").write_text("step,gap_closed\n0,0.1\n3,0.4\n")
    (root / "reports/plots/pretrain-later.csv").write_text("step,gap_closed\n")
    found = {"table": "clean", "expectation": "expect_table_row_count_to_be_between", "passed": True, "limit": {"min": 1}}
    write_json(root / "reports/gates/corpus.json", {"stage": "corpus", "passed": True, "rows": 9, "expectations": [found]})
    outs = [{"path": "data/pretrain", "md5": "0123456789abcdef0123456789abcdef.dir"}]
    lock = {"pretrain": {"cmd": "python -m stages.pretrain", "outs": outs}, "gate@corpus": {"cmd": "python -m stages.gate"}}
    lock["corpus"] = {"cmd": "c", "outs": [{"path": "data/corpus", "md5": "fedcba9876543210fedcba9876543210.dir"}]}
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": lock | {"register": {"cmd": "x"}}}))
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["register"] |= {"tracking_uri": f"sqlite:///{database}", "audio_samples": 2}
    params["assets"] |= {name: str(folder) for name, folder in assets.items()}
    params["warmup"]["adapter"] |= {"kind": "soft_token", "hidden_size": 32}
    (root / "params.yaml").write_text(yaml.safe_dump(params))


@pytest.fixture(scope="module")
def registered(tiny_model, tiny_lm, tiny_encoder, tmp_path_factory):
    """(workspace, its parameters, the metrics of the first registration)."""
    root = tmp_path_factory.mktemp("register")
    workspace(root, tiny_model, root / "mlflow.db", lm=tiny_lm, encoder=tiny_encoder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("PREFECT__FLOW_RUN_ID", "run-7")
        params = load()
        yield root, params, main(params)


@pytest.fixture
def here(registered, monkeypatch) -> tuple[Params, dict]:
    monkeypatch.chdir(registered[0])
    return registered[1:]


def client() -> mlflow.MlflowClient:
    return mlflow.MlflowClient()


def parents() -> list:
    runs = client().search_runs([client().get_experiment_by_name("inserter").experiment_id])
    return [run for run in runs if "mlflow.parentRunId" not in run.data.tags]


def test_a_version_with_its_lineage_is_the_challenger(here):
    _, metrics = here
    version = client().get_model_version_by_alias("inserter", "challenger")
    inputs = read_inputs()
    assert metrics == {"model": "inserter", "version": 1, "alias": "challenger", "fingerprint": inputs.fingerprint}
    assert int(version.version) == 1
    assert version.tags.items() >= lineage(inputs).items()
    assert version.tags["gate.corpus"] == "passed" and version.tags["gap_closed"] == "0.61"
    assert version.tags["data.data/pretrain"] == "0123456789abcdef0123456789abcdef.dir"
    assert {"dvc.pretrain", "dvc.gate.corpus"} <= set(version.tags) and "dvc.register" not in version.tags
    assert version.tags["pretrain.from.version"] == "4"
    assert version.tags["git.commit"] == "unknown"  # there is no repository here
    assert version.tags["licence.voices"].startswith("heart: Apache-2.0; ") and version.tags["prefect.flow_run"] == "run-7"
    assert "Hearing gives 0.610 of what reading gives (gap closed)." in version.description
    assert "Instructions followed: 75.0 % heard" in version.description and "All 1 gates passed." in version.description


def test_the_run_names_its_data_and_the_model_has_the_scores(here):
    run = parents()[0]
    found = {used.dataset.name: used for used in run.inputs.dataset_inputs}
    digests = {name: (used.dataset.digest, json.loads(used.dataset.source)["uri"]) for name, used in found.items()}
    assert digests["benchmark"] == (read_inputs().items, "data/benchmark")
    assert digests["corpus"] == ("fedcba9876543210fedcba9876543210.dir", "data/corpus") and set(digests) == {"benchmark", "corpus"}
    assert {tag.key: tag.value for tag in found["corpus"].tags} == {"mlflow.data.context": "training"}
    (model,) = client().search_logged_models([run.info.experiment_id])
    assert {metric.key: metric.value for metric in model.metrics}["gap_closed"] == 0.61


def test_what_the_model_does_beside_its_cascade_is_in_the_tags_and_the_files_beside_the_verdicts(here):
    version = client().get_model_version("inserter", "1")
    assert version.tags["follow.heard"] == "0.75" and version.tags["follow.chance"] == "None"
    assert version.tags["heard_minus_cascade.instructions.difference"] == "-0.3"
    assert version.tags["heard_minus_cascade.gap.high"] == "-0.1"
    found = {end: version.tags[f"heard_minus_chance.instructions.{end}"] for end in ("difference", "low", "high")}
    assert found == {"difference": "0.096", "low": "-0.01", "high": "0.195"}
    kept = {file.path for file in client().list_artifacts(version.run_id, "evaluate")}
    assert kept == {"evaluate/responses.jsonl", "evaluate/losses.parquet", "evaluate/evaluate.json"}


def test_comparisons_have_names_and_intervals_in_the_run(here):
    metrics = parents()[0].data.metrics
    pair = {name: metrics[f"comparisons.en.all.heard-cascade.{name}"] for name in ("difference", "low", "high", "p_value")}
    assert pair == {"difference": -0.1, "low": -0.2, "high": 0.05, "p_value": 0.2}
    assert metrics["comparisons.en.standard.heard-chance.low"] == -0.01
    assert metrics["comparisons.en.all-standard.heard.difference"] == -0.1
    assert "comparisons.en.all-standard.heard.low" not in metrics, "not measured"


def test_recordings_of_people_are_metrics_with_intervals_and_tags(here):
    metrics = parents()[0].data.metrics
    found = {name: metrics[f"recordings.word_errors.heard.{name}"] for name in ("share", "low", "high")}
    assert found == {"share": 0.12, "low": 0.05, "high": 0.2}
    tags = client().get_model_version("inserter", "1").tags
    assert tags["recordings.word_errors.heard"] == "0.12" and "recordings.word_errors.asr" not in tags, "not measured"


def test_every_stage_with_a_report_has_a_nested_run(here):
    parent = parents()[0]
    nested = client().search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    stages = {run.data.tags["stage"]: run for run in nested}
    assert set(stages) == {"pretrain", "evaluate"}
    pretrain = stages["pretrain"]
    assert pretrain.data.metrics["loss.last"] == 2.5 and "note" not in pretrain.data.metrics
    assert float(pretrain.data.params["optimizer.lm_lr"]) == load().pretrain.optimizer.lm_lr
    assert pretrain.data.tags["dvc.stage_hash"] == client().get_model_version("inserter", "1").tags["dvc.pretrain"]
    curve = client().get_metric_history(pretrain.info.run_id, "curve/loss")
    assert [(m.step, m.value) for m in curve] == [(1, 5.0), (2, 3.0), (3, 2.5)]
    assert [m.step for m in client().get_metric_history(pretrain.info.run_id, "curve/gap")] == [2, 3]
    gap = client().get_metric_history(pretrain.info.run_id, "gap/gap_closed")
    assert [(m.step, m.value) for m in gap] == [(0, 0.1), (3, 0.4)]
    memory = client().get_metric_history(pretrain.info.run_id, "system/memory_rss_megabytes")
    assert [m.value for m in memory] == [100.0, 101.0, 102.0] and memory[1].timestamp - memory[0].timestamp == 2000
    assert pretrain.info.end_time - pretrain.info.start_time == 6000
    assert {f.path for f in client().list_artifacts(pretrain.info.run_id, "plots")} == {
        "plots/pretrain.csv",
        "plots/pretrain.png",
        "plots/pretrain-gap.csv",
        "plots/pretrain-gap.png",
        "plots/pretrain-later.csv",
    }


def test_the_run_keeps_verdicts_gates_samples_and_files(here, tmp_path):
    run = parents()[0]
    assert run.info.status == "FINISHED"
    assert run.data.params["segment.word.min_words"] == "5" and run.data.params["corpus.sources.0.name"] == "sotu"
    folder = Path(client().download_artifacts(run.info.run_id, "", str(tmp_path)))
    assert (folder / "evaluate/responses.jsonl").read_bytes() == Path("data/evaluate/responses.jsonl").read_bytes()
    assert (folder / "dvc.lock").exists() and (folder / "params.yaml").exists()
    gates = read_json(folder / "gates.json")
    assert dict(zip(gates["columns"], gates["data"][0], strict=True))["table"] == "clean"
    scores = read_json(folder / "benchmark.json")
    row = dict(zip(scores["columns"], scores["data"][0], strict=True))
    assert (row["variant"], row["form"], row["share"], row["low"], row["n"]) == ("standard", "heard", 0.75, 0.6, 3)
    table = read_json(folder / "audio.json")
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    assert {row["variant"] for row in rows} == set(VARIANTS) and {row["answer"] for row in rows} == {"heard yes"}
    assert all((folder / row["file"]).read_bytes()[:4] == b"fLaC" for row in rows)


def test_a_version_has_the_folder_of_an_export_and_is_exported_with_its_own_reports(here, tmp_path):
    """The reports here belong to another training by then."""
    kept = Path(mlflow.artifacts.download_artifacts("models:/inserter/1")) / "artifacts/model"
    assert read_json(kept / "config.json")["auto_map"]["AutoModel"] == "modeling.InserterForConditionalGeneration"
    assert (kept / "modeling.py").is_file() and "## Scores" in (kept / "README.md").read_text()
    assert not list(Path(".work").rglob("modeling.py"))
    reported = Path("reports/evaluate.json").read_bytes()
    write_json("reports/evaluate.json", {"gap_closed": 0.1})
    try:
        files = export(tmp_path / "out", "models:/inserter@challenger")
    finally:
        Path("reports/evaluate.json").write_bytes(reported)
    assert set(files) == {path.name for path in kept.iterdir()}
    card, version = (tmp_path / "out/README.md").read_text(), client().get_model_version("inserter", "1")
    assert "| inserter version 1 |" in card and "0.610" in card and version.tags["git.commit"] in (*card.split("`"), "unknown")
    with pytest.raises(InserterError, match=r"models:/inserter@nix cannot be had.*`inserter status` shows the versions"):
        export(tmp_path / "none", "models:/inserter@nix")


def test_the_version_is_the_trained_model_on_the_disk_and_outlives_it(here, tmp_path):
    kept = Path(mlflow.artifacts.download_artifacts("models:/inserter/1")) / "artifacts/model/model.safetensors"
    trained = Path("data/sft/model/model.safetensors")
    assert kept.samefile(trained)
    content = trained.read_bytes()
    later = shutil.copytree("data/sft", tmp_path / "sft")
    (later / "model/model.safetensors").write_bytes(b"of the next training")
    publish(later, "data/sft")
    assert kept.read_bytes() == content
    trained.unlink()
    shutil.copyfile(kept, trained)


@pytest.fixture
def today(here, tiny_lm, tiny_encoder, tmp_path, monkeypatch) -> Path:
    """A workspace with other items and another LM than those of version 1, and the registry of version 1."""
    params, _ = here
    folder = training_runs.workspace(tmp_path / "today", tiny_lm, tiny_encoder)
    shutil.copytree("data/benchmark", folder / "data/benchmark")
    monkeypatch.chdir(folder)
    items = read_table("data/benchmark/items.parquet", ITEMS)
    write_table("data/benchmark/items.parquet", items[2:], ITEMS)
    raw = yaml.safe_load(Path("params.yaml").read_text())
    raw["register"] = params.register_.model_dump(mode="json")
    raw["evaluate"] |= {"forms": ["heard", "read"], "max_new_tokens": 4, "precision": "fp32"}
    raw["assets"] |= {"lm": "no/such", "asr": str(tiny_encoder)}
    Path("params.yaml").write_text(yaml.safe_dump(raw))
    return folder


def test_a_version_is_measured_on_the_items_of_today_with_its_own_parts_and_resumes(today, tmp_path, monkeypatch):
    def files() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in today.rglob("*") if path.is_file() and ".work" not in path.parts}

    monkeypatch.setattr(transcripts, "ordered_map", lambda work, tasks, _: map(work, tasks))  # without processes: 9 s of CPU
    before, items = files(), items_fingerprint()
    looked = iter([items, "others"])
    with monkeypatch.context() as patch:
        patch.setattr(evaluated, "items_fingerprint", lambda: next(looked))
        with pytest.raises(InserterError, match="data/benchmark has changed meanwhile"):
            evaluated.evaluate(1)
    assert evaluated.recorded(client().get_model_version("inserter", "1").tags) == []
    kept = {path: path.stat().st_mtime_ns for path in Path(".work/versions").rglob("answers heard/*.json")}
    measured = []
    remove = shutil.rmtree
    monkeypatch.setattr(evaluated.shutil, "rmtree", lambda folder, **_: measured.append(folder))
    found = evaluated.evaluate(1)
    assert kept and {path: path.stat().st_mtime_ns for path in kept} == kept, "what was answered is not answered again"
    version = client().get_model_version("inserter", "1")
    assert found["items"] == items != version.tags["items"] and evaluated.recorded(version.tags) == [items]
    assert float(found["follow.read"]) >= 0 and found["follow.cascade"] == "None" and version.tags["gap_closed"] == "0.61"
    folder = Path(client().download_artifacts(version.run_id, found["files"]))
    assert {row["key"] for row in read_jsonl(folder / "responses.jsonl")} == {"1", "2"}
    assert read_json(folder / "evaluate.json")["items"] == {"answered": 4, "of": 4} and (folder / "losses.parquet").is_file()
    for folder in measured:
        remove(folder)
    assert evaluated.evaluate(1) == found and files() == before and not list(Path(".work/versions").iterdir())
    with pytest.raises(InserterError, match=r"no champion in the registry\. Name a version"):
        evaluated.evaluate()


def test_the_same_inputs_make_no_second_version(here):
    params, metrics = here
    assert main(params) == metrics
    assert len(client().search_model_versions("name = 'inserter'")) == 1 and len(parents()) == 1


def test_a_registration_that_was_killed_is_failed_and_done_again(here, tiny_model, tmp_path, monkeypatch):
    """Another model in its own workspace, same registry: killed while the version is written, then run again."""
    params, _ = here
    workspace(tmp_path, tiny_model, Path(params.register_.tracking_uri.removeprefix("sqlite:///")))
    write_json(tmp_path / "reports/evaluate.json", {"gap_closed": 0.7})
    monkeypatch.chdir(tmp_path)
    killed = (
        "import mlflow, os, signal\n"
        "mlflow.register_model = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from inserter.params import load\nfrom stages.register.stage import main\nmain(load())\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", killed], env=environment, capture_output=True).returncode == -9
    before = client().search_model_versions("name = 'inserter'")
    metrics = main(load())
    assert metrics["version"] == len(before) + 1
    key = metrics["fingerprint"]
    runs = client().search_runs([parents()[0].info.experiment_id], f"tags.fingerprint = '{key}'")
    top = {run.info.status: run for run in runs if "mlflow.parentRunId" not in run.data.tags}
    assert set(top) == {"FINISHED", "FAILED"} and not [run for run in runs if run.info.status == "RUNNING"]
    assert top["FAILED"].data.tags["superseded_by"] == top["FINISHED"].info.run_id
    assert int(client().get_model_version_by_alias("inserter", "challenger").version) == metrics["version"]


def test_what_a_version_is_made_of_decides_the_fingerprint(here):
    key = read_inputs().fingerprint
    report, weights = Path("reports/pretrain.json"), Path("data/sft/model/config.json")
    kept = report.read_bytes(), weights.read_bytes()
    try:
        report.write_text("{}")
        assert read_inputs().fingerprint == key  # the model is the same
        weights.write_bytes(kept[1] + b"\n")
        assert read_inputs().fingerprint != key
    finally:
        report.write_bytes(kept[0])
        weights.write_bytes(kept[1])


def test_git_state_is_recorded_and_the_runs_own_files_do_not_make_it_dirty(here, tmp_path, monkeypatch):
    for folder in ("data", "reports"):
        shutil.copytree(folder, tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    Path("code.py").write_text("x = 1\n")
    Path("dvc.lock").write_text("{}\n")
    for command in ("init -q", "add code.py dvc.lock reports", "-c user.name=a -c user.email=a@b commit -qm first"):
        subprocess.run(["git", *command.split()], check=True)
    Path(".gitignore").write_text("/data\n")
    subprocess.run(["git", "add", ".gitignore"], check=True)
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "second"], check=True)
    Path("dvc.lock").write_text("{stages: {}}\n")
    assert len(read_inputs().commit) == 40 and read_inputs().dirty == "false"
    Path("code.py").write_text("x = 2\n")
    assert read_inputs().dirty == "true"


@pytest.mark.parametrize("missing", ["data/sft/model/config.json", "data/evaluate/responses.jsonl", "reports/evaluate.json"])
def test_a_missing_input_names_itself_and_the_remedy(here, tmp_path, monkeypatch, missing):
    for folder in ("data", "reports"):
        shutil.copytree(folder, tmp_path / folder)
    (tmp_path / missing).unlink()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InserterError, match=f"{missing} is missing. Run `dvc repro`"):
        read_inputs()


def test_a_store_that_mlflow_refuses_is_one_line(here):
    params, _ = here
    bad = params.model_copy(update={"register_": params.register_.model_copy(update={"tracking_uri": "file:./mlruns"})})
    with pytest.raises(InserterError, match=r"sqlite:///FILE\.db"):
        main(bad)


def test_when_artifacts_cannot_be_written_there_is_no_version_and_one_line(here, tmp_path):
    params, _ = here
    (tmp_path / "a-file").write_text("where a folder should be")
    client().create_experiment("blocked", artifact_location=(tmp_path / "a-file/artifacts").as_uri())
    register = params.register_.model_copy(update={"experiment": "blocked", "model": "blocked"})
    with pytest.raises(InserterError, match=r"Free space in .*a-file"):
        main(params.model_copy(update={"register_": register}))
    assert not client().search_model_versions("name = 'blocked'")
    runs = client().search_runs([client().get_experiment_by_name("blocked").experiment_id])
    assert [run.info.status for run in runs] == ["FAILED"]


def test_samples_cover_the_variants_whatever_the_order():
    items = [{"item_id": f"{k}-{v}", "variant": v, "shard": "s" if k else None} for k in range(4) for v in "abc"]
    chosen = choose(items, 3, seed=1)
    assert {row["variant"] for row in chosen} == set("abc") and all(row["shard"] for row in chosen)
    assert choose(items[::-1], 3, seed=1) == chosen


def test_flatten_keeps_plain_lists_whole():
    value = {"a": [1, 2], "b": [{"c": 1}, {"c": 2}], "wer > 0.3": 1}
    assert dict(flatten(value)) == {"a": [1, 2], "b.0.c": 1, "b.1.c": 2, "wer _ 0.3": 1}


def test_the_run_of_a_stage_names_the_live_run_of_its_training_and_nothing_else_touches_that(here):
    params, _ = here
    experiment = client().get_experiment_by_name("inserter").experiment_id
    tags = {"kind": "live", "stage": "pretrain"}
    live, other = (client().create_run(experiment, tags=tags | {"key": key}).info.run_id for key in ("0123abcd", "4567ef00"))
    parent = client().create_run(experiment).info.run_id
    assert live_run(client(), experiment, "pretrain") is None, "no published work"
    write_json(Path(".work/pretrain/0123abcd/published.done.json"), {})
    log_stages(client(), parent, experiment, params=params, inputs=read_inputs())
    nested = client().search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent}'")
    links = {run.data.tags["stage"]: run.data.tags.get("live_run") for run in nested}
    assert links == {"pretrain": live, "evaluate": None}
    close_runs(client(), experiment, read_inputs().fingerprint, kept=parents()[0].info.run_id)
    assert {client().get_run(run).info.status for run in (live, other)} == {"RUNNING"}
    assert main(params)["version"] == 1, "these inputs are registered already"
    for run in (live, other, parent, *(run.info.run_id for run in nested)):
        client().delete_run(run)
