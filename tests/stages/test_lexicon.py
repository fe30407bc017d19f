"""Lists of rare words: which words, spoken line by line, learnt by the warm-up alone."""

from collections import Counter
from pathlib import Path

import pytest
from corpus_texts import enter, params, prose, rows, source

from inserter.files import read_table, write_table
from inserter.params import Params
from inserter.tables import HELDOUT, LEXICON, SEQUENCES, SPANS, VERIFIED
from stages.corpus.stage import main as corpus
from stages.interleave.stage import main as interleave
from stages.segment.stage import main as segment

LETTERS = "bcdfghjklm"


def rare(number: int) -> str:
    """A word that text `number` shares with the text after it."""
    return f"qu{LETTERS[number // 10]}a{LETTERS[number % 10]}or"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty texts of a document each; 700 words of them make the sample, four documents of which are held out."""
    monkeypatch.chdir(tmp_path)
    enter(tmp_path)
    for number in range(40):
        names = f"{rare(number)} or {rare((number + 1) % 40)}"
        extra = f"They called it {names}, and NATO agreed that once{LETTERS[number % 10]} was NATO."
        (tmp_path / f"text/a{number:02d}.txt").write_text(f"{prose(f'a{number}')} {extra}\n")
    return tmp_path


def with_lists(**lexicon: int) -> Params:
    return params(source(), words=700, lexicon={"words": 30, "line_words": 8, "look_at_words": 100_000, **lexicon})


def lists() -> list[dict]:
    return [row for row in rows() if row["split"] == LEXICON]


def test_frequent_words_that_the_sample_seldom_has_without_those_of_held_out_texts(workspace: Path) -> None:
    metrics = corpus(with_lists())
    found = rows()
    words = " ".join(row["text"] for row in lists()).replace(",", "").replace(".", "").split()
    assert metrics["lexicon"] == {"documents": len(lists()), "words": len(words)} and len(words) == len(set(words)) == 30
    texts = {path.stem: path.read_text() for path in workspace.glob("text/*.txt")}
    held_out = [row["text"] for row in found if row["split"] == "heldout"]
    others = Counter(" ".join(text for text in texts.values() if text.strip() not in held_out).replace(",", "").split())
    sampled = Counter(" ".join(row["text"] for row in found if row["split"] == "train").replace(",", "").split())
    assert all(others[word] > 1 and sampled[word] < 5 for word in words)
    assert "NATO" not in words, "a name in capitals"
    assert [row["split"] for row in found].index(LEXICON) == len(found) - len(lists()), "after the documents"
    assert sum(row["n_words"] for row in found if row["split"] != LEXICON) == metrics["words"]


def test_more_words_more_lists_and_none_where_none_are_wanted(workspace: Path) -> None:
    corpus(with_lists(words=10))
    ten = lists()
    assert ten[0]["text"].count("\n") == 1 and [line.count(",") for line in ten[0]["text"].splitlines()] == [7, 1]
    corpus(with_lists(words=10_000))
    assert sum(row["n_words"] for row in lists()) > 40, "as many as there are"
    metrics = corpus(with_lists().model_copy(update={"corpus": with_lists().corpus.model_copy(update={"lexicon": None})}))
    assert not lists() and metrics["lexicon"] == {"documents": 0, "words": 0}


def test_each_line_is_a_span_and_no_sequence_has_one(workspace: Path) -> None:
    settings = with_lists()
    short = {"context_words": 5, "continuation_words": 5}
    settings = settings.model_copy(update={"segment": settings.segment.model_copy(update=short)})
    corpus(settings)
    report = segment(settings)
    spans = read_table("data/segment/spans.parquet", SPANS)
    spoken = [row for row in spans if row["level"] == LEXICON]
    assert [row["written"] for row in spoken] == [line for row in lists() for line in row["text"].splitlines()]
    assert {row["split"] for row in spoken} == {LEXICON} and report["levels"][LEXICON]["spans"] == len(spoken)
    clean = [dict.fromkeys(VERIFIED.names) | {name: row[name] for name in ("utt_id", "doc_id", "split")} for row in spans]
    write_table("data/verify/clean.parquet", clean, VERIFIED)
    counts = interleave(settings)["spans"]
    sequences = read_table("data/interleave/sequences.parquet", SEQUENCES)
    heldout = read_table("data/interleave/heldout.parquet", HELDOUT)
    assert not any((part["utt_id"] or "").startswith(LEXICON) for row in sequences for part in row["parts"])
    assert heldout and not any(row["doc_id"].startswith(LEXICON) for row in [*sequences, *heldout])
    assert counts["in_lexicon"] == len(spoken)
    assert counts["clean"] == counts["in_sequences"] + counts["in_heldout"] + counts["in_lexicon"] + counts["not_used"]
