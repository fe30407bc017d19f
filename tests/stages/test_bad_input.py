"""What the published scorer decides by chance, decides wrongly or dies of, and what `inserter score` does instead.

One row a fragile point: each mode's verdict on the record, or the reason under which it is dropped. Beside it in the
file stands a sound record, whose verdict nothing may change.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nltk
import pytest
from click.testing import CliRunner

from flows.cli import app
from inserter.errors import InserterError
from inserter.files import read_jsonl, write_jsonl

LESS, LEAST = "less than", "at least"
YES_NO = {"follow_after_adjust": "YES", "follow_before_adjust": "NO", "after_adjust_content_correct": "YES"}
SOUND: dict[str, dict[str, Any]] = {
    "closed": {"prompt": "p", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}], "response": "No comma."},
    "open": {"pred_score": ["['YES', 'NO']"]},
    "adjustment": {"pred_score": [json.dumps(YES_NO)]},
}


def closed(instruction: Any, kwargs: Any, response: Any = "Some words here. And more.") -> dict[str, Any]:
    return {"prompt": "p", "instruction_id_list": [instruction], "kwargs": [kwargs], "response": response}


def judged(*replies: Any, **fields: Any) -> dict[str, Any]:
    return {"pred_score": list(replies), **fields}


FENCED = "```json\n['YES', 'NO']\n```"
WORDS, LETTER = "length_constraints:number_words", "keywords:letter_frequency"
NTH, LANGUAGE = "length_constraints:nth_paragraph_first_word", "language:response_language"
ADJUST_FENCED = f"```json\n{json.dumps({**YES_NO, 'follow_before_adjust': 'YES'})}\n```"

LISTS = json.dumps({name: ["YES"] for name in YES_NO})

# (fragile point, task, record, reference mode, robust mode)
TABLE: list[tuple[str, str, dict[str, Any], Any, Any]] = [
    ("no arguments: random ones", "closed", closed(WORDS, {}), "missing argument", "missing argument"),
    (
        "null arguments: random ones",
        "closed",
        closed(WORDS, {"num_words": None, "relation": None}),
        *["missing argument"] * 2,
    ),
    (
        "0 is dropped as false: random",
        "closed",
        closed(WORDS, {"num_words": 0, "relation": LEAST}),
        "missing argument",
        [True],
    ),
    ("no relation: random", "closed", closed(WORDS, {"num_words": 3}), "missing argument", "missing argument"),
    (
        "a letter outside a-z: random",
        "closed",
        closed(LETTER, {"letter": "é", "let_frequency": 1, "let_relation": LEAST}, "Café"),
        "unusable argument",
        [True],
    ),
    (
        "nth beyond the last: random",
        "closed",
        closed(NTH, {"num_paragraphs": 1, "nth_paragraph": 2, "first_word": "some"}),
        "unusable argument",
        "unusable argument",
    ),
    (
        "zh: KeyError",
        "closed",
        closed(LANGUAGE, {"language": "zh"}, "今天天气很好，我们去公园散步。"),
        "unusable argument",
        [True],
    ),
    ("langdetect unseeded", "closed", closed(LANGUAGE, {"language": "en"}, "no 4 si da ok tak me"), [False], [False]),
    ("C++ finds any c", "closed", closed("keywords:existence", {"keywords": ["C++"]}, "A cat."), [True], [False]),
    (
        "( ends the run",
        "closed",
        closed("keywords:existence", {"keywords": ["("]}, "f(x)"),
        "unusable argument",
        [True],
    ),
    (
        "Punkt is not installed",
        "closed",
        closed("length_constraints:number_sentences", {"num_sentences": 2, "relation": LEAST}, "Dr. Lee left. He ran."),
        [True],
        [True],
    ),
    ("unknown instruction", "closed", closed("length:unknown", {}), "unknown instruction", "unknown instruction"),
    ("unexpected argument", "closed", closed("punctuation:no_comma", {"n": 1}), "unexpected argument", [True]),
    ("relation at most", "closed", closed(WORDS, {"num_words": 5, "relation": "at most"}), "unusable argument", [True]),
    ("response null", "closed", closed("punctuation:no_comma", {}, None), "no response", [False]),
    (
        "a number as a string",
        "closed",
        closed(WORDS, {"num_words": "9", "relation": LESS}),
        "unusable argument",
        [True],
    ),
    (
        "Note: wants a word behind its colon",
        "closed",
        closed("detectable_content:postscript", {"postscript_marker": "Note:"}, "Done.\nNote: keep it."),
        [False],
        [True],
    ),
    ("a fence drops the reply", "open", judged(FENCED), "no usable reply", ["YES", "NO"]),
    ("prose drops the reply", "open", judged("Here: ['YES', 'NO']. Good luck!"), "no usable reply", ["YES", "NO"]),
    ("an over-long list wins", "open", judged(*["['YES', 'YES']"] * 3, "['NO', 'NO', 'NO']"), ["NO"] * 3, ["YES"] * 2),
    ("only YES is a yes", "open", judged("['yes', 'Yes']"), ["yes", "Yes"], ["YES", "YES"]),
    ("an unreadable record vanishes", "open", judged("I cannot judge this."), "no usable reply", "no usable reply"),
    ("votes that cannot be counted", "open", judged("[['YES'], ['NO']]"), "unusable vote", ["NO"]),
    ("an API failure: no replies", "open", {"response": "text"}, "not judged", "not judged"),
    ("an API failure: null", "open", {"pred_score": None}, "not judged", "not judged"),
    ("a reply that is null", "open", judged(None, "['YES']"), ["YES"], ["YES"]),
    ("a fence drops the reply", "adjustment", judged(ADJUST_FENCED), "no usable reply", [1, 1]),
    ("prose drops the reply", "adjustment", judged(f"Verdict: {json.dumps(YES_NO)}"), "no usable reply", [1, 0]),
    ("true is no YES", "adjustment", judged(json.dumps(dict.fromkeys(YES_NO, True))), [0, 0], [1, 1]),
    ("an unreadable record vanishes", "adjustment", judged("", "null"), "no usable reply", "no usable reply"),
    ("a field without a vote", "adjustment", judged('{"follow_after_adjust": "YES"}'), "no vote", "no vote"),
    ("votes that cannot be counted", "adjustment", judged(LISTS), "unusable vote", "no usable reply"),
    ("an API failure: no replies", "adjustment", judged(), "not judged", "not judged"),
]


def score(task: str, path: Path, mode: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The command's JSON and its details."""
    details = path.with_name("details.jsonl")
    done = CliRunner().invoke(app, ["score", task, str(path), "--mode", mode, "--details", str(details), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout), list(read_jsonl(details))


def decided(task: str, row: dict[str, Any]) -> Any:
    if "reason" in row:
        return row["reason"]
    return {
        "closed": lambda: row["strict"],
        "open": lambda: row["votes"],
        "adjustment": lambda: [row["iar"], row["ecr"]],
    }[task]()


@pytest.mark.parametrize("mode", ["reference", "robust"])
@pytest.mark.parametrize(("point", "task", "record", "reference", "robust"), TABLE, ids=[f"{row[1]}: {row[0]}" for row in TABLE])
def test_a_fragile_point(point, task, record, reference, robust, mode, tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(nltk, "download", lambda *_: pytest.fail("scoring must not download"))
    wanted = reference if mode == "reference" else robust
    path = write_jsonl(tmp_path / "in.jsonl", [{"id": "bad", **record}, {"id": "sound", **SOUND[task]}])
    result, rows = score(task, path, mode)
    assert decided(task, rows[0]) == wanted
    assert decided(task, rows[1]) == {"closed": [True], "open": ["YES", "NO"], "adjustment": [1, 0]}[task]
    dropped = {wanted: 1} if isinstance(wanted, str) else {}
    assert result["dropped"] == dropped and result["n_dropped"] == len(dropped), "a record never vanishes"
    assert [row["id"] for row in rows] == ["bad", "sound"]


@pytest.mark.parametrize("task", SOUND)
def test_records_with_the_same_prompt_do_not_collide(task, tmp_path):
    bad = {
        **SOUND[task],
        "response": "One, two.",
        "pred_score": ["['NO', 'NO']", json.dumps(dict.fromkeys(YES_NO, "NO"))],
    }
    result, rows = score(task, write_jsonl(tmp_path / "in.jsonl", [SOUND[task], bad]), "robust")
    assert len(rows) == 2 and result["n_dropped"] == 0
    assert decided(task, rows[0]) != decided(task, rows[1])


UNREADABLE = {"empty": Path.touch, "missing": lambda path: None, "folder": Path.mkdir}


@pytest.mark.parametrize("task", SOUND)
@pytest.mark.parametrize("make", UNREADABLE.values(), ids=UNREADABLE)
def test_an_empty_or_unreadable_file_is_one_line(task, make: Callable[[Path], None], tmp_path):
    path = tmp_path / "in.jsonl"
    make(path)
    done = CliRunner().invoke(app, ["score", task, str(path), "--json"])
    assert isinstance(done.exception, InserterError) and done.exit_code == 1 and not done.stdout
    assert len(str(done.exception).splitlines()) == 1 and str(path) in str(done.exception)
