"""Parameters are read as DVC reads them, or refused in one line; and what DVC or we write is read back as it was."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from checkout import ROOT
from dvc.exceptions import DvcException
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import load_yaml, modify_yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf.errors import OmegaConfBaseException

from inserter.errors import InserterError
from inserter.params import checked, load
from inserter.yaml_files import dump_yaml, not_kept, parse_yaml, read_yaml

PARAMS = re.sub(r"[ ]+#.*", "", (ROOT / "params.yaml").read_text(encoding="utf-8"))  # without comments behind values


def _changed(folder: Path, old: str, new: str) -> Path:
    """params.yaml with `new` in place of `old`."""
    assert old in PARAMS
    path = folder / "params.yaml"
    path.write_text(PARAMS.replace(old, new, 1), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "value"),
    [
        ("  words: 64000\n", "  words: 0090000\n", 90000),
        ("  words: 64000\n", "  words: 0o20\n", 16),
        ("  words: 64000\n", "  words: 120_000\n", 120_000),
        ("  words: 64000\n", "  words: 5e6\n", 5_000_000),
        ("  words: 64000\n", "  words: +700\n", 700),
        ("  words: 64000\n", "  words: 24.0\n", 24),
        ("  lr: 1.0e-3\n", "  lr: 3e-4\n", 0.0003),
        ("  lr: 1.0e-3\n", "  lr: .5\n", 0.5),
        ("  weight_decay: 0.01\n", "  weight_decay: -0.0\n", 0.0),
        ("  languages: [en]\n", "  languages: [no, y]\n", ("no", "y")),
        ("  languages: [en]\n", '  languages: ["off"]\n', ("off",)),
        ("  experiment: inserter\n", "  experiment: 7:45\n", "7:45"),
        ("  experiment: inserter\n", "  experiment: '2026-11-28'\n", "2026-11-28"),
        ("  experiment: inserter\n", "  experiment: on\n", "on"),
    ],
)
def test_a_value_is_what_dvc_reads(tmp_path: Path, old: str, new: str, value: Any) -> None:
    path = _changed(tmp_path, old, new)
    section, key = re.findall(r"^(\w+):", PARAMS[: PARAMS.index(old)], re.MULTILINE)[-1], new.split(":")[0].strip()
    ours, recorded = load(path).model_dump(by_alias=True)[section][key], load_yaml(path)[section][key]
    assert ours == value == (tuple(recorded) if isinstance(recorded, list) else recorded)
    assert isinstance(ours, int) == isinstance(value, int)


def test_dvc_records_in_its_lock_what_a_stage_reads(tmp_path: Path) -> None:
    values = "rate: 2e-5\nnumber: 0123\ntime: 6:15\nanswer: yes\ncountry: NO\nsmall: 1_0\nlist: [off, 0x10, .25]\n"
    (tmp_path / "params.yaml").write_text(values)
    keys = [line.split(":")[0] for line in values.splitlines()]
    (tmp_path / "dvc.yaml").write_text(dump_yaml({"stages": {"one": {"cmd": "true", "params": keys}}}))
    for command in (["init", "--no-scm", "-q"], ["repro", "-q"]):
        subprocess.run([sys.executable, "-m", "dvc", *command], cwd=tmp_path, check=True)
    recorded = read_yaml(tmp_path / "dvc.lock")["stages"]["one"]["params"]["params.yaml"]
    assert recorded == read_yaml(tmp_path / "params.yaml")
    assert recorded == {
        "rate": 2e-5,
        "number": 123,
        "time": "6:15",
        "answer": "yes",
        "country": "NO",
        "small": 10,
        "list": ["off", 16, 0.25],
    }


def _refused(path: Path) -> str:
    with pytest.raises(InserterError) as error:
        load(path)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        (
            "  word_level: 0.5",
            "  context_words: 3\n  word_level: 0.5",
            ["the key context_words is given twice", "Keep one"],
        ),
        ("check:", "segment: {}\ncheck:", ["the key segment is given twice"]),
        ("{share: 0.3, min_words: 5,", "{share: 0.3, share: 0.4, min_words: 5,", ["the key share is given twice"]),
        ("whisper: true", "whisper: yes", ["benchmark.variants.whisper", "'yes'", "write true or false"]),
        ("whisper: true", "whisper: 1", ["benchmark.variants.whisper", "got 1", "write true or false"]),
        ("  steps: 500", '  steps: "500"', ["warmup.steps", "integer", "'500'", "without quotes"]),
        ("  steps: 500", "  steps: true", ["warmup.steps", "integer", "True"]),
        ("  steps: 500", "  steps: 2.5", ["warmup.steps", "integer", "2.5"]),
        ("  steps: 500", "  steps: 12:30", ["warmup.steps", "integer", "'12:30'"]),
        ("  lr: 1.0e-3", "  lr: 1,5", ["warmup.lr", "number", "'1,5'"]),
        ("  lr: 1.0e-3", "  lr: .nan", ["warmup.lr", "nan", "finite"]),
        ("  lr: 1.0e-3", "  lr: 1e999", ["warmup.lr", "inf", "finite"]),
        ("  clip: 1.0", "  clip: null", ["warmup.clip", "number", "None"]),
        ("  seed: 1", "  seed: 99999999999999999999", ["corpus.seed", "less than"]),
        ("  experiment: inserter", "  experiment: 2026-11-28", ["register.experiment", "date", "in quotes"]),
        ("  experiment: inserter", "  experiment: 1_0", ["register.experiment", "10", "in quotes"]),
        ("  experiment: inserter", "  experiment: !!binary aGk=", ["register.experiment", "bytes", "in quotes"]),
        ("  experiment: inserter", "  experiment: *nobody", ["alias"]),
        ("  experiment: inserter", "\texperiment: inserter", ["line", "Indent with spaces"]),
        ("  experiment: inserter", "  experiment: @mine", ["line", "in quotes"]),
        ("  experiment: inserter", "  experiment: a: b", ["line", "in quotes"]),
        ("  languages: [en]", "  languages: en", ["corpus.languages", "'en'"]),
        ("  languages: [en]", "  languages: [en, de, en]", ["corpus.languages", "en is given twice"]),
        ("  languages: [en]", "  languages: [1]", ["corpus.languages.0", "got 1", "in quotes"]),
        ("name: instructions", "name: sotu", ["corpus.sources", "sotu is given twice"]),
        ("name: heart-slow", "name: joe", ["synthesize.voices", "joe is given twice"]),
        ("forms: [heard, read,", "forms: [heard, heard,", ["evaluate.forms", "heard is given twice"]),
        ("pretrain:\n", "---\npretrain:\n", ["another document", "may hold one document"]),
        ("  seed: 1", f"  seed: {'9' * 5000}", ["Write a smaller number"]),
    ],
)
def test_an_unintended_value_is_refused_with_the_remedy(tmp_path: Path, old: str, new: str, parts: list[str]) -> None:
    said = _refused(_changed(tmp_path, old, new))
    assert [part for part in parts if part not in said] == [], said


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ["is empty"]),
        (b"# nothing yet\n", ["is empty"]),
        (b"- corpus\n- segment\n", ["no keys"]),
        (b"corpus\n", ["no keys"]),
        ("corpus: {name: café}\nassets: {}\n".encode("latin-1"), ["line 1", "not UTF-8"]),
        ("corpus: 1\n".encode("utf-16"), ["not UTF-8"]),
        (b"corpus: a\x00b\n", ["Remove the control character"]),
    ],
)
def test_a_file_that_holds_no_parameters_is_refused(tmp_path: Path, content: bytes, parts: list[str]) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    said = _refused(path)
    assert [part for part in parts if part not in said] == [], said


def test_other_line_ends_and_a_byte_order_mark_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + PARAMS.replace("\n", "\r\n").encode())
    assert load(path) == load(ROOT / "params.yaml")


def test_arms_are_read_with_anchors_and_an_overlay_of_nothing_is_refused(tmp_path: Path) -> None:
    shared = "one: &all {pretrain.steps: 3, sft.steps: 4}\ntwo: {<<: *all, sft.steps: 5}\n"
    assert parse_yaml(shared, "arms.yaml")["two"] == {"pretrain.steps": 3, "sft.steps": 5}
    (tmp_path / "over.yaml").write_text("")
    with pytest.raises(InserterError, match=r"over\.yaml is empty"):
        load(ROOT / "params.yaml", tmp_path / "over.yaml")


def test_the_lines_of_a_key_that_is_given_twice_are_named() -> None:
    with pytest.raises(InserterError, match=r"mine\.yaml, lines 3 and 6: the key steps is given twice\. Keep one of the values"):
        parse_yaml("sft: {steps: 1}\npretrain:\n  steps: 2\n  # as before\n  seed: 1\n  'steps': 3\n", "mine.yaml")


HARD = [
    "http://host:8000",
    "embedded:joe",
    "org/name:part",
    "a?b",
    "12:30",
    "no",
    "007",
    "1e-5",
    "",
    " x ",
    "a #b",
    "*.txt",
    "&a",
    "%a",
    "@a",
    "2026-11-28",
    "a, b",
    "{a}",
    "é …",
    "long " * 40 + "end",
    "null",
    "~",
    "- a",
    "a: b",
    "'a",
    'a"',
    "a\nb",
]


def _texts(value: Any, *at: str) -> list[tuple[str, ...]]:
    if isinstance(value, dict):
        return [path for key, item in value.items() for path in _texts(item, *at, key)]
    return [at] if isinstance(value, str) else []


def _put(params: Any, at: tuple[str, ...], value: str) -> None:
    for key in at[:-1]:
        params = params[key]
    params[at[-1]] = value


def _takes_any_text(at: tuple[str, ...]) -> bool:
    params = parse_yaml(PARAMS, "params.yaml")
    _put(params, at, "some: text")
    try:
        checked(params, "params.yaml")
    except InserterError:
        return False  # one of a few words, none of which needs quotes
    return True


FREE = [at for at in _texts(parse_yaml(PARAMS, "params.yaml")) if _takes_any_text(at)]


@pytest.mark.parametrize("text", HARD)
def test_any_text_that_a_key_may_hold_survives_dvc(tmp_path: Path, text: str) -> None:
    assert {("assets", "lm"), ("verify", "second_opinion", "model"), ("register", "tracking_uri")} <= set(FREE)
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS, encoding="utf-8")
    expected = parse_yaml(PARAMS, path)
    with modify_yaml(path) as params:
        for at in FREE:
            _put(params, at, text)
            _put(expected, at, text)
    assert load_yaml(path) == read_yaml(path) == expected


def test_a_list_set_by_dvc_survives(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS, encoding="utf-8")
    voice = '{name: ann, engine: http, voice: ann, url: "http://host:8000/v1", license: "see: the model"}'
    apply_overrides(
        path, [f"synthesize.voices=[{voice}]", f"benchmark.voices.cn={voice}", "corpus.languages=[no,en]", "warmup.lr=1e-5"]
    )
    read = load(path)
    assert read.synthesize.voices[0] == read.benchmark.voices.cn and read.synthesize.voices[0].url == "http://host:8000/v1"
    assert read.corpus.languages == ("no", "en") and read.warmup.lr == 1e-5
    assert load(path).verify == load(ROOT / "params.yaml").verify


TEXTS = st.one_of(
    st.sampled_from(HARD), st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12), st.just("${a}")
)


@settings(deadline=None, max_examples=150)
@given(
    text=TEXTS,
    place=st.sampled_from(["key: {}", "key: {{inner: {}}}", "key: [{}]", "key: {{inner: [{}]}}", "key:\n- {{inner: {}}}"]),
)
def test_what_dvc_would_lose_is_reported_before(tmp_path_factory: pytest.TempPathFactory, text: str, place: str) -> None:
    path = tmp_path_factory.mktemp("set") / "params.yaml"
    written = place.format(dump_yaml([text]).removeprefix("- ").strip()) if "\n" not in text else place.format('"a\\nb"')
    try:
        before = parse_yaml(f"{written}\nsteps: 1\n", path)
    except InserterError:
        return  # it needs quotes here, and would be refused
    path.write_text(f"{written}\nsteps: 1\n", encoding="utf-8")
    told = not_kept(path.read_text(encoding="utf-8"))
    try:
        apply_overrides(path, ["steps=2"])
        kept = load_yaml(path) == before | {"steps": 2}
    except (DvcException, OmegaConfBaseException):
        kept = False
    assert kept == (told is None), (path.read_text(encoding="utf-8"), told)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
)


@settings(deadline=None, max_examples=150)
@given(value=st.dictionaries(st.text("abc", min_size=1), VALUES, min_size=1, max_size=4))
def test_what_we_write_is_read_back_by_dvc_and_by_us(tmp_path_factory: pytest.TempPathFactory, value: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("write") / "params.yaml"
    path.write_text(dump_yaml(value), encoding="utf-8")
    assert load_yaml(path) == read_yaml(path) == value


def test_an_alias_is_reported_since_dvc_loses_values_at_its_anchor(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("pretrain: &same {steps: 24}\nsft: *same\n")
    assert "line 2" in (not_kept(path.read_text()) or "") and "Write the values out" in (not_kept(path.read_text()) or "")
    apply_overrides(path, ["pretrain.steps=400"])
    assert load_yaml(path)["pretrain"]["steps"] == 24, "what the warning is about"
