"""Promotion on a real registry: who becomes champion, who does not, and what is written down."""

import json
from pathlib import Path

import mlflow
import pytest
from checkout import ROOT

from flows import record, versions
from flows.promotion import promote, promotion_flow, rollback
from flows.rules import compare, first
from inserter.errors import InserterError
from inserter.files import write_jsonl
from inserter.params import Params, load
from inserter.registry.tracking import RESPONSES, connect, experiment_id

KEYS, VARIANTS = 20, ("standard", "noise")
PASSED = {"gate.corpus": "passed", "gate.verify": "passed", "items": "set-1", "gap_closed": "0.6"}
BESIDE = "heard_minus_cascade.instructions"
PASSED |= {"follow.heard": "0.3", "follow.chance": "0.2", f"{BESIDE}.difference": "-0.1"}
ABOVE = "heard_minus_chance.instructions"
PASSED |= {f"{ABOVE}.difference": "0.1", f"{ABOVE}.low": "0.02", f"{ABOVE}.high": "0.18"}
PASSED |= {f"{BESIDE}.low": "-0.2", f"{BESIDE}.high": "-0.01"}


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Params:
    folder = tmp_path_factory.mktemp("promotion")
    params = load(ROOT / "params.yaml")
    register = params.register_.model_copy(update={"tracking_uri": f"sqlite:///{folder}/mlflow.db", "min_gap_closed": 0.3})
    return params.model_copy(update={"register_": register})


@pytest.fixture
def params(store, request) -> Params:
    """A registered model of the test's own."""
    register = store.register_.model_copy(update={"model": request.node.name})
    return store.model_copy(update={"register_": register})


def add(params: Params, tmp_path: Path, good: int, keys: int = KEYS, **tags: str) -> int:
    """A challenger that follows the heard instruction of the first `good` keys, and every one that it reads."""
    register = params.register_
    client = connect(register)
    run = client.create_run(experiment_id(client, register)).info.run_id
    log_answers(run, tmp_path, good, keys, RESPONSES.partition("/")[0])
    if not client.search_registered_models(f"name = '{register.model}'"):
        client.create_registered_model(register.model)
    merged = {**PASSED, **tags}
    version = client.create_model_version(register.model, f"runs:/{run}/model", run, tags=merged)
    client.set_registered_model_alias(register.model, "challenger", version.version)
    return int(version.version)


def log_answers(run: str, tmp_path: Path, good: int, keys: int, folder: str) -> None:
    rows = [
        {
            "item_id": f"{key}-{variant}",
            "key": str(key),
            "variant": variant,
            "form": form,
            "response": "x",
            "strict": [form == "read" or key < good, True],
            "loose": [True, True],
        }
        for key in range(keys)
        for variant in VARIANTS
        for form in ("heard", "read")
    ]
    rows.append({"item_id": "open", "key": "open", "variant": "standard", "form": "heard", "response": "x"})
    path = write_jsonl(tmp_path / "responses.jsonl", rows)
    mlflow.MlflowClient().log_artifact(run, str(path), folder)


def measure_again(params: Params, tmp_path: Path, version: int, good: int, items: str) -> None:
    """What `inserter evaluate` leaves beside a version."""
    found = mlflow.MlflowClient().get_model_version(params.register_.model, str(version))
    log_answers(found.run_id, tmp_path, good, KEYS, f"evaluated/{items}")
    for name, value in {"follow.heard": "0.25", "gap_closed": "None", "time": "2026-01-02T03:04:05+00:00"}.items():
        mlflow.MlflowClient().set_model_version_tag(params.register_.model, str(version), f"evaluated.{items}.{name}", value)


def champion(params: Params) -> int | None:
    aliases = mlflow.MlflowClient().get_registered_model(params.register_.model).aliases
    return int(aliases["champion"]) if "champion" in aliases else None


def tags(params: Params, version: int) -> dict[str, str]:
    return mlflow.MlflowClient().get_model_version(params.register_.model, str(version)).tags


def test_the_first_that_passes_is_champion_and_stays_so(params, tmp_path):
    add(params, tmp_path, good=10)
    result = promote(params.register_)
    assert (result["decision"], result["version"], result["alias"], result["against"]) == ("promoted", 1, "champion", None)
    assert champion(params) == 1
    before = tags(params, 1)
    assert before["promotion.decision"] == "promoted" and "gap closed 0.600" in before["promotion.reason"]
    again = promote(params.register_)
    assert (again["decision"], again["alias"]) == ("kept", "champion") and tags(params, 1) == before


def test_a_better_one_takes_the_alias_and_the_figures_are_on_record(params, tmp_path):
    add(params, tmp_path, good=8)
    promote(params.register_)
    add(params, tmp_path, good=16, **{"recordings.word_errors.heard": "0.12"})
    result = promotion_flow.fn(2, _file(params, tmp_path))
    assert (result["decision"], result["against"], champion(params)) == ("promoted", 1, 2)
    assert result["recordings.word_errors.heard"] == 0.12, "on record, whatever decides"
    # 8 of 20 keys gained, none lost: of 2^20 sign flips those with all eight up are 2^-8
    assert result["p_value"] == pytest.approx(2**-8, abs=0.003)
    assert (result["rate"], result["champion_rate"]) == (0.9, 0.7) and (result["items"], result["clips"]) == (20, 40)
    recorded = tags(params, 2)
    assert float(recorded["promotion.p_value"]) == result["p_value"] and recorded["promotion.time"] == result["time"]
    version = mlflow.MlflowClient().get_model_version_by_alias(params.register_.model, "champion")
    log = Path(mlflow.MlflowClient().download_artifacts(version.run_id, "promotion.jsonl", str(tmp_path))).read_text()
    assert [json.loads(line) for line in log.splitlines()] == [result]


@pytest.mark.parametrize("good", [4, 8, 9])
def test_a_worse_equal_or_barely_better_one_leaves_the_champion(params, tmp_path, good):
    add(params, tmp_path, good=8)
    promote(params.register_)
    add(params, tmp_path, good=good)
    result = promote(params.register_)
    assert (result["decision"], result["alias"], champion(params)) == ("kept", None, 1)
    assert result["p_value"] > 0.05 and tags(params, 2)["promotion.reason"] == result["reason"]


def test_a_failed_gate_refuses_before_anything_is_compared(params, tmp_path):
    add(params, tmp_path, good=20, **{"gate.verify": "failed"})
    result = promote(params.register_)
    assert result["decision"] == "refused" and "verify" in result["reason"] and champion(params) is None


def test_the_figures_of_the_first_decision_are_on_record(params, tmp_path):
    add(params, tmp_path, good=10)
    result = promote(params.register_)
    assert result["decision"] == "promoted" and result["follow.heard"] == 0.3 and result[f"{BESIDE}.high"] == -0.01
    points = "-10.0 points (95 % -20.0 to -1.0)"
    chance = "follows 30.0 % of the spoken instructions, chance 20.0 %: +10.0 points (95 % +2.0 to +18.0), told apart"
    for said in ("all gates passed", "gap closed 0.600", chance, points):
        assert said in tags(params, 1)["promotion.reason"]
    assert (result[f"{ABOVE}.low"], tags(params, 1)[f"promotion.{ABOVE}.high"]) == (0.02, "0.18")


@pytest.mark.parametrize(
    ("low", "said"),
    [
        ("-0.01", "+10.0 points (95 % -1.0 to +18.0), not told apart"),
        ("0.0", "+10.0 points (95 % +0.0 to +18.0), not told apart"),
        ("None", "chance 20.0 %: +10.0 points; "),
    ],
)
def test_a_first_version_above_chance_may_not_be_told_apart_from_it_and_the_reason_says_so(low, said):
    found = first(PASSED | {f"{ABOVE}.low": low}, load(ROOT / "params.yaml").register_.model_copy(update={"min_gap_closed": 0.3}))
    assert found.decision == "promoted" and said in found.reason


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"follow.heard": "0.2", f"{ABOVE}.low": "None"}, "+0.0 points, not above chance"),
        (
            {"follow.heard": "0.1", f"{ABOVE}.difference": "-0.1", f"{ABOVE}.low": "-0.2", f"{ABOVE}.high": "0.0"},
            "-10.0 points (95 % -20.0 to +0.0), not above chance",
        ),
        ({f"{BESIDE}.high": "-0.06"}, "heard minus cascade -10.0 points (95 % -20.0 to -6.0), at most 5 behind"),
        ({f"{BESIDE}.low": "None", f"{BESIDE}.high": "None"}, "heard minus cascade -10.0 points, at most 5 behind"),
        ({"gap_closed": "None"}, "did not lower the loss"),
        ({"gap_closed": "nan"}, "gap closed nan"),
    ],
)
def test_each_rule_refuses_a_first_version_by_itself(params, tmp_path, given, said):
    add(params, tmp_path, good=20, **given)
    result = promote(params.register_)
    assert result["decision"] == "refused" and said in result["reason"] and "; " not in result["reason"]
    assert champion(params) is None


def test_every_rule_that_failed_is_the_reason(params, tmp_path):
    failed = {"gate.verify": "failed", "gap_closed": "0.1", "follow.heard": "0.1", f"{BESIDE}.high": "-0.06"}
    add(params, tmp_path, good=20, **failed)
    reason = promote(params.register_)["reason"]
    for said in ("gates not passed: verify", "gap closed 0.100 against a minimum of 0.3", "not above chance", "5 behind"):
        assert said in reason
    assert tags(params, 1)["promotion.reason"] == reason


def test_an_older_version_without_these_figures_is_refused_with_the_reason():
    old = {name: value for name, value in PASSED.items() if not name.startswith(("follow", BESIDE))}
    decision = first(old, load(ROOT / "params.yaml").register_)
    assert decision.decision == "refused" and decision.reason.count("missing: ") == 2 and "dvc repro" in decision.reason
    assert first({}, load(ROOT / "params.yaml").register_).reason.startswith("no champion yet, and the version has no gate report")


def test_a_deaf_first_version_is_refused(params, tmp_path):
    add(params, tmp_path, good=20, gap_closed="0.1")
    result = promote(params.register_)
    assert result["decision"] == "refused" and "0.100" in result["reason"] and champion(params) is None


@pytest.mark.parametrize("other", [{"items": "set-2"}, {"keys": KEYS + 1}])
def test_verdicts_on_other_items_are_not_compared(params, tmp_path, monkeypatch, other):
    monkeypatch.chdir(tmp_path)  # where no benchmark is
    add(params, tmp_path, good=2)
    promote(params.register_)
    add(params, tmp_path, good=20, **other)
    result = promote(params.register_)
    assert result["decision"] == "refused" and "other benchmark items" in result["reason"] and champion(params) == 1
    assert result["reason"].endswith("run `inserter evaluate --version 1`, then `inserter promote --version 2`")


@pytest.mark.parametrize(("again", "decision", "rate"), [({1: 8}, "promoted", 0.7), ({1: 15, 2: 4}, "promoted", 0.875)])
def test_the_champions_record_on_the_items_of_the_candidate_is_compared(params, tmp_path, again, decision, rate):
    add(params, tmp_path, good=20)
    promote(params.register_)
    add(params, tmp_path, good=20, items="set-2")
    for version, good in again.items():
        measure_again(params, tmp_path, version, good, "set-3" if len(again) > 1 and version == 2 else "set-2")
    result = promote(params.register_)
    assert (result["decision"], result["champion_rate"], result["measured_on"]) == (decision, rate, "set-2")
    assert tags(params, 2)["promotion.measured_on"] == "set-2" and champion(params) == 2


def test_two_versions_of_other_items_are_compared_on_those_that_both_were_measured_on_later(params, tmp_path):
    add(params, tmp_path, good=20)
    promote(params.register_)
    add(params, tmp_path, good=2, items="set-2")
    for version, good in ((1, 8), (2, 18)):
        measure_again(params, tmp_path, version, good, "set-3")
    result = promote(params.register_)
    assert (result["decision"], result["rate"], result["measured_on"]) == ("promoted", 0.95, "set-3")


def test_a_person_moves_the_alias_with_a_reason_and_back_again(params, tmp_path, monkeypatch):
    """Back to the champion before, not to and fro between the last two."""
    monkeypatch.setattr("flows.promotion.author", lambda: "Ada")
    for good in (10, 2, 1):
        add(params, tmp_path, good=good, **({"gate.verify": "failed"} if good == 1 else {}))
    register = params.register_
    with pytest.raises(InserterError, match="a forced promotion needs a reason"):
        promote(register, 2, because=" ")
    promote(register, 1)
    assert promote(register, 2)["decision"] == "kept"
    for version in (2, 3):
        forced = promote(register, version, because="the demo needs it")
        assert (forced["decision"], forced["against"], champion(params)) == ("forced", version - 1, version)
    assert tags(params, 3).items() >= {"promotion.reason": "the demo needs it", "promotion.by": "Ada"}.items()
    gone, back = rollback(register, "it hears nothing")
    assert (gone["version"], gone["decision"], gone["alias"], back["version"], champion(params)) == (3, "withdrawn", None, 2, 2)
    assert back["reason"] == "version 3 was withdrawn: it hears nothing" and back["time"] in tags(params, 3)["withdrawn"]
    assert [decision["version"] for decision in rollback(register)] == [2, 1] and champion(params) == 1
    with pytest.raises(InserterError, match=r"no champion before version 1\. Name one: `inserter promote --version N"):
        rollback(register)
    client = mlflow.MlflowClient()
    lines = record.log(client, client.get_model_version(register.model, "2"))
    assert [line["decision"] for line in lines] == ["kept", "forced", "restored", "withdrawn"]
    refused = promote(register, 2)
    assert refused["decision"] == "refused" and "withdrawn by a rollback" in refused["reason"] and "--force" in refused["reason"]
    assert promote(register, 2, because="mended")["alias"] == "champion" and "withdrawn" not in tags(params, 2)


def test_a_rollback_passes_over_a_version_that_was_deleted(params, tmp_path):
    for _ in range(3):
        promote(params.register_, add(params, tmp_path, good=10), because="next")
    mlflow.MlflowClient().delete_model_version(params.register_.model, "2")
    assert [decision["version"] for decision in rollback(params.register_)] == [3, 1] and champion(params) == 1


def test_versions_are_listed_with_what_is_known_of_them(params, tmp_path, monkeypatch):
    lineage = {"git.commit": "0123456789abcdef", "data.data/corpus": "fedcba9876.dir", "follow.read": "0.5"}
    add(params, tmp_path, good=10, **lineage)
    promote(params.register_)
    add(params, tmp_path, good=1, **{"gate.verify": "failed"})
    promote(params.register_, because="a reason of many words " * 9)
    measure_again(params, tmp_path, 1, 3, "set-2")
    monkeypatch.chdir(Path(_file(params, tmp_path)).parent)
    second, one = versions.listed()
    assert (second["version"], second["aliases"], one["aliases"]) == (2, ["challenger", "champion"], [])
    assert one["scores"] == {"heard": 0.3, "read": 0.5, "chance": 0.2, "gap_closed": 0.6} and second["scores"]["read"] is None
    assert (one["commit"], one["items"], one["corpus"]) == ("0123456789abcdef", "set-1", "fedcba9876.dir")
    assert second["gates"] == {"corpus": "passed", "verify": "failed"} and second["decision"]["decision"] == "forced"
    assert one["evaluated"]["set-2"] == {"heard": 0.25, "read": None, "chance": None, "gap_closed": None}
    shown = versions.table([second, one])
    assert max(map(len, shown.splitlines())) <= 120 and " ".join(shown.split()).count("a reason of many words") == 9
    assert all(text in shown for text in ("0.300", "0.250", "1 of 2", "0123456", "fedcba9", "no champion yet: all gates passed"))


def test_a_later_decision_leaves_no_figure_of_an_earlier_one(params, tmp_path):
    add(params, tmp_path, good=8)
    promote(params.register_)
    add(params, tmp_path, good=8)
    promote(params.register_)
    assert "promotion.p_value" in tags(params, 2)
    mlflow.MlflowClient().set_model_version_tag(params.register_.model, "2", "gate.verify", "failed")
    promote(params.register_)
    assert tags(params, 2)["promotion.decision"] == "refused" and "promotion.p_value" not in tags(params, 2)


def test_variants_of_one_item_are_not_independent_evidence():
    """Three keys gained are three coin flips, in however many variants they were heard."""
    old = {f"{key}-{variant}": (str(key), [False]) for key in range(3) for variant in range(50)}
    new = {item: (key, [True]) for item, (key, _) in old.items()}
    assert compare(new, old, confidence=0.95, champion=1).figures["p_value"] == pytest.approx(1 / 8)


def test_no_version_says_what_to_do(params, tmp_path):
    with pytest.raises(InserterError, match=r"no challenger in the registry\. Register a model"):
        promote(params.register_)
    add(params, tmp_path, good=1)
    with pytest.raises(InserterError, match=r"no version 7\. Choose a registered version: 1"):
        promote(params.register_, 7)


def _file(params: Params, folder: Path) -> str:
    import yaml

    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(params.model_dump(mode="json", by_alias=True)))
    return str(path)
