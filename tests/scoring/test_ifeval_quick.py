"""What makes the checks quick changes no verdict: each shortcut against the slow path."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import langdetect
import nltk
from check_table import ENGLISH, LEAST, SPANISH, TABLE
from hypothesis import given, settings
from hypothesis import strategies as st

from inserter.scoring.ifeval import check, loose_forms, verdicts, without_marker
from inserter.scoring.ifeval.text import count_capitals, language_of, sentences

WORDS = [
    *ENGLISH.split(),
    *SPANISH.split(),
    "I",
    "I'm",
    "Don't",
    "DON'T",
    "'Tis",
    "'TWAS",
    "NASA's",
    "U.S.",
    "cannot",
    "CANNOT",
    "CANnot",
    "GIMme",
    "D'ye",
    "iPhone",
    "A,B",
    "(OK)",
    '"Yes"',
    "Über",
    "ÉTÉ",
    "今天",
    "下雨了。",
    "Привет",
    "КОТ",
    "https://a.example/X",
    "me@x.example",
    "...",
    "*",
    "1.5",
    "e.g.",
    "Mr.",
    "\n",
    "\n\n",
]
PROSE = st.lists(st.sampled_from(WORDS) | st.text("aB éß今И'.?!,-* \n\u00a0", max_size=6), max_size=25).map(" ".join)


@settings(max_examples=300, deadline=None)
@given(PROSE, st.integers(0, 4))
def test_the_quick_count_of_capitals_is_that_of_all_tokens(response, wanted):
    """Slow path: nltk's `word_tokenize` on everything, as the rule has it."""
    words = (word for sentence in sentences(response) for word in nltk.word_tokenize(sentence, preserve_line=True))
    slow = sum(word.isupper() for word in words)
    kwargs = {"capital_frequency": wanted, "capital_relation": LEAST}
    assert count_capitals(response) == slow
    assert check("change_case:capital_word_frequency", response, kwargs) is (bool(response.strip()) and slow >= wanted)


@settings(max_examples=300, deadline=None)
@given(PROSE)
def test_the_quick_language_is_langdetects(text):
    """Slow path: langdetect itself, in Python, with the same profiles and seed."""
    detector = slow_detectors().create()
    try:
        detector.append(text)
        slow = detector.detect()
    except langdetect.LangDetectException:
        slow = None
    assert language_of(text) == slow


@lru_cache(1)
def slow_detectors() -> Any:
    from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory

    factory = DetectorFactory()
    factory.load_json_profile([path.read_text("utf-8") for path in sorted(Path(PROFILES_DIRECTORY).glob("[!.]*"))])
    factory.set_seed(0)
    return factory


@settings(max_examples=150, deadline=None)
@given(PROSE, st.sampled_from(["reference", "robust"]))
def test_verdicts_are_those_of_each_form_by_itself(response, mode):
    """Slow path: every check on each of the eight forms, whatever passed before."""
    ids, kwargs = [row[0] for row in TABLE], [row[1] for row in TABLE]
    strict, loose = verdicts(ids, kwargs, response, mode=mode)
    for name, arguments, one, other in zip(ids, kwargs, strict, loose, strict=True):
        passed = [check(name, form, arguments, mode=mode) for form in loose_forms(without_marker(response))]
        assert (one, other) == (passed[0], any(passed)), name
