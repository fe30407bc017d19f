"""What several checks look at: Han characters, sentences, tokens, the language. Tools load once, when first needed."""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

HAN = re.compile("[\u4e00-\u9fff]")


def is_blank(text: str) -> bool:
    return not text.strip()


@lru_cache(1)
def _punkt() -> Any:
    """nltk's English Punkt model, from the project's assets: no download."""
    import nltk
    from nltk.tokenize.punkt import PunktTokenizer

    from stages.common.assets import punkt_folder

    folder = str(punkt_folder())
    if folder not in nltk.data.path:
        nltk.data.path.insert(0, folder)
    return PunktTokenizer("english")


@lru_cache(1)
def _treebank() -> Any:
    from nltk.tokenize.destructive import NLTKWordTokenizer

    return NLTKWordTokenizer()


@lru_cache(1024)
def sentences(text: str) -> tuple[str, ...]:
    """English sentences by Punkt."""
    return tuple(_punkt().tokenize(text))


def tokens(text: str) -> list[str]:
    """Penn Treebank tokens, sentence by sentence: nltk's `word_tokenize`."""
    return [token for sentence in sentences(text) for token in _treebank().tokenize(sentence)]


@lru_cache(1)
def _detectors() -> Any:
    """A langdetect factory of our own, seeded, so that the process-wide one of the package stays as it is.

    Profiles are read in name order (the package takes the file system's) so that sums round alike everywhere. 0.6 s.
    """
    from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory

    profiles = sorted(path for path in Path(PROFILES_DIRECTORY).iterdir() if not path.name.startswith("."))
    factory = DetectorFactory()
    factory.load_json_profile([path.read_text(encoding="utf-8") for path in profiles if path.is_file()])
    factory.set_seed(0)
    return factory


def languages() -> list[str]:
    """The 55 codes that can be detected."""
    return _detectors().langlist


@lru_cache(1024)
def language_of(text: str) -> str | None:
    """langdetect's code for `text`, the same on every call; None when it has nothing to go by (digits, symbols)."""
    from langdetect.lang_detect_exception import LangDetectException

    detector = _detectors().create()
    try:
        detector.append(text)
        return detector.detect()
    except LangDetectException:
        return None
