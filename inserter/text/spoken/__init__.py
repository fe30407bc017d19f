"""The spoken form of a text: what a voice is given to read, and what a transcript is compared with."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from inserter.text.spoken.chinese import chinese
from inserter.text.spoken.english import english
from inserter.text.spoken.other import other
from inserter.text.spoken.refusal import CannotRead

__all__ = ["CannotRead", "max_characters", "readings", "speakable", "spoken_form"]

# Whisper hears 30 s at most. English: the default voice speaks 15.5 characters a second at its slowest, 14 at rate 0.9: 29 s.
# Chinese and Japanese characters are syllables: at 4 a second, 25 s.
MAX_CHARACTERS = {"zh": 100, "ja": 100}
MAX_CHARACTERS_ELSEWHERE = 400


def spoken_form(text: str, language: str) -> str:
    """`text` as it is read aloud: numbers, dates, money, times, ordinals, abbreviations and symbols in words, on one line.

    language: ISO 639-1. English comes out as letters and `. , ; : ? ! ' -`, Chinese as characters, Latin words and `，。？！、`;
    any other language as its letters and its own punctuation, with numbers in words where `languages.yaml` has it. "" when nothing
    is left to read. Raises CannotRead for a sign or a number that has no reading here.
    """
    if language == "en":
        return english(text)
    return chinese(text) if language == "zh" else other(text, language)


def readings(texts: Iterable[str], language: str) -> Iterator[str]:
    """The spoken forms of the texts that have one."""
    for text in texts:
        with suppress(CannotRead):
            yield spoken_form(text, language)


def speakable(spoken: str) -> bool:
    """Is there a letter or a digit in the spoken form, so that a voice has something to say?"""
    return any(character.isalnum() for character in spoken)


def max_characters(language: str) -> int:
    """The longest spoken form that a clip has room for."""
    return MAX_CHARACTERS.get(language, MAX_CHARACTERS_ELSEWHERE)
