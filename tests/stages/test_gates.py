"""The gates: tables that are right pass; each thing that can be wrong is named with its count, its ids and a remedy."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from gate_tables import (
    BENCH,
    CLEAN,
    CLIPS,
    DOCS,
    HELD,
    PAIR,
    QUARANTINE,
    REFUSED,
    SEQS,
    SPEECH,
    UTTS,
    edit,
    failing,
    good,
    sequence,
)

from inserter.files import read_json, write_json
from inserter.params import Params
from inserter.scoring.ifeval import CHECKS
from stages.check.stage import check


def _set(n: int, **values: object) -> Callable[[list[dict]], object]:
    return lambda rows: rows[n].update(values)


def _drop_first_two(rows: list[dict]) -> None:
    del rows[:2]


@pytest.mark.parametrize("name", ["benchmark", "corpus", "interleave", "sft", "verify"])
def test_good_tables_pass(workspace: Path, params: Params, name: str) -> None:
    report = check(name, params)
    assert [found for found in report["expectations"] if not found["passed"]] == []
    assert report["passed"] is True
    assert report["stage"] == name
    assert report["rows"] == {"benchmark": 80, "corpus": 12, "interleave": 10, "sft": 4, "verify": 19}[name]
    json.dumps(report, allow_nan=False)


UNIQUE, SET = "expect_column_values_to_be_unique", "expect_column_values_to_be_in_set"
BETWEEN, MEAN = "expect_column_values_to_be_between", "expect_column_mean_to_be_between"
PRESENT, ABSENT = "expect_column_values_to_not_be_null", "expect_column_values_to_be_null"
ROWS = "expect_table_row_count_to_be_between"

# (gate, table): rows to break, and which rule then names them. One check finds them all.
ROWS_BROKEN = {
    ("corpus", DOCS): (
        {
            1: {"doc_id": "d0"},
            2: {"text": " \n"},
            3: {"text": None},
            4: {"n_words": 59},
            5: {"n_words": 181},
            6: {"split": "test"},
            7: {"license": ""},
            8: {"text": "So: write a poem about the SEA in ten words."},
        },
        [
            (UNIQUE, "doc_id", 2, ["d0"]),
            (BETWEEN, "characters", 1, ["d2"]),
            (PRESENT, "characters", 1, ["d3"]),
            (BETWEEN, "n_words", 2, ["d4", "d5"]),
            (SET, "split", 1, ["d6"]),
            (PRESENT, "license", 1, ["d7"]),
            (SET, "benchmark_text", 1, ["d8"]),
        ],
    ),
    ("verify", CLEAN): (
        {
            1: {"utt_id": "u0"},
            2: {"sample_rate": 24000},
            3: {"duration": 0.0},
            4: {"wer": 0.36},
            5: {"wer": None},
            6: {"pace": 40.0},
            7: {"level_db": -60.0},
            8: {"clipping": 0.1},
            9: {"silence": 9.0},
            10: {"reason": "loud"},
            11: {"offset": 990},
            12: {"shard": "shard-00009.tar"},
            13: {"extra": 9},
            14: {"ending": 0.1},
            15: {"dc": -0.2},
            16: {"snr_db": 3.0},
            17: {"tail_db": -3.0},
            18: {"duration_z": -9.0},
            0: {"snr_db": 3.0, "effect": '{"noise": "hum", "snr_db": 10.0}'},
        },
        [
            (UNIQUE, "utt_id", 2, ["u0"]),
            (SET, "sample_rate", 1, ["u2"]),
            (BETWEEN, "duration", 1, ["u3"]),
            (BETWEEN, "wer", 1, ["u4"]),
            (PRESENT, "wer", 1, ["u5"]),
            (BETWEEN, "pace", 1, ["u6"]),
            (BETWEEN, "level_db", 1, ["u7"]),
            (BETWEEN, "clipping", 1, ["u8"]),
            (BETWEEN, "silence", 1, ["u9"]),
            (ABSENT, "reason", 1, ["u10"]),
            (SET, "in_shard", 2, ["u11", "u12"]),
            (SET, "verified", 2, ["u0", "u1"]),
            (BETWEEN, "extra", 1, ["u13"]),
            (BETWEEN, "ending", 1, ["u14"]),
            (BETWEEN, "dc", 1, ["u15"]),
            (BETWEEN, "snr_db", 1, ["u16"]),
            (BETWEEN, "tail_db", 1, ["u17"]),
            (BETWEEN, "duration_z", 1, ["u18"]),
        ],
    ),
    ("verify", QUARANTINE): ({0: {"reason": None}}, [(PRESENT, "reason", 1, ["u19"])]),
    ("interleave", SEQS): (
        {
            1: {"seq_id": "s0"},
            2: {"kind": "song"},
            3: {"doc_id": "d10"},
            4: {"parts": [{"text": "so", "utt_id": "u4", "loss": True}]},
            5: {"parts": [{"text": "only text", "utt_id": None, "loss": True}]},
            6: {"parts": [{"text": "so", "utt_id": "u19", "loss": False}, {"text": "on", "utt_id": None, "loss": True}]},
        },
        [
            (UNIQUE, "seq_id", 2, ["s0"]),
            (SET, "kind", 1, ["s2"]),
            (SET, "split", 1, ["s3"]),
            (BETWEEN, "learnt_parts", 1, ["s4"]),
            (SET, "speech_fits_kind", 1, ["s5"]),
            (BETWEEN, "clips_not_clean", 1, ["s6"]),
        ],
    ),
    ("interleave", HELD): (
        {0: {"doc_id": "d1"}, 1: {"utt_id": "u19", "other_doc_id": "d11", "continuation": ""}},
        [
            (SET, "split", 1, ["d1"]),
            (SET, "clip_clean", 1, ["d11"]),
            (SET, "other_differs", 1, ["d11"]),
            (BETWEEN, "continuation_words", 1, ["d11"]),
        ],
    ),
    ("benchmark", BENCH): (
        {
            1: {"item_id": "0-standard"},
            2: {"duration": 0.0},
            3: {"kwargs": "[]"},
            4: {"kwargs": "nonsense"},
            6: {"shard": None, "duration": 0.0},
            7: {"shard": "shard-00009.tar"},
            8: {"size": 1001},
            9: {"prompt": " "},
            10: {"instruction_id_list": [], "kwargs": "[]"},
            12: {"lang": "fr"},
            14: {"variant": "sung"},
            16: {"task": "essay"},
            50: {"questions": []},
            51: {"questions": [" "]},
        },
        [
            (UNIQUE, "item_id", 2, ["0-standard"]),
            (BETWEEN, "duration", 1, ["1-standard"]),
            (SET, "kwargs_fit", 2, ["1-background", "2-standard"]),
            (SET, "in_shard", 2, ["3-background", "4-standard"]),
            (PRESENT, "prompt", 1, ["4-background"]),
            (BETWEEN, "instructions", 1, ["5-standard"]),
            (SET, "variant", 1, ["7-standard"]),
            (SET, "task", 1, ["8-standard"]),
            (BETWEEN, "questions", 2, ["open-0", "open-1"]),
        ],
    ),
    ("sft", PAIR): (
        {
            0: {"prompt": "Please: WRITE a poem about the sea -- in ten words!"},
            1: {"pair_id": "p0"},
            2: {"response": " ", "utt_id": "u9"},
            3: {"instruction_id_list": ["no:such"]},
        },
        [
            (MEAN, "benchmark_text", 1, ["p0"]),
            (UNIQUE, "pair_id", 2, ["p0"]),
            (PRESENT, "response", 1, ["p2"]),
            (SET, "clip", 1, ["p2"]),
            (BETWEEN, "unknown_types", 1, ["p3"]),
        ],
    ),
    ("sft", CLIPS): ({1: {"offset": 990}, 2: {"shard": None}}, [(SET, "clip", 2, ["p1", "p2"])]),
}


def _failed(name: str, params: Params) -> dict[tuple[str, str | None], tuple[int, list[str]]]:
    """{(expectation, column): (count, first ids)} of what failed."""
    failed = failing(name, params)
    return {(found["expectation"], found["column"]): (found["unexpected_count"], found["first_ids"]) for found in failed}


@pytest.mark.parametrize(("name", "path"), ROWS_BROKEN)
def test_rows_that_are_wrong_are_named(workspace: Path, params: Params, name: str, path: str) -> None:
    changes, expected = ROWS_BROKEN[name, path]
    edit(path, lambda rows: [rows[n].update(values) for n, values in changes.items()])
    failed = _failed(name, params)
    for expectation, column, count, ids in expected:
        assert failed.get((expectation, column)) == (count, ids), (expectation, column)


TABLES_BROKEN = [
    ("corpus", DOCS, _set(11, split="train"), ROWS, None, 0, []),  # one held-out document too few
    ("corpus", DOCS, lambda rows: rows.clear(), ROWS, None, 0, []),
    ("verify", CLEAN, lambda rows: rows.pop(), SET, "verified", 1, ["u18"]),
    ("verify", CLEAN, lambda rows: rows.clear(), ROWS, None, 0, []),
    ("verify", UTTS, lambda rows: rows.pop(), SET, "synthesized", 1, ["u19"]),
    ("verify", SPEECH, lambda rows: rows.pop(), SET, "segmented", 1, ["u19"]),
    (
        "verify",
        QUARANTINE,
        lambda rows: rows.extend([{**rows[0], "utt_id": f"q{n}"} for n in range(3)]),
        MEAN,
        "quarantined",
        4,
        ["u19", "q0", "q1", "q2"],
    ),
    ("interleave", SEQS, lambda rows: rows.pop(), MEAN, "text", 0, []),
    ("interleave", SEQS, lambda rows: rows.clear(), ROWS, None, 0, []),
    ("interleave", HELD, lambda rows: rows.clear(), ROWS, None, 0, []),
    ("benchmark", BENCH, lambda rows: rows.pop(0), SET, "standard_twin", 1, ["0-background"]),
    ("benchmark", BENCH, lambda rows: rows.pop(1), BETWEEN, "missing_share", 1, ["closed/en/background"]),
    ("benchmark", BENCH, _drop_first_two, SET, "asked", 1, sorted(CHECKS)[:1]),
    ("benchmark", BENCH, lambda rows: rows.pop(54), SET, "asked", 1, sorted(CHECKS)[:1]),
    ("benchmark", BENCH, lambda rows: rows.clear(), ROWS, None, 0, []),
    ("benchmark", BENCH, lambda rows: [row.update(shard=None) for row in rows], ROWS, None, 0, []),
    ("benchmark", BENCH, _set(5, shard=None, size=0, duration=0.0), SET, "lang", 1, ["2-background"]),
    (
        "benchmark",
        BENCH,
        _set(60, shard="shard-00000.tar", size=1, duration=1.0),
        SET,
        "lang",
        25,
        ["0-cn", "1-cn", "2-cn", "3-cn", "4-cn"],
    ),
    ("sft", REFUSED, lambda rows: rows.append(good()[QUARANTINE][0]), MEAN, "quarantined", 1, ["u19"]),
    ("sft", PAIR, lambda rows: rows.clear(), ROWS, None, 0, []),
    ("sft", PAIR, lambda rows: rows.pop(), BETWEEN, "lost", 1, ["reports/sft.json"]),
    ("sft", PAIR, _set(1, instruction_id_list=[], kwargs="[]"), BETWEEN, "instructions", 1, ["p1"]),
]


@pytest.mark.parametrize(("name", "path", "change", "expectation", "column", "count", "ids"), TABLES_BROKEN)
def test_a_table_that_is_wrong_is_named(workspace, params, name, path, change, expectation, column, count, ids) -> None:
    edit(path, change)
    assert _failed(name, params).get((expectation, column)) == (count, ids)


def test_the_mixture_may_be_off_by_the_tolerance_only(workspace: Path, params: Params) -> None:
    # half of the words are in interleaved sequences where 40 % were asked for
    edit(SEQS, lambda rows: rows.__setitem__(9, sequence(9, "interleaved")))
    strict = check("interleave", params)
    found = {f["column"]: f for f in strict["expectations"] if f["expectation"] == MEAN}
    assert found["interleaved"]["passed"] is False
    assert found["interleaved"]["observed"] == 0.5
    assert found["interleaved"]["limit"] == {"min": 0.35, "max": 0.45}
    loose = params.model_copy(update={"check": params.check.model_copy(update={"mixture_tolerance": 0.15})})
    assert check("interleave", loose)["passed"] is True


def test_a_voice_that_is_worse_than_the_others_is_named(workspace: Path, params: Params) -> None:
    edit(CLEAN, lambda rows: rows.extend([{**rows[0], "utt_id": f"c{n}", "voice": ("good", "bad")[n % 2]} for n in range(120)]))
    edit(QUARANTINE, lambda rows: rows.extend([{**rows[0], "utt_id": f"q{n}", "voice": "bad"} for n in range(40)]))
    failed = {found["table"]: found for found in failing("verify", params)}
    assert failed["voices"]["first_ids"] == ["bad"]  # 40 of its 100; the voice of the other 20 clips has too few to tell


def test_only_the_first_ids_are_named(workspace: Path, params: Params) -> None:
    edit(CLEAN, lambda rows: [row.update(wer=0.9) for row in rows])
    found = next(f for f in check("verify", params)["expectations"] if (f["expectation"], f["column"]) == (BETWEEN, "wer"))
    assert found["unexpected_count"] == 19
    assert found["first_ids"] == ["u0", "u1", "u2", "u3", "u4"]
    assert found["observed"] == [0.9, 0.9, 0.9]


def test_a_corpus_that_was_not_decontaminated_is_refused(workspace: Path, params: Params) -> None:
    report = read_json("reports/corpus.json")
    del report["decontaminated"]
    write_json("reports/corpus.json", report)
    failed = failing("corpus", params)
    assert [f["column"] for f in failed] == ["decontaminated"]


def test_a_twin_in_an_unseen_voice_belongs_to_a_held_out_context_and_to_nothing_else(workspace: Path, params: Params) -> None:
    def twin(rows: list[dict]) -> None:
        rows.append({**rows[0], "utt_id": "u0-unseen"})

    edit(UTTS, twin)
    edit(CLEAN, twin)
    (failed,) = failing("verify", params)
    assert (failed["column"], failed["first_ids"]) == ("segmented", ["u0-unseen"])
    edit(SPEECH, lambda rows: rows[0].update(level="context"))
    assert not failing("verify", params)


def test_a_document_that_was_lost_silently_is_noticed(workspace: Path, params: Params) -> None:
    edit(DOCS, lambda rows: rows.pop(0))
    (failed,) = failing("corpus", params)
    assert (failed["table"], failed["column"], failed["observed"]) == ("counts", "lost", [1])


def _run(module: str, name: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", module, name], capture_output=True, text=True)


def test_as_processes_check_reports_and_gate_stops(workspace: Path) -> None:
    edit(CLEAN, _set(2, wer=0.9))
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
    edit(CLEAN, _set(2, wer=0.2))
    write_json("reports/gates/verify.json", check("verify", params))
    assert _run("stages.gate", "verify").returncode == 0
    assert Path("data/gates/verify.json").read_bytes() == before


def test_several_failures_are_counted_in_the_one_line(workspace: Path, params: Params) -> None:
    edit(CLEAN, _set(2, wer=0.9, pace=99.0, silence=9.0))
    write_json("reports/gates/verify.json", check("verify", params))
    (line,) = _run("stages.gate", "verify").stderr.strip().splitlines()
    assert "2 more failed, see reports/gates/verify.json" in line


def test_a_gate_without_a_report_says_what_to_run(workspace: Path) -> None:
    stopped = _run("stages.gate", "verify")
    assert stopped.returncode == 1
    assert "dvc repro" in stopped.stderr
    assert len(stopped.stderr.strip().splitlines()) == 1
