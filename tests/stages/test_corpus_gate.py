"""What the gate after the corpus asks beyond each document: enough words, the languages, the sources' shares."""

from pathlib import Path

import pytest
from corpus_texts import prose
from gate_tables import DOCS, HELD, SEQS, edit, failing, fill, small_params

from inserter.files import read_json, write_json
from inserter.params import Params, Source


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


HELD_TEXT = prose("held out", 8)


def tell_apart(rows: list[dict]) -> None:
    """Each document with a text of its own; of the two that are held out the first has HELD_TEXT."""
    for number, row in enumerate(rows):
        row["text"] = HELD_TEXT if number == 10 else prose(f"gate {number}", 8)


LEAKS = [
    HELD_TEXT,
    HELD_TEXT.upper().replace(",", " --").replace(". ", "\n\n"),
    f"{prose('before', 4)} He read aloud: “{HELD_TEXT}” {prose('after', 4)}",
    " ".join(HELD_TEXT.split()[40:90]),
    HELD_TEXT.replace(" near ", " close by ", 1) + " All rights are with the old printing house of that town.",
]


@pytest.mark.parametrize("text", LEAKS)
def test_a_text_that_repeats_a_held_out_one_stops_the_gate(workspace: Path, text: str) -> None:
    edit(DOCS, tell_apart)
    assert broken(corpus()) == []
    edit(DOCS, lambda rows: rows[4].update(text=text))
    (found,) = failing("corpus", corpus())
    assert (found["column"], found["first_ids"]) == ("repeats_heldout", ["d4"])


def test_a_sequence_that_repeats_a_held_out_context_stops_the_gate(workspace: Path) -> None:
    words = HELD_TEXT.split()
    edit(HELD, lambda rows: rows[0].update(context=" ".join(words[:30]), continuation=" " + " ".join(words[30:70])))
    params = small_params()
    assert failing("interleave", params) == []
    halves = [
        {"text": " ".join(words[20:40]), "utt_id": "u3", "loss": False},
        {"text": " " + " ".join(words[40:65]), "utt_id": None, "loss": True},
    ]
    edit(SEQS, lambda rows: rows[3].update(parts=halves))
    (found,) = failing("interleave", params)
    assert (found["column"], found["first_ids"]) == ("repeats_heldout", ["s3"])
