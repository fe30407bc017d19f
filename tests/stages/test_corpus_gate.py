"""What the gate after the corpus asks beyond each document: enough words, the languages, the sources' shares."""

from pathlib import Path

import pytest
from gate_tables import DOCS, edit, failing, fill, small_params

from stages.common.files import read_json, write_json
from stages.common.params import Params, Source


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    fill(tmp_path)
    return tmp_path


def corpus(**changes: object) -> Params:
    params = small_params()
    return params.model_copy(update={"corpus": params.corpus.model_copy(update=changes)})


def broken(params: Params) -> list[tuple[str, str | None]]:
    return [(found["table"], found["column"]) for found in failing("corpus", params)]


def test_too_few_words_and_another_language(workspace: Path) -> None:
    assert broken(corpus(words=1300)) == [("words", "share")]
    edit(DOCS, lambda rows: rows[3].update(language="de"))
    assert broken(corpus()) == [("documents", "language")]
    assert broken(corpus(languages=("en", "de"))) == []


def test_a_source_behind_its_share_is_named_unless_it_has_given_all(workspace: Path) -> None:
    sources = tuple(Source(name=name, kind="local", path="text", weight=1.0) for name in ("sotu", "other"))
    edit(DOCS, lambda rows: [row.update(source="other") for row in rows[:4]])  # 400 words against 800
    assert broken(corpus(sources=sources)) == [("sources", "behind")]
    report = read_json("reports/corpus.json")
    write_json("reports/corpus.json", report | {"sources": {"other": {"exhausted": True}}})
    assert broken(corpus(sources=sources)) == []
