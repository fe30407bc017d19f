"""The graph is DVC's: order, needs, what changed and why."""

import os
from pathlib import Path

import pytest
from checkout import ROOT
from toy_project import Toy

from flows import graph, steps
from inserter.errors import InserterError
from inserter.yaml_files import dump_yaml, read_yaml


def test_every_stage_comes_after_what_it_needs(toy: Toy) -> None:
    stages = graph.read()
    assert {stage.name for stage in stages} == {"one", "two", "other", "check@one", "gate@one"}
    seen: set[str] = set()
    for stage in stages:
        assert set(stage.needs) <= seen
        seen.add(stage.name)


def test_a_gate_comes_before_stages_that_do_not_wait_for_it(toy: Toy) -> None:
    names = [stage.name for stage in graph.read()]
    assert names.index("gate@one") < names.index("other")


def test_the_real_graph_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    stages = {stage.name: stage for stage in graph.read()}
    gates = {stage.gate for stage in stages.values() if stage.gate}
    assert {"corpus", "verify", "interleave", "benchmark"} <= gates
    assert "gate@corpus" in stages["segment"].needs
    before_evaluate = {stage.name for stage in graph.upstream(list(stages.values()), ["evaluate"])}
    assert {"corpus", "synthesize", "pretrain", "sft", "gate@benchmark"} <= before_evaluate
    assert "register" not in before_evaluate


def test_changes_name_the_parameter(toy: Toy) -> None:
    assert set(graph.changes()) == {"one", "two", "other", "check@one", "gate@one"}
    assert graph.recorded() == set()
    steps.run("other")
    assert graph.changes("other") == {}
    assert graph.recorded() == {"other"}
    toy.set(other="new")
    assert graph.changes("other") == {"other": ["other modified"]}


LOOKING = """
stages:
  sources:
    cmd: python -m stages.sources
    always_changed: true
    outs: [data/sources]
    metrics: [reports/sources.json]
  after:
    cmd: cp data/sources/corpus.json data/after
    deps: [data/sources/corpus.json]
    outs: [data/after]
"""


def test_a_stage_that_always_runs_is_a_change_only_if_the_sources_hold_something_else(toy: Toy) -> None:
    (toy.folder / "dvc.yaml").write_text(LOOKING)
    text = toy.folder / "text"
    text.mkdir()
    (text / "one.txt").write_text("One.")
    raw = read_yaml("params.yaml")
    raw["corpus"]["sources"] = [{"name": "mine", "kind": "local", "path": "text"}]
    (toy.folder / "params.yaml").write_text(dump_yaml(raw))
    assert set(graph.changes()) == {"sources", "after"}
    steps.run("sources")
    steps.run("after")
    assert graph.changes() == {}
    os.utime(text / "one.txt", (0, 0))
    assert graph.changes() == {}, "touched"
    (text / "two.txt").write_text("Two.")
    assert graph.changes() == {"sources": ["corpus.sources mine: 1 files are 2 now"]}
    steps.run("sources")
    assert graph.changes() == {"after": ["data/sources/corpus.json modified"]}


def test_targets(toy: Toy) -> None:
    stages = graph.read()
    assert [stage.name for stage in graph.upstream(stages, ["check"])] == ["one", "check@one"]
    with pytest.raises(InserterError, match=r"no stage tow\. Choose one of: .*two"):
        graph.upstream(stages, ["tow"])


def test_outside_a_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InserterError, match=r"not a DVC workspace .*Run from the folder of dvc.yaml"):
        graph.read()


def test_the_stage_register_never_comes_from_the_run_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restored, reports/register.json would speak of a version that the registry does not have."""
    monkeypatch.chdir(ROOT)
    from dvc.repo import Repo

    with Repo() as repo:
        (out,) = repo.stage.get_target("register").outs
    assert out.persist, "what DVC asks before it restores a stage"


def test_a_prefect_server_that_is_not_there_is_one_line() -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.server import api, free_port

    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{free_port()}/api"}):
        with pytest.raises(InserterError, match=r"no Prefect server answers at .* unset PREFECT_API_URL"), api():
            raise AssertionError("it does not begin")
