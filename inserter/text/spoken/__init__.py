"""Turn a text into its spoken form, which a voice reads and a transcript is compared with."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from inserter.text.spoken.chinese import chinese
from inserter.text.spoken.english import english
from inserter.text.spoken.other import other
from inserter.text.spoken.refusal import CannotRead

__all__ = ["CannotRead", "max_characters", "readings", "speakable", "spoken_form"]

# Whisper hears at most 30 s. In English the default voice speaks at least 15.5 characters per
# second, and 14 at rate 0.9, so 400 characters take 29 s. Chinese and Japanese characters are
# syllables: at 4 per second, 100 of them take 25 s.
MAX_CHARACTERS = {"zh": 100, "ja": 100}
MAX_CHARACTERS_ELSEWHERE = 400


def spoken_form(text: str, language: str) -> str:
    """Return `text` as it is read aloud, on one line.

    Numbers, dates, money, times, ordinals, abbreviations and symbols become words. language: the
    ISO 639-1 code.

    - English becomes letters and `. , ; : ? ! ' -`.
    - Chinese becomes Chinese characters, Latin words and `，。？！、`.
    - Any other language keeps its letters and its own punctuation. Its numbers become words where
      `languages.yaml` has the language.

    The result is "" when nothing is left to read. Raises CannotRead for a sign or a number without
    a reading here.
    """
    if language == "en":
        return english(text)
    return chinese(text) if language == "zh" else other(text, language)


def readings(texts: Iterable[str], language: str) -> Iterator[str]:
    """Yield the spoken forms of those texts that have one."""
    for text in texts:
        with suppress(CannotRead):
            yield spoken_form(text, language)


def speakable(spoken: str) -> bool:
    """Return whether the spoken form has a letter or a digit, so a voice has something to say."""
    return any(character.isalnum() for character in spoken)


def max_characters(language: str) -> int:
    """Return the length of the longest spoken form that a clip has room for."""
    return MAX_CHARACTERS.get(language, MAX_CHARACTERS_ELSEWHERE)
