"""The gates: tables that are right pass; each thing that can be wrong is named with its count, its ids and a remedy."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.check.check import check
from stages.common.files import read_json, read_table, write_json, write_jsonl, write_table
from stages.common.ifeval import CHECKS
from stages.common.params import Params, load
from stages.common.tables import DOCUMENTS, HELDOUT, ITEMS, SEQUENCES, SPANS, UTTERANCES, VERIFIED

ROOT = Path(__file__).parents[2]
SHARD = bytes(1000)
TABLES = {
    "data/corpus/documents-00000.parquet": DOCUMENTS,
    "data/segment/spans.parquet": SPANS,
    "data/synthesize/utterances.parquet": UTTERANCES,
    "data/verify/clean.parquet": VERIFIED,
    "data/verify/quarantine.parquet": VERIFIED,
    "data/interleave/sequences.parquet": SEQUENCES,
    "data/interleave/heldout.parquet": HELDOUT,
    "data/benchmark/items.parquet": ITEMS,
}
DOCS, SPEECH, UTTS, CLEAN, QUARANTINE, SEQS, HELD, BENCH = TABLES


@pytest.fixture
def params() -> Params:
    loaded = load(ROOT / "params.yaml")
    corpus = loaded.corpus.model_copy(update={"heldout_documents": 2})
    return loaded.model_copy(update={"corpus": corpus})


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten small tables that pass every gate."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    for path, rows in _good().items():
        write_table(path, rows, TABLES[path])
    for stage in ("synthesize", "benchmark"):
        (tmp_path / "data" / stage / "shard-00000.tar").write_bytes(SHARD)
    dropped = {"decontaminated": 1, "not_sampled": 7}
    write_json("reports/corpus.json", {"documents": {"in": 20, "kept": 12, "dropped": dropped}, "decontaminated": 1})
    write_jsonl("data/benchmark/prompts.jsonl", [{"key": "0", "prompt": "Write a poem about the sea in ten words."}])
    absent = dict.fromkeys(("accent", "paralinguistics", "disfluency"), "no such voice")
    write_json("reports/benchmark.json", {"read": 51, "quarantined": {"total": 1, "silent": 1}, "absent": absent})
    return tmp_path


def _good() -> dict[str, list[dict]]:
    documents = [_document(n) for n in range(12)]
    clips = [_clip(n) for n in range(20)]
    measured = {
        "heard": "so",
        "wer": 0.0,
        "level_db": -20.0,
        "clipping": 0.0,
        "silence": 0.1,
        "pace": 15.0,
        "reason": None,
    }
    verified = [{**clip, **measured} for clip in clips]
    kinds = ["interleaved"] * 4 + ["transcribe", "transcribe", "continue"] + ["text"] * 3
    return {
        DOCS: documents,
        SPEECH: [_span(clip) for clip in clips],
        UTTS: clips,
        CLEAN: verified[:19],
        QUARANTINE: [{**verified[19], "wer": 0.9, "reason": "wer 0.90 > 0.35"}],
        SEQS: [_sequence(n, kind) for n, kind in enumerate(kinds)],
        HELD: [_context(10, 11), _context(11, 10)],
        BENCH: [
            _item(kind, n, variant) for n, kind in enumerate(sorted(CHECKS)) for variant in ("standard", "background")
        ],
    }


def _document(n: int) -> dict:
    split = "heldout" if n >= 10 else "train"
    return {
        "doc_id": f"d{n}",
        "source": "sotu",
        "license": "MIT",
        "split": split,
        "text": "word " * 100,
        "n_words": 100,
    }


def _span(clip: dict) -> dict:
    return {**{name: clip[name] for name in SPANS.names if name in clip}, "level": "word", "start": 0, "end": 2}


def _clip(n: int) -> dict:
    place = {"shard": "shard-00000.tar", "offset": 40 * n, "size": 40}
    text = {"utt_id": f"u{n}", "doc_id": f"d{n % 10}", "split": "train", "written": "so", "spoken": "so"}
    return {
        **text,
        "engine": "hibari",
        "voice": "heart",
        **place,
        "sample_rate": 16000,
        "n_samples": 16000,
        "duration": 1.0,
    }


def _sequence(n: int, kind: str) -> dict:
    spoken = [{"text": "so", "utt_id": f"u{n}", "loss": False}] if kind != "text" else []
    parts = [*spoken, {"text": "it goes on", "utt_id": None, "loss": True}]
    return {"seq_id": f"s{n}", "doc_id": f"d{n}", "kind": kind, "parts": parts, "n_words": 4}


def _context(n: int, other: int) -> dict:
    return {
        "doc_id": f"d{n}",
        "utt_id": f"u{n}",
        "context": "what was heard",
        "continuation": "what follows",
        "other_doc_id": f"d{other}",
    }


def _item(kind: str, n: int, variant: str) -> dict:
    text = {
        "task": "closed",
        "lang": "en",
        "prompt": "Write.",
        "clean_prompt": "Write.",
        "kwargs": "[{}]",
        "notes": "{}",
    }
    place = {"shard": "shard-00000.tar", "offset": n, "size": 40, "duration": 1.0, "voice": "heart"}
    ids = {"item_id": f"{n}-{variant}", "key": str(n), "variant": variant, "instruction_id_list": [kind]}
    return {**text, **place, **ids}


def _edit(path: str, change: Callable[[list[dict]], object]) -> None:
    rows = read_table(path, TABLES[path])
    change(rows)
    write_table(path, rows, TABLES[path])


def _set(n: int, **values: object) -> Callable[[list[dict]], object]:
    return lambda rows: rows[n].update(values)


def _parts(text: str, utt_id: str | None, loss: bool) -> Callable[[list[dict]], object]:
    return _set(1, parts=[{"text": text, "utt_id": utt_id, "loss": loss}])


def _drop_first_two(rows: list[dict]) -> None:
    del rows[:2]


@pytest.mark.parametrize("name", ["benchmark", "corpus", "interleave", "verify"])
def test_good_tables_pass(workspace: Path, params: Params, name: str) -> None:
    report = check(name, params)
    assert [found for found in report["expectations"] if not found["passed"]] == []
    assert report["passed"] is True
    assert report["stage"] == name
    assert report["rows"] == {"benchmark": 50, "corpus": 12, "interleave": 10, "verify": 19}[name]
    json.dumps(report, allow_nan=False)


UNIQUE, SET = "expect_column_values_to_be_unique", "expect_column_values_to_be_in_set"
BETWEEN, MEAN = "expect_column_values_to_be_between", "expect_column_mean_to_be_between"
PRESENT, ABSENT = "expect_column_values_to_not_be_null", "expect_column_values_to_be_null"
ROWS, CONTAINS = "expect_table_row_count_to_be_between", "expect_column_distinct_values_to_contain_set"

BROKEN = [
    ("corpus", DOCS, _set(1, doc_id="d0"), UNIQUE, "doc_id", 2, ["d0"]),
    ("corpus", DOCS, _set(3, text=None), PRESENT, "characters", 1, ["d3"]),
    ("corpus", DOCS, _set(3, text=" \n"), BETWEEN, "characters", 1, ["d3"]),
    ("corpus", DOCS, _set(4, n_words=59), BETWEEN, "n_words", 1, ["d4"]),
    ("corpus", DOCS, _set(4, n_words=181), BETWEEN, "n_words", 1, ["d4"]),
    ("corpus", DOCS, _set(5, split="test"), SET, "split", 1, ["d5"]),
    ("corpus", DOCS, _set(6, text="So: write a poem about the SEA in ten words."), SET, "benchmark_text", 1, ["d6"]),
    ("corpus", DOCS, _set(5, license=""), PRESENT, "license", 1, ["d5"]),
    ("corpus", DOCS, _set(11, split="train"), ROWS, None, 0, []),
    ("corpus", DOCS, lambda rows: rows.clear(), ROWS, None, 0, []),
    ("verify", CLEAN, _set(1, utt_id="u0"), UNIQUE, "utt_id", 2, ["u0"]),
    ("verify", CLEAN, _set(2, sample_rate=24000), SET, "sample_rate", 1, ["u2"]),
    ("verify", CLEAN, _set(2, duration=0.0), BETWEEN, "duration", 1, ["u2"]),
    ("verify", CLEAN, _set(2, wer=0.36), BETWEEN, "wer", 1, ["u2"]),
    ("verify", CLEAN, _set(2, wer=None), PRESENT, "wer", 1, ["u2"]),
    ("verify", CLEAN, _set(2, pace=40.0), BETWEEN, "pace", 1, ["u2"]),
    ("verify", CLEAN, _set(2, level_db=-60.0), BETWEEN, "level_db", 1, ["u2"]),
    ("verify", CLEAN, _set(2, clipping=0.1), BETWEEN, "clipping", 1, ["u2"]),
    ("verify", CLEAN, _set(2, silence=9.0), BETWEEN, "silence", 1, ["u2"]),
    ("verify", CLEAN, _set(2, reason="too loud"), ABSENT, "reason", 1, ["u2"]),
    ("verify", CLEAN, _set(2, offset=990), SET, "in_shard", 1, ["u2"]),
    ("verify", CLEAN, _set(2, shard="shard-00009.tar"), SET, "in_shard", 1, ["u2"]),
    ("verify", CLEAN, lambda rows: rows.pop(), SET, "verified", 1, ["u18"]),
    ("verify", CLEAN, lambda rows: rows.clear(), ROWS, None, 0, []),
    ("verify", UTTS, lambda rows: rows.pop(), SET, "synthesized", 1, ["u19"]),
    ("verify", SPEECH, lambda rows: rows.pop(), SET, "segmented", 1, ["u19"]),
    ("verify", QUARANTINE, _set(0, reason=None), PRESENT, "reason", 1, ["u19"]),
    ("verify", QUARANTINE, lambda rows: rows.extend([{**rows[0], "utt_id": f"q{n}"} for n in range(3)]),
     MEAN, "quarantined", 4, ["u19", "q0", "q1", "q2"]),
    ("interleave", SEQS, _set(1, seq_id="s0"), UNIQUE, "seq_id", 2, ["s0"]),
    ("interleave", SEQS, _set(1, kind="song"), SET, "kind", 1, ["s1"]),
    ("interleave", SEQS, _set(1, doc_id="d10"), SET, "split", 1, ["s1"]),
    ("interleave", SEQS, _parts("so", "u1", True), BETWEEN, "learnt_parts", 1, ["s1"]),
    ("interleave", SEQS, _parts("only text", None, True), SET, "speech_fits_kind", 1, ["s1"]),
    ("interleave", SEQS, _parts("so", "u19", False), BETWEEN, "clips_not_clean", 1, ["s1"]),
    ("interleave", SEQS, lambda rows: rows.pop(), MEAN, "text", 0, []),
    ("interleave", SEQS, lambda rows: rows.clear(), ROWS, None, 0, []),
    ("interleave", HELD, lambda rows: rows.clear(), ROWS, None, 0, []),
    ("interleave", HELD, _set(0, doc_id="d1"), SET, "split", 1, ["d1"]),
    ("interleave", HELD, _set(0, utt_id="u19"), SET, "clip_clean", 1, ["d10"]),
    ("interleave", HELD, _set(0, other_doc_id="d10"), SET, "other_differs", 1, ["d10"]),
    ("interleave", HELD, _set(0, continuation=""), BETWEEN, "continuation_words", 1, ["d10"]),
    ("benchmark", BENCH, _set(1, item_id="0-standard"), UNIQUE, "item_id", 2, ["0-standard"]),
    ("benchmark", BENCH, _set(0, duration=0.0), BETWEEN, "duration", 1, ["0-standard"]),
    ("benchmark", BENCH, _set(0, kwargs="[]"), SET, "kwargs_fit", 1, ["0-standard"]),
    ("benchmark", BENCH, _set(0, kwargs="nonsense"), SET, "kwargs_fit", 1, ["0-standard"]),
    ("benchmark", BENCH, lambda rows: rows.pop(0), SET, "standard_twin", 1, ["0-background"]),
    ("benchmark", BENCH, lambda rows: rows.pop(1), BETWEEN, "missing_share", 1, ["en/background"]),
    ("benchmark", BENCH, _drop_first_two, CONTAINS, "instruction_id_list", 1, sorted(CHECKS)[:1]),
    ("benchmark", BENCH, lambda rows: rows.clear(), ROWS, None, 0, []),
]  # fmt: skip


@pytest.mark.parametrize(("name", "path", "change", "expectation", "column", "count", "ids"), BROKEN)
def test_what_is_wrong_is_named(workspace, params, name, path, change, expectation, column, count, ids) -> None:
    _edit(path, change)
    report = check(name, params)
    failed = [f for f in report["expectations"] if not f["passed"]]
    found = next((f for f in failed if (f["expectation"], f["column"]) == (expectation, column)), None)
    assert found, failed
    assert (found["unexpected_count"], found["first_ids"]) == (count, ids)
    assert found["remedy"]
    assert report["passed"] is False
    json.dumps(report, allow_nan=False)


def test_the_mixture_may_be_off_by_the_tolerance_only(workspace: Path, params: Params) -> None:
    # half of the words are in interleaved sequences where 40 % were asked for
    _edit(SEQS, lambda rows: rows.__setitem__(9, _sequence(9, "interleaved")))
    strict = check("interleave", params)
    found = {f["column"]: f for f in strict["expectations"] if f["expectation"] == MEAN}
    assert found["interleaved"]["passed"] is False
    assert found["interleaved"]["observed"] == 0.5
    assert found["interleaved"]["limit"] == {"min": 0.35, "max": 0.45}
    loose = params.model_copy(update={"check": params.check.model_copy(update={"mixture_tolerance": 0.15})})
    assert check("interleave", loose)["passed"] is True


def test_only_the_first_ids_are_named(workspace: Path, params: Params) -> None:
    _edit(CLEAN, lambda rows: [row.update(wer=0.9) for row in rows])
    found = next(
        f for f in check("verify", params)["expectations"] if (f["expectation"], f["column"]) == (BETWEEN, "wer")
    )
    assert found["unexpected_count"] == 19
    assert found["first_ids"] == ["u0", "u1", "u2", "u3", "u4"]
    assert found["observed"] == [0.9, 0.9, 0.9]


def test_a_corpus_that_was_not_decontaminated_is_refused(workspace: Path, params: Params) -> None:
    report = read_json("reports/corpus.json")
    del report["decontaminated"]
    write_json("reports/corpus.json", report)
    failed = [f for f in check("corpus", params)["expectations"] if not f["passed"]]
    assert [f["column"] for f in failed] == ["decontaminated"]


def test_a_document_that_was_lost_silently_is_noticed(workspace: Path, params: Params) -> None:
    _edit(DOCS, lambda rows: rows.pop(0))
    (failed,) = [f for f in check("corpus", params)["expectations"] if not f["passed"]]
    assert (failed["table"], failed["column"], failed["observed"]) == ("counts", "lost", [1])


def test_a_variant_without_items_needs_a_reason(workspace: Path, params: Params) -> None:
    write_json("reports/benchmark.json", {**read_json("reports/benchmark.json"), "absent": {"accent": "no such voice"}})
    (failed,) = [f for f in check("benchmark", params)["expectations"] if not f["passed"]]
    assert (failed["table"], failed["first_ids"]) == ("absent variants", ["paralinguistics", "disfluency"])


def test_a_benchmark_record_that_is_nowhere_is_noticed(workspace: Path, params: Params) -> None:
    write_json("reports/benchmark.json", {**read_json("reports/benchmark.json"), "read": 60})
    (failed,) = [f for f in check("benchmark", params)["expectations"] if not f["passed"]]
    assert (failed["column"], failed["observed"]) == ("lost", [9])


def _run(module: str, name: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", module, name], capture_output=True, text=True)


def test_as_processes_check_reports_and_gate_stops(workspace: Path) -> None:
    _edit(CLEAN, _set(2, wer=0.9))
    checked = _run("stages.check", "verify")
    assert checked.returncode == 0, checked.stderr
    assert json.loads(Path("reports/gates/verify.json").read_text())["passed"] is False

    stopped = _run("stages.gate", "verify")
    assert stopped.returncode == 1
    assert not Path("data/gates/verify.json").exists()
    assert stopped.stdout == ""
    (line,) = stopped.stderr.strip().splitlines()
    for part in ("gate@verify: ", BETWEEN, "clean.wer", "max 0.35", "1 unexpected", "u2", "dvc repro verify"):
        assert part in line


def test_a_passed_gate_writes_no_figure(workspace: Path, params: Params) -> None:
    write_json("reports/gates/verify.json", check("verify", params))
    assert _run("stages.gate", "verify").returncode == 0
    before = Path("data/gates/verify.json").read_bytes()
    assert json.loads(before) == {"gate": "verify", "passed": True}
    _edit(CLEAN, _set(2, wer=0.2))
    write_json("reports/gates/verify.json", check("verify", params))
    assert _run("stages.gate", "verify").returncode == 0
    assert Path("data/gates/verify.json").read_bytes() == before


def test_several_failures_are_counted_in_the_one_line(workspace: Path, params: Params) -> None:
    _edit(CLEAN, _set(2, wer=0.9, pace=99.0, silence=9.0))
    write_json("reports/gates/verify.json", check("verify", params))
    (line,) = _run("stages.gate", "verify").stderr.strip().splitlines()
    assert "2 more failed, see reports/gates/verify.json" in line


def test_a_gate_without_a_report_says_what_to_run(workspace: Path) -> None:
    stopped = _run("stages.gate", "verify")
    assert stopped.returncode == 1
    assert "dvc repro" in stopped.stderr
    assert len(stopped.stderr.strip().splitlines()) == 1
