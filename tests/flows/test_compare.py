"""Two models are compared over what both were measured on, whatever else each has seen."""

import json
from pathlib import Path

import numpy as np
import pytest
from checkout import ROOT
from click.testing import CliRunner

from flows.cli import app
from flows.compare import compare, table
from inserter.errors import InserterError
from inserter.files import write_jsonl, write_table
from inserter.params import load
from inserter.registry.tracking import connect, experiment_id
from inserter.tables import KL, LOSSES

DOCUMENTS = 60
READ = np.random.default_rng(0).uniform(5, 50, DOCUMENTS)  # documents differ tenfold in what reading helps


def results(folder: Path, gap: float, good: int, first: int = 0, forms: tuple[str, ...] = ("heard", "read")) -> Path:
    """data/evaluate of a model that closes `gap` and follows the first `good` of 30 prompts; documents from `first` on."""
    noise = np.random.default_rng(int(1000 * gap)).normal(0, 0.3, DOCUMENTS)
    rows = []
    for n in range(first, DOCUMENTS):
        gains = {"heard": gap * READ[n] + noise[n], "cascade": 0.9 * READ[n], "read": READ[n]}
        losses = {f"{how}_{whose}": 100.0 + (whose == "other") * gains[how] for how in gains for whose in ("own", "other")}
        for context, loss in {**losses, "absent": 150.0, KL: 4 * (1 - gap)}.items():
            for voice in ("seen", "unseen") if context.startswith(("heard", "cascade")) else ("seen",):
                rows.append(
                    {
                        "doc_id": f"{folder.name} {n}",
                        "content": f"c{n}",
                        "voice": voice,
                        "context": context,
                        "loss": loss,
                        "tokens": 40,
                    }
                )
    write_table(folder / "data/evaluate/losses.parquet", rows, LOSSES)
    answers = [
        {
            "task": "closed",
            "form": form,
            "lang": "en",
            "key": f"k{n}",
            "variant": variant,
            "prompt": f"p{n}",
            "instruction_id_list": ["x:y"],
            "strict": [n < good],
            "loose": [n < good],
        }
        for n in range(30)
        for variant in ("standard", "noise")
        for form in forms
    ]
    write_jsonl(folder / "data/evaluate/responses.jsonl", [*answers, {"task": "open", "form": "heard"}])
    return folder


def rows_of(a: Path, b: Path) -> dict[tuple[str, str | None], dict]:
    return {(row["figure"], row["voice"]): row for row in compare(str(a), str(b))["rows"]}


def test_pairs_show_a_small_difference_that_documents_alone_would_hide(tmp_path):
    rows = rows_of(results(tmp_path / "a", 0.80, 20), results(tmp_path / "b", 0.77, 14))
    for voice in ("seen", "unseen"):
        gap = rows["gap closed, heard", voice]
        assert gap["difference"] == pytest.approx(0.03, abs=0.01) and 0 < gap["low"] < gap["difference"] < gap["high"] < 0.06
        assert rows["gap closed, cascade", voice]["difference"] == 0.0 and gap["n"] == DOCUMENTS
    kl = rows["KL(read || heard)", "seen"]
    assert kl["a"] == pytest.approx(0.02) and kl["difference"] == pytest.approx(-0.003)
    heard = rows["instructions followed, heard", None]
    assert heard["difference"] == pytest.approx(6 / 30) and heard["n"] == 30, "a prompt is one, in however many variants"
    assert heard["low"] > 0 and heard["high"] < 0.4


def test_only_what_both_have_is_compared(tmp_path):
    rows = rows_of(results(tmp_path / "a", 0.8, 20, first=50), results(tmp_path / "b", 0.8, 20, forms=("heard", "cascade")))
    assert rows["gap closed, heard", "seen"]["n"] == 10
    assert ("instructions followed, read", None) not in rows and ("instructions followed, heard", None) in rows


def test_the_order_turns_the_sign_and_a_model_is_no_other_than_itself(tmp_path):
    a, b = results(tmp_path / "a", 0.8, 20), results(tmp_path / "b", 0.6, 14)
    there, back, same = rows_of(a, b), rows_of(b, a), rows_of(a, a)
    for name, row in there.items():
        assert row["difference"] == pytest.approx(-back[name]["difference"]) and row["low"] == pytest.approx(-back[name]["high"])
        assert (same[name]["difference"], same[name]["low"], same[name]["high"]) == (0.0, 0.0, 0.0)


def test_a_file_or_the_report_names_the_results_too(tmp_path):
    a, b = results(tmp_path / "a", 0.8, 20), results(tmp_path / "b", 0.6, 14)
    losses = compare(str(a / "data/evaluate/losses.parquet"), str(b))["rows"]
    assert losses and not any(row["unit"] == "points" for row in losses)
    (a / "reports").mkdir()
    (a / "reports/evaluate.json").write_text("{}")
    assert compare(str(a / "reports/evaluate.json"), str(b))["rows"] == compare(str(a), str(b / "data/evaluate"))["rows"]


def test_the_command_prints_a_table_or_json(tmp_path):
    a, b = str(results(tmp_path / "a", 0.8, 20)), str(results(tmp_path / "b", 0.6, 14))
    shown = CliRunner().invoke(app, ["compare", a, b])
    assert shown.exit_code == 0 and "gap closed, heard" in shown.stdout and "+20.0 [" in shown.stdout
    printed = json.loads(CliRunner().invoke(app, ["compare", a, b, "--json"]).stdout)
    assert printed == compare(a, b) and table(printed) in shown.stdout


def test_nothing_shared_and_nothing_there_are_one_line(tmp_path, monkeypatch):
    a = results(tmp_path / "a", 0.8, 20)
    empty = tmp_path / "b/data/evaluate"
    write_table(empty / "losses.parquet", [], LOSSES)
    with pytest.raises(InserterError, match="share no document and no prompt"):
        compare(str(a), str(empty))
    with pytest.raises(InserterError, match="has neither losses"):
        compare(str(a), str(tmp_path))
    with pytest.raises(InserterError, match="nowhere is not a file, a version or a run"):
        compare("nowhere", str(a))
    (empty / "losses.parquet").write_bytes(b"no parquet")
    with pytest.raises(InserterError, match=r"losses\.parquet is damaged"):
        compare(str(a), str(empty))


def test_versions_and_runs_of_the_registry(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "params.yaml").read_text()
    Path("params.yaml").write_text(text)
    with pytest.raises(InserterError, match=r"the registry .* does not exist"):
        compare("1", "2")
    register = load().register_
    client = connect(register, write=True)
    client.create_registered_model(register.model)
    for name, gap in (("a", 0.8), ("b", 0.6)):
        run = client.create_run(experiment_id(client, register)).info.run_id
        client.log_artifacts(run, str(results(tmp_path / name, gap, 20) / "data/evaluate"), "evaluate")
        version = client.create_model_version(register.model, f"runs:/{run}/model", run)
        client.set_registered_model_alias(register.model, "champion", version.version)
    wanted = compare(str(tmp_path / "a"), str(tmp_path / "b"))["rows"]
    for a, b in (("1", "@champion"), (f"models:/{register.model}/1", run), ("1", f"models:/{register.model}@champion")):
        assert compare(a, b)["rows"] == wanted
    with pytest.raises(InserterError, match="7 cannot be read"):
        compare("1", "7")


def asked(tmp_path: Path, name: str, share: int, *, form: str = "heard", task: str = "closed") -> Path:
    """The file of a system that follows `share` of 10 prompts in two variants; its answers are not scored yet, or are judged."""
    rows = []
    for key in range(10):
        good = key < share
        for variant in ("standard", "background") if task == "closed" else ("standard",):
            row = {"task": task, "form": form, "lang": "en", "key": f"k{key}", "variant": variant, "prompt": f"p{key}"}
            row |= {"id": f"{variant}-{key} {form}", "response": "None." if good else "No, none."}
            row |= {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]} if task == "closed" else {}
            rows.append(row | ({"pred_score": ['["YES", "YES"]' if good else '["YES", "NO"]']} if task == "open" else {}))
    rows.append({"task": task, "form": form, "lang": "en", "key": "failed", "variant": "standard", "prompt": "p", "error": "503"})
    return write_jsonl(tmp_path / name, rows)


def test_two_files_of_answers_are_compared_by_item(tmp_path):
    (row,) = compare(str(asked(tmp_path, "a.jsonl", 9)), str(asked(tmp_path, "b.jsonl", 4)))["rows"]
    assert (row["figure"], row["n"], row["unit"]) == ("instructions followed, heard", 10, "points")
    assert row["difference"] == pytest.approx(0.5) and 0 < row["low"] <= 0.5 <= row["high"]


def test_hearing_is_compared_with_reading(tmp_path):
    heard, read = asked(tmp_path, "a.jsonl", 4), asked(tmp_path, "b.jsonl", 6, form="read")
    (row,) = compare(str(heard), str(read))["rows"]
    assert row["figure"] == "instructions followed, heard and read" and row["difference"] == pytest.approx(-0.2)


def test_judged_answers_are_compared(tmp_path):
    a, b = asked(tmp_path, "a.jsonl", 8, task="open"), asked(tmp_path, "b.jsonl", 4, task="open")
    met, all_met = compare(str(a), str(b))["rows"]
    assert (met["figure"], met["difference"]) == ("questions met, heard", pytest.approx(0.2))
    assert (all_met["figure"], all_met["difference"]) == ("prompts with all questions met, heard", pytest.approx(0.4))
