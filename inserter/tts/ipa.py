"""Make English phonemes in the symbols of espeak-ng, without a GPL phonemiser.

The phonemes come from hibari's own rules and lexicon (Apache-2.0). Piper voices were trained on the
symbols that espeak-ng writes, so they need these as input. hibari writes misaki's alphabet, in
which diphthongs and affricates are one letter and American vowels have no length. The table of
letters is misaki's own; the lengths are espeak-ng's.
"""

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hibari import Hibari

_LETTERS = str.maketrans(
    {"A": "eɪ", "I": "aɪ", "O": "oʊ", "W": "aʊ", "Y": "ɔɪ", "Q": "əʊ", "ʤ": "dʒ", "ʧ": "tʃ", "T": "ɾ", "ᵊ": "ə"}
)
_AMERICAN = [
    (re.compile("ɜɹ"), "ɜː"),
    (re.compile("əɹ"), "ɚ"),
    (re.compile("([ɑɔu])(?!ː)"), r"\1ː"),
    (re.compile("([ˈˌ])i(?!ː)"), r"\1iː"),
]


def phonemes(text: str, british: bool = False) -> list[str]:
    """Return espeak-ng's symbols for each sentence of `text`.

    A sentence of more than 400 symbols is cut at its clauses.
    """
    return [to_espeak(sentence, british) for sentence in _hibari(british).phonemize(text)]


def to_espeak(misaki: str, british: bool = False) -> str:
    """Return misaki's symbols as espeak-ng's."""
    # British vowels have their lengths already.
    for pattern, symbols in () if british else _AMERICAN:
        misaki = pattern.sub(symbols, misaki)
    return misaki.translate(_LETTERS)


@lru_cache(maxsize=2)
def _hibari(british: bool) -> "Hibari":
    from hibari import Hibari
    from hibari.g2p import G2P

    return Hibari(g2p=G2P(british=british), threads=1)
