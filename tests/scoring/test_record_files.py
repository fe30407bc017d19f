"""Our own tables are read by our own commands, in every form that they, pandas and datasets are written in."""

import csv
import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from checkout import ROOT
from datasets import Dataset
from judge_runs import run
from judge_server import OPEN, JudgeServer, bare_workspace, every

from inserter.errors import InserterError
from inserter.files import write_jsonl, write_table
from inserter.scoring import adjustment, closed, open_ended
from inserter.scoring.recordfiles import raw_records, value, write_records
from inserter.scoring.structures import instructions, structure
from inserter.tables import ITEMS

KINDS = [("punctuation:no_comma", {}), ("length_constraints:number_words", {"num_words": 4, "relation": "at least"})]
RESPONSES = ["Bread and milk now.", "Bread, milk.", "Only bread."]


@pytest.fixture(autouse=True)
def _workspace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare_workspace(monkeypatch, tmp_path)


def answers() -> list[dict[str, Any]]:
    """Three closed-ended answers with verdicts of both kinds."""
    names, kwargs = zip(*KINDS, strict=True)
    return [
        {"key": n, "prompt": f"Shop {n}.", "instruction_id_list": list(names), "kwargs": list(kwargs), "response": response}
        for n, response in enumerate(RESPONSES)
    ]


EXPECTED = {"n_prompts": 3, "strict-instruction": 3 / 6, "n_dropped": 0}


def shares(path: Path | str, mode: Any = "robust") -> dict[str, Any]:
    result = closed.score_file(path, mode)
    return {name: result[name] for name in EXPECTED}


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.json", "a.parquet"])
def test_what_is_written_is_read_again_and_scored_alike(name: str) -> None:
    write_records(name, answers())
    first = Path(name).read_bytes()
    assert shares(name) == EXPECTED
    assert write_records(name, answers()).read_bytes() == first, "the same records, the same bytes"
    moved = Path(name).rename("without-a-suffix")
    assert shares(moved) == EXPECTED, "by what it holds, not by its name"


def nested_as_text(rows: list[dict]) -> list[dict]:
    nested = ("instruction_id_list", "kwargs")
    return [{**row, **{name: json.dumps(row[name]) for name in nested}} for row in rows]


def with_every_key(rows: list[dict]) -> list[dict]:
    """As Parquet and data sets make them: each object has the keys of all, null where it has none of its own."""
    empty = dict.fromkeys(("num_words", "relation", "keywords"))
    return [{**row, "kwargs": [empty | given for given in row["kwargs"]]} for row in rows]


def in_columns(rows: list[dict]) -> list[dict]:
    return [{**row, "kwargs": {"num_words": [None, 4], "relation": [None, "at least"]}} for row in rows]


def as_pandas_floats(rows: list[dict]) -> list[dict]:
    empty = dict.fromkeys(("num_words", "relation"), float("nan"))
    floats = {"num_words": 4.0, "relation": "at least"}
    return [{**row, "kwargs": [empty, floats]} for row in rows]


FORMS = [list, nested_as_text, with_every_key, in_columns, as_pandas_floats]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_arguments_are_read_in_each_form_that_tables_give_them(form: Any) -> None:
    assert shares(write_jsonl("a.jsonl", form(answers()))) == EXPECTED


def test_frames_and_data_sets_of_others_are_scored() -> None:
    frame = pd.DataFrame(answers())
    frame.to_json("pandas.jsonl", orient="records", lines=True)
    frame.to_json("pandas.json", orient="records")
    frame.to_parquet("pandas.parquet")
    frame.to_csv("pandas.csv")
    frame.set_index("key", drop=False).to_csv("pandas.tsv", sep="\t")
    # numpy's own notation of lists, which has no commas
    pd.read_parquet("pandas.parquet").to_csv("arrays.csv", quoting=csv.QUOTE_ALL)
    pd.read_parquet("pandas.parquet").to_json("arrays.jsonl.gz", orient="records", lines=True)
    Dataset.from_list(answers()).to_parquet("datasets.parquet")
    Dataset.from_list(answers()).to_json("datasets.jsonl")
    for path in sorted(Path().glob("*.*")):
        assert shares(path) == EXPECTED, path
    assert shares("pandas.parquet", "reference") == EXPECTED


def test_numpys_lists_without_commas_do_not_grow_together() -> None:
    assert structure("['a:b' 'c:d'\n 'e:f']") == ["a:b", "c:d", "e:f"]
    assert structure("[{'n': 3} {'n': None}]") == [{"n": 3}, {"n": None}]
    assert instructions({"instruction_id_list": "('x', 'y')", "kwargs": ['{"a": 1}', None]}) == (["x", "y"], [{"a": 1}, None])
    for text in ("plain", "[", "{not: so}", "(3)", "[1, 2", ""):
        assert structure(text) == text


def items() -> list[dict[str, Any]]:
    """Of each task one, as the benchmark stage writes them, and a response."""
    blank = {
        "lang": "en",
        "variant": "standard",
        "shard": None,
        "offset": 0,
        "size": 0,
        "duration": 0.0,
        "voice": "",
        "notes": "{}",
        "instruction_id_list": [],
        "kwargs": "[]",
        "questions": [],
    }
    own = {
        "closed": {"instruction_id_list": ["punctuation:no_comma"], "kwargs": "[{}]"},
        "open": {"questions": ["Is it short?", "Is it long?"]},
        "adjustment": {},
    }
    return [
        {"item_id": task, "key": task, "task": task, "prompt": "Say it.", "clean_prompt": "Say it.", **blank, **fields}
        for task, fields in own.items()
    ]


def test_the_benchmarks_items_are_judged_and_scored_from_one_file_of_all_tasks() -> None:
    write_table("items.parquet", items(), ITEMS)
    frame = pd.read_parquet("items.parquet").assign(response="Bread.")
    frame.to_json("answers.jsonl", orient="records", lines=True)
    frame.to_parquet("answers.parquet")
    for name in ("answers.jsonl", "answers.parquet"):
        result = closed.score_file(name)
        assert (result["strict-prompt"], result["dropped"]) == (1.0, {"another task": 2})
        with JudgeServer(usual=every(OPEN)) as server:
            code, out, _ = run("open", name, "--out", "judged.parquet", server=server)
        assert code == 0 and "judged 1 of 3" in out and len(server.requests) <= 1
        scored = open_ended.score_file("judged.parquet")
        assert (scored["instruction"], scored["dropped"]) == (0.5, {"another task": 2})
    assert pd.read_parquet("judged.parquet")["pred_score"].map(len).tolist() == [0, 4, 0]


@pytest.mark.parametrize("name", ["d.jsonl", "d.jsonl.gz", "d.parquet"])
def test_details_are_summed_up_again(name: str) -> None:
    write_jsonl("a.jsonl", [*answers(), {"key": "bad"}])
    corrected = json.dumps(dict.fromkeys(adjustment.FIELDS, "YES"))
    write_jsonl("o.jsonl", [{"id": 1, "pred_score": [OPEN]}, {"id": 2}])
    write_jsonl("j.jsonl", [{"id": 1, "pred_score": [corrected]}, {"id": 2, "pred_score": ["?"]}])
    for scorer, path in ((closed, "a.jsonl"), (open_ended, "o.jsonl"), (adjustment, "j.jsonl")):
        first = scorer.score_file(path, details=name)
        assert first["n_dropped"] == 1
        assert scorer.score_file(name) == {**first, "mode": "as in the file"}


def test_a_verdict_of_the_evaluate_stage_is_taken_as_it_stands() -> None:
    verdict = open_ended.score_record({"id": "a", "pred_score": [OPEN]})
    write_jsonl("responses.jsonl", [{"id": "a", "task": "open", "judged": verdict}, {"id": "b", "task": "open", "judged": None}])
    result = open_ended.score_file("responses.jsonl")
    assert (result["n_counted"], result["dropped"]) == (1, {"not judged": 1})


def test_replies_in_a_sheet_are_replies_and_one_reply_is_one() -> None:
    pd.DataFrame([{"id": 1, "pred_score": [OPEN, OPEN]}]).to_csv("j.csv")
    assert open_ended.score_file("j.csv")["instruction"] == 0.5
    assert open_ended.score_record({"pred_score": OPEN})["votes"] == ["YES", "NO"]


def score(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "flows.cli", "score", *arguments]
    return subprocess.run(command, env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True)


def test_where_nothing_can_be_scored_the_command_fails_in_one_line() -> None:
    write_jsonl("a.jsonl", [{"key": 1}] * 3)
    done = score("closed", "a.jsonl", "--json")
    assert done.returncode == 1 and json.loads(done.stdout)["n_dropped"] == 3
    (line,) = done.stderr.strip().splitlines()
    assert "none of the 3 records" in line and "malformed record 3" in line
    done = score("open", "a.jsonl")
    assert done.returncode == 1 and "not judged 3" in done.stderr and "inserter judge" in done.stderr


def test_damaged_files_are_one_line_and_half_good_ones_keep_their_records() -> None:
    packed = gzip.compress(b'{"key": 1}\n' * 20_000)
    Path("cut.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    write_records("a.parquet", answers())
    Path("cut.parquet").write_bytes(Path("a.parquet").read_bytes()[:-9])
    for name in ("cut.jsonl.gz", "cut.parquet"):
        with pytest.raises(InserterError, match="damaged or cut short"):
            closed.score_file(name, details="details.jsonl")
    assert not Path("details.jsonl").exists()
    Path("half.jsonl").write_bytes(b'[1]\n{"key": 1\n\n' + json.dumps(answers()[0]).encode())
    assert closed.score_file("half.jsonl")["dropped"] == {"malformed record": 1, "not JSON": 1}
    with pytest.raises(InserterError, match="is not an output format"):
        closed.score_file("a.parquet", details="details.csv")


def test_sound_inside_a_table_is_left_out_and_dates_become_text() -> None:
    table = pa.table(
        {
            "id": [1],
            "audio": [{"bytes": b"RIFF", "path": "a.wav"}],
            "raw": [b"x"],
            "day": pa.array([0], pa.date32()),
            "map": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
        }
    )
    pa.parquet.write_table(table, "a.parquet")
    ((number, raw),) = raw_records("a.parquet")
    assert (number, value(raw)) == (1, {"id": 1, "audio": {"path": "a.wav"}, "day": "1970-01-01", "map": {"a": 1}})


def test_one_bad_row_costs_the_others_nothing() -> None:
    good = json.dumps(answers()[0])
    Path("array.json").write_text(f"[{good}, null, 7]")
    assert closed.score_file("array.json")["dropped"] == {"malformed record": 2}
    pd.DataFrame(nested_as_text(answers())).to_csv("a.csv", index=False)
    rows = Path("a.csv").read_bytes()
    Path("a.csv").write_bytes(rows + b"4,only two cells\n" + rows.splitlines()[1].replace(b"milk", b"caf\xe9") + b"\n")
    result = closed.score_file("a.csv")
    assert (result["n_prompts"], result["dropped"]) == (3, {"malformed record": 2})
    assert [example["error"][-32:-1].split("'")[-1] for example in result["dropped_examples"]] == [
        "2 cells for 5 columns",
        "the text is not UTF-8",
    ]


def not_utf8(*texts: bytes) -> pa.Array:
    """Text as writers that do not look at it leave it in Parquet."""
    return pa.Array.from_buffers(pa.string(), len(texts), pa.array(texts, pa.binary()).buffers())


def test_text_that_is_not_utf8_costs_its_row_of_parquet_alone() -> None:
    table = pa.table({"instruction_id_list": [["punctuation:no_comma"]] * 3, "kwargs": ["[{}]"] * 3})
    pa.parquet.write_table(table.append_column("response", not_utf8(b"Bread", b"caf\xe9", b"a, b")), "a.parquet")
    result = closed.score_file("a.parquet")
    assert (result["n_prompts"], result["strict-prompt"], result["dropped"]) == (2, 0.5, {"malformed record": 1})


def test_other_ways_to_write_the_same_records_are_read() -> None:
    frame = pd.DataFrame(nested_as_text(answers()))
    frame.to_csv("excel-in-europe.csv", sep=";", index=False)
    frame.to_csv("unicode-text.csv", sep="\t", index=False, encoding="utf-16")
    frame.to_csv("packed.csv.gz", index=False)
    lines = "\n".join(map(json.dumps, answers()))
    Path("powershell.jsonl").write_bytes(lines.encode("utf-16"))
    Path("jq.json").write_text("\n".join(json.dumps(answer, indent=2) for answer in answers()))
    for path in sorted(Path().glob("*.*")):
        assert shares(path) == EXPECTED, path


def test_a_file_without_records_is_named_by_its_kind() -> None:
    frame = pd.DataFrame(answers())
    frame.to_feather("a.feather")
    frame.to_json("a.jsonl.bz2", orient="records", lines=True)
    Path("cut.json").write_text(json.dumps(answers(), indent=1)[:-9])
    Path("comma.json").write_text("[" + ",\n".join(map(json.dumps, answers())) + ",]")
    Path("empty.json").write_text("[]")
    for name, told in (
        ("a.feather", "an Arrow file"),
        ("a.jsonl.bz2", "a bzip2 file"),
        ("cut.json", "array cannot be read"),
        ("comma.json", "array cannot be read"),
        ("empty.json", "has no records"),
    ):
        with pytest.raises(InserterError, match=told):
            closed.score_file(name)
    for name in ("b.feather", "b.csv.gz", "b.xlsx"):
        with pytest.raises(InserterError, match="is not an output format"):
            write_records(name, answers())
