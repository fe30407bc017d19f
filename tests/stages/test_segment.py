"""Every span lies whole in its document, words uncut, none over another; the shares are the ones asked for."""

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.common.files import read_table, write_table
from stages.common.params import Params, SentenceSpans, WordSpans, load
from stages.common.seeds import rng
from stages.common.tables import DOCUMENTS, SPANS
from stages.segment.spans import context, sentence_level, word_level
from stages.segment.stage import Counts, main, segment

ROOT = Path(__file__).parents[2]
PARAMS = load(ROOT / "params.yaml").segment

words = st.text(alphabet="abcXYZ'é,.;:!?$5—-", min_size=1, max_size=9)
texts = st.lists(st.tuples(words, st.sampled_from([" ", "  ", "\n\n", ". "])), min_size=0, max_size=120).map(
    lambda pairs: "".join(word + space for word, space in pairs).strip()
)


def check(text: str, spans: list[tuple[int, int]]) -> None:
    whole = {match.start() for match in re.finditer(r"\S+", text)}, {match.end() for match in re.finditer(r"\S+", text)}
    end = 0
    for first, last in spans:
        assert end <= first < last, "in order, without overlap, not empty"
        assert first in whole[0] and last in whole[1], "no word is cut"
        end = last


@settings(max_examples=200, deadline=None)
@given(texts, st.integers(0, 99), st.floats(0, 1), st.integers(1, 8), st.integers(1, 20))
def test_word_level_invariants(text: str, seed: int, share: float, least: int, mean: int) -> None:
    spans = word_level(text, WordSpans(share=share, min_words=least, mean_words=mean), rng(seed, "d"))
    check(text, spans)
    assert all(len(text[a:b].split()) >= least for a, b in spans)
    assert all(len(text[a:b].split()) >= 1 for (_, a), (b, _) in pairwise(spans)), "text between runs"


@settings(max_examples=200, deadline=None)
@given(texts, st.integers(0, 99), st.floats(0, 1), st.integers(1, 40))
def test_sentence_level_invariants(text: str, seed: int, share: float, most: int) -> None:
    spans = sentence_level(text, SentenceSpans(share=share, max_words=most), rng(seed, "d"))
    check(text, spans)
    assert all(len(text[a:b].split()) <= most for a, b in spans)
    assert not any("\n\n" in text[a:b] for a, b in spans), "a sentence ends with its paragraph"


SENTENCE = "We met Mr. Smith in the U.S. Capitol, and he said, as he often does, that all was well. "


def document(name: str, text: str, split: str = "train") -> dict:
    return {"doc_id": name, "source": "s", "license": "l", "split": split, "text": text, "n_words": len(text.split())}


@pytest.mark.parametrize(("level", "wanted"), [(1.0, PARAMS.word.share), (0.0, PARAMS.sentence.share)])
def test_shares_are_met(level: float, wanted: float) -> None:
    counts = Counts()
    params = PARAMS.model_copy(update={"word_level": level})
    for number in range(300):
        segment(document(f"d-{number}", SENTENCE * 7), params, counts)
    assert counts.chosen.total() / counts.words.total() == pytest.approx(wanted, abs=0.02)


def test_sentences_end_at_punctuation_but_not_at_abbreviations() -> None:
    spans = sentence_level(SENTENCE * 3, SentenceSpans(share=1.0, max_words=40), rng(1, "d"))
    assert [(SENTENCE * 3)[a:b] for a, b in spans] == [SENTENCE.strip()] * 3


def test_long_sentences_become_clauses() -> None:
    text = ", ".join(["one two three four five six seven"] * 5) + "."
    found = [text[a:b] for a, b in sentence_level(text, SentenceSpans(share=1.0, max_words=15), rng(1, "d"))]
    assert [len(part.split()) for part in found] == [14, 14, 7] and all(part[-1] in ",." for part in found)


def test_context_is_whole_sentences_with_enough_after_them() -> None:
    short = SENTENCE * 7
    found = context(short, PARAMS)
    assert short[slice(*found)] == (SENTENCE * 2).strip()  # 18 words each, at least 30 asked for
    assert context(SENTENCE * 3, PARAMS) == "continuation_too_short"
    assert context("well " * 200, PARAMS) == "context_too_long"
    assert context("Hello.", PARAMS) == "context_too_short"


def workspace(folder: Path, documents: list[dict], **changes: object) -> Params:
    write_table(folder / "data/corpus/documents-00000.parquet", documents, DOCUMENTS)
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["segment"] |= changes
    return Params.model_validate(raw)


def test_stage_writes_spans_that_can_be_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    texts = {f"s-{n:03d}": f"In {1800 + n} it cost ${n + 2}. {SENTENCE * 6}".strip() for n in range(40)}
    documents = [document(name, text, "heldout" if name < "s-008" else "train") for name, text in texts.items()]
    params = workspace(tmp_path, documents)
    metrics = main(params)
    rows = read_table(Path("data/segment/spans.parquet"), SPANS)
    assert all(row["written"] == texts[row["doc_id"]][row["start"] : row["end"]] for row in rows)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", row["utt_id"]) for row in rows)
    assert len({row["utt_id"] for row in rows}) == len(rows)
    assert not any(re.search(r"[\d$]", row["spoken"]) for row in rows)
    heldout = [row for row in rows if row["split"] == "heldout"]
    assert Counter(row["doc_id"] for row in heldout) == {f"s-{n:03d}": 1 for n in range(8)}
    assert all(row["level"] == "context" and row["start"] == 0 for row in heldout)
    assert metrics["spans"]["in"] == metrics["spans"]["kept"] + sum(metrics["spans"]["dropped"].values())
    assert metrics["spans"]["kept"] == len(rows) == sum(metrics["span_words"].values())
    assert metrics["documents"]["in"] == metrics["documents"].get("kept", 0) + sum(metrics["documents"]["without_span"].values())
    before = Path("data/segment/spans.parquet").read_bytes()
    main(params)
    assert Path("data/segment/spans.parquet").read_bytes() == before, "same inputs, same bytes"


def test_spans_do_not_depend_on_the_other_documents() -> None:
    documents = [document(f"d-{n}", SENTENCE * 7) for n in range(6)]
    alone = [row for doc in documents for row in segment(doc, PARAMS, Counts())]
    other_way = [row for doc in reversed(documents) for row in segment(doc, PARAMS, Counts())]
    assert sorted(alone, key=lambda r: r["utt_id"]) == sorted(other_way, key=lambda r: r["utt_id"])


def test_what_cannot_be_spoken_is_dropped_with_a_reason() -> None:
    counts = Counts()
    params = PARAMS.model_copy(update={"word_level": 1.0, "word": WordSpans(share=1.0, min_words=5, mean_words=5)})
    assert segment(document("d", "*** ~~ ... *** " * 20), params, counts) == []
    long = params.model_copy(update={"word": WordSpans(share=1.0, min_words=12, mean_words=12)})
    assert segment(document("e", "$987,654,321.98 " * 24), long, counts) == []
    assert set(counts.dropped) == {"nothing_to_speak", "too_long_to_speak"}
    assert counts.spans["in"] == counts.dropped.total()
