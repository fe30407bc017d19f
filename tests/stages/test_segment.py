"""Every span lies whole in its document, words uncut, none over another; the shares are the ones asked for."""

from collections import Counter
from itertools import pairwise

import pytest
from checkout import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from segment_texts import CHINESE, SENTENCE, document

from inserter.params import SentenceSpans, WordSpans, load
from inserter.seeds import rng
from inserter.text.sentences import sentence_spans, sentences
from inserter.text.words import count_words, word_bounds
from stages.segment.document import Counts, segment, switches
from stages.segment.spans import context, sentence_level, word_level

PARAMS = load(ROOT / "params.yaml").segment

# English, Chinese without blanks, emoji (with joiners, skin tones and variation selectors) and combining marks.
CHARACTERS = "abcXYZ'é,.;:!?$5—-%你好世界中文的。，！？；：、…“”‘’（）《》￥３々ひカ😀👍🏽❤️\u200d\u0301\ufe0f\u20e3한ё"
words = st.text(alphabet=CHARACTERS, min_size=1, max_size=9)
texts = st.lists(st.tuples(words, st.sampled_from([" ", "  ", "", "\n\n", ". ", "。", "\u3000", "\n"])), max_size=120).map(
    lambda pairs: "".join(word + space for word, space in pairs).strip()
)


def check(text: str, spans: list[tuple[int, int]]) -> None:
    bounds = word_bounds(text)
    starts, ends = {first for first, _ in bounds}, {last for _, last in bounds}
    end, parts = 0, []
    for first, last in spans:
        assert end <= first < last, "in order, without overlap, not empty"
        assert first in starts and last in ends, "no word is cut"
        parts += [text[end:first], text[first:last]]
        end = last
    assert "".join([*parts, text[end:]]).encode() == text.encode(), "text and spans joined are the document"


@settings(max_examples=200, deadline=None)
@given(texts)
def test_words_cover_every_character_that_is_no_blank(text: str) -> None:
    bounds = word_bounds(text)
    assert count_words(text) == len(bounds)
    assert all(a < b <= c for (a, b), (c, _) in pairwise(bounds))
    assert "".join(text[a:b] for a, b in bounds) == "".join(text.split())


def test_a_chinese_character_is_a_word_with_its_punctuation() -> None:
    def cut(text: str) -> list[str]:
        return [text[a:b] for a, b in word_bounds(text)]

    assert cut("他说：“用Python3写，好吗？”") == ["他", "说：", "“用", "Python3", "写，", "好", "吗？”"]
    assert cut("涨了3.5%，从10：30到-5°C（晚）。") == ["涨", "了", "3.5%，", "从", "10：30", "到", "-5°C", "（晚）。"]
    assert cut("你😀好 don't well-known 好\u0301") == ["你😀", "好", "don't", "well-known", "好\u0301"]
    assert count_words("as they are, between blanks (and so on)") == 8


@settings(max_examples=200, deadline=None)
@given(texts, st.integers(0, 99), st.floats(0, 1), st.integers(1, 8), st.integers(1, 20))
def test_word_level_invariants(text: str, seed: int, share: float, least: int, mean: int) -> None:
    spans = word_level(text, WordSpans(share=share, min_words=least, mean_words=mean), rng(seed, "d"))
    check(text, spans)
    bounds = word_bounds(text)
    inside = [sum(a <= first < b for first, _ in bounds) for a, b in spans]
    between = [sum(a <= first < b for first, _ in bounds) for (_, a), (b, _) in pairwise(spans)]
    assert all(count >= least for count in inside)
    assert all(count >= 1 for count in between), "text between runs"


@settings(max_examples=200, deadline=None)
@given(texts, st.integers(0, 99), st.floats(0, 1), st.integers(1, 40))
def test_sentence_level_invariants(text: str, seed: int, share: float, most: int) -> None:
    spans = sentence_level(text, SentenceSpans(share=share, max_words=most), rng(seed, "d"))
    check(text, spans)
    assert all(count_words(text[a:b]) <= most for a, b in spans)
    assert not any("\n\n" in text[a:b] for a, b in spans), "a sentence ends with its paragraph"


@settings(max_examples=100, deadline=None)
@given(texts)
def test_context_invariants(text: str) -> None:
    check(text, sentence_spans(text))
    params = PARAMS.model_copy(update={"context_words": 8, "continuation_words": 5})
    found = context(text, params)
    if isinstance(found, str):
        assert found in ("context_too_short", "context_too_long", "continuation_too_short")
    else:
        check(text, [found])
        assert not text[: found[0]].strip()
        assert count_words(text[slice(*found)]) >= 8 and count_words(text[found[1] :]) >= 5


@pytest.mark.parametrize(("text", "language"), [(SENTENCE * 7, "en"), (CHINESE * 6, "zh")])
@pytest.mark.parametrize(("level", "wanted"), [(1.0, PARAMS.word.share), (0.0, PARAMS.sentence.share)])
def test_shares_are_met(level: float, wanted: float, text: str, language: str) -> None:
    counts = Counts()
    params = PARAMS.model_copy(update={"word_level": level})
    for number in range(300):
        segment(document(f"d-{number}", text, language=language), params, counts)
    name = "word" if level else "sentence"
    assert counts["chosen", name] / counts["words", name] == pytest.approx(wanted, abs=0.02)


def test_lengths_of_runs_have_the_mean_that_is_asked_for() -> None:
    lengths: Counter[int] = Counter()
    for number in range(300):
        spans = word_level(SENTENCE * 12, WordSpans(share=0.5, min_words=5, mean_words=10), rng(number, "d"))
        lengths.update(count_words((SENTENCE * 12)[a:b]) for a, b in spans)
    mean = sum(length * times for length, times in lengths.items()) / lengths.total()
    variance = sum((length - mean) ** 2 * times for length, times in lengths.items()) / lengths.total()
    assert mean == pytest.approx(10, abs=0.2) and variance == pytest.approx(5, abs=0.5), "5 + Poisson(5)"


def test_sentences_end_at_punctuation_but_not_at_abbreviations() -> None:
    spans = sentence_level(SENTENCE * 3, SentenceSpans(share=1.0, max_words=40), rng(1, "d"))
    assert [(SENTENCE * 3)[a:b] for a, b in spans] == [SENTENCE.strip()] * 3
    sent = "They sent Hon. James Bond and Rev. John Lee to Mt. Vernon."
    assert sentences(f"{sent} It rained.") == [sent, "It rained."]


def test_chinese_sentences_end_at_their_own_stops() -> None:
    assert sentences("天气很好。我们去公园吧！“好啊！”他说。 Mr. Smith left. 是吗？😀是的") == [
        "天气很好。",
        "我们去公园吧！",
        "“好啊！”",
        "他说。",
        "Mr. Smith left.",
        "是吗？😀",
        "是的",
    ]
    assert sentences("他想：“走吧……”然后走了。。。") == ["他想：“走吧……”", "然后走了。。。"]


def test_long_sentences_become_clauses() -> None:
    text = ", ".join(["one two three four five six seven"] * 5) + "."
    found = [text[a:b] for a, b in sentence_level(text, SentenceSpans(share=1.0, max_words=15), rng(1, "d"))]
    assert [len(part.split()) for part in found] == [14, 14, 7] and all(part[-1] in ",." for part in found)
    found = [CHINESE[a:b] for a, b in sentence_level(CHINESE, SentenceSpans(share=1.0, max_words=18), rng(1, "d"))]
    assert found == ["今年春天，", "我们在北京的老城里遇见了史密斯先生，", "他像往常一样说：“一切都很好！”"]


def test_context_is_whole_sentences_with_enough_after_them() -> None:
    short = SENTENCE * 7
    found = context(short, PARAMS)
    assert short[slice(*found)] == (SENTENCE * 2).strip()  # 18 words each, at least 30 asked for
    assert context(SENTENCE * 3, PARAMS) == "continuation_too_short"
    assert context("well " * 200, PARAMS) == "context_too_long"
    assert context("Hello.", PARAMS) == "context_too_short"
    assert (CHINESE * 3)[slice(*context(CHINESE * 3, PARAMS))] == CHINESE


def test_switches_between_text_and_speech() -> None:
    text = "a b. c d. e f."
    assert switches(text, []) == 0
    assert switches(text, [(0, len(text))]) == 0
    assert switches(text, [(0, 4)]) == 1
    assert switches(text, [(5, 9)]) == 2
    assert switches(text, [(0, 4), (5, 9)]) == 1, "nothing is read between two spans"
    assert switches(text, [(0, 4), (10, 14)]) == 2


def test_spans_do_not_depend_on_the_other_documents() -> None:
    documents = [document(f"d-{n}", SENTENCE * 7) for n in range(6)]
    alone = [row for doc in documents for row in segment(doc, PARAMS, Counts())]
    other_way = [row for doc in reversed(documents) for row in segment(doc, PARAMS, Counts())]
    assert sorted(alone, key=lambda r: r["utt_id"]) == sorted(other_way, key=lambda r: r["utt_id"])


def test_a_sign_without_a_reading_leaves_its_span_as_text() -> None:
    """Spoken as nothing, it would be learnt as silence: such a span is counted by the sign, and the others are spoken."""
    counts = Counts()
    text = " ".join(["We saw that the ∮ of it was small.", SENTENCE.strip(), "Then p ⊕ q was asked, and nobody knew."])
    rows = segment(document("d", text), PARAMS.model_copy(update={"word_level": 0.0, "sentence": SPEAK_ALL}), counts)
    assert [row["written"] for row in rows] == [SENTENCE.strip()]
    assert {key[1]: counts[key] for key in counts if key[0] == "dropped"} == {"cannot_read: ∮": 1, "cannot_read: ⊕": 1}
    assert counts["spans", "in"] == len(rows) + 2


SPEAK_ALL = SentenceSpans(share=1.0, max_words=40)


def test_what_cannot_be_spoken_is_dropped_with_a_reason() -> None:
    counts = Counts()
    params = PARAMS.model_copy(update={"word_level": 1.0, "word": WordSpans(share=1.0, min_words=5, mean_words=5)})
    assert segment(document("d", "*** ~~ ... *** " * 20), params, counts) == []
    long = params.model_copy(update={"word": WordSpans(share=1.0, min_words=12, mean_words=12)})
    assert segment(document("e", "$987,654,321.98 " * 24), long, counts) == []
    assert counts["dropped", "nothing_to_speak"] and counts["dropped", "too_long_to_speak"]
    assert counts["spans", "in"] == counts["dropped", "nothing_to_speak"] + counts["dropped", "too_long_to_speak"]
    assert counts["documents", "in"] == counts["without_span", "no_span"] == 2
