"""Find what several checks look at: Han characters, sentences, tokens, the language.

Tools are loaded once, when they are first needed.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langdetect_rs import DetectorFactory
    from nltk.tokenize.destructive import NLTKWordTokenizer
    from nltk.tokenize.punkt import PunktTokenizer

HAN = re.compile("[\u4e00-\u9fff]")
# A token in capitals has a capital that no small letter follows. Treebank splits two letters only
# inside a contraction, and only 'Tis and 'Twas leave a capital by itself. Other scripts are not
# examined: any character that is not ASCII may be a capital.
MAY_HAVE_CAPITALS = re.compile(r"[A-Z](?![a-z])|[^\x00-\x7f]|'T(?:is|was)", re.ASCII)


def is_blank(text: str) -> bool:
    return not text or text.isspace()


def has_han(text: str) -> bool:
    return not text.isascii() and HAN.search(text) is not None


@lru_cache(1)
def _punkt() -> "PunktTokenizer":
    """Return nltk's English Punkt model from the project's assets, without a download."""
    import nltk
    from nltk.tokenize.punkt import PunktTokenizer

    from inserter.assets import punkt_folder

    folder = str(punkt_folder())
    if folder not in nltk.data.path:
        nltk.data.path.insert(0, folder)
    return PunktTokenizer("english")


@lru_cache(1)
def _treebank() -> "NLTKWordTokenizer":
    from nltk.tokenize.destructive import NLTKWordTokenizer

    return NLTKWordTokenizer()


@lru_cache(64)
def sentences(text: str) -> tuple[str, ...]:
    """Return the English sentences of a text, by Punkt."""
    return tuple(_punkt().tokenize(text))


def tokens(text: str) -> list[str]:
    """Return the Penn Treebank tokens, sentence by sentence: nltk's `word_tokenize`."""
    return [token for sentence in sentences(text) for token in _treebank().tokenize(sentence)]


def count_capitals(text: str) -> int:
    """Return the number of tokens in capitals.

    Only sentences that may have such a token are cut into tokens, each once for all loose forms.
    """
    return sum(map(_capitals_in, sentences(text))) if MAY_HAVE_CAPITALS.search(text) else 0


@lru_cache(512)
def _capitals_in(sentence: str) -> int:
    if not MAY_HAVE_CAPITALS.search(sentence):
        return 0
    return sum(token.isupper() for token in _treebank().tokenize(sentence))


@lru_cache(1)
def _detectors() -> "DetectorFactory":
    """Return a seeded langdetect factory of our own.

    The process-wide factory of the package stays as it is. langdetect-rs gives langdetect's answers
    bit for bit, 37 times as fast. Loading takes 0.1 s.

    The profiles are langdetect's, read in name order, so that sums round alike everywhere. The
    package takes the file system's order.
    """
    from langdetect.detector_factory import PROFILES_DIRECTORY
    from langdetect_rs import DetectorFactory

    profiles = sorted(path for path in Path(PROFILES_DIRECTORY).iterdir() if not path.name.startswith("."))
    factory = DetectorFactory()
    factory.load_json_profile([path.read_text(encoding="utf-8") for path in profiles if path.is_file()])
    factory.set_seed(0)
    return factory


def languages() -> list[str]:
    """Return the 55 codes that can be detected."""
    return _detectors().langlist


@lru_cache(64)
def language_of(text: str) -> str | None:
    """Return langdetect's code for `text`, the same on every call.

    Return None if langdetect has nothing to go by (digits, symbols).
    """
    from langdetect_rs import LangDetectException

    detector = _detectors().create()
    try:
        detector.append(text)
        return detector.detect()
    except LangDetectException:
        return None
