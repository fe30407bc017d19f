"""Robust mode: judge as a reader would, where the published rule fails on how a text is written.

docs/SCORING.md lists these cases. Every robust check looks at the text that `as_read` returns. The
functions replace those of `content.py` and `structure.py`, and agree with them on ordinary text.
"""

import re
import unicodedata
from collections.abc import Callable

from inserter.scoring.ifeval import content, structure
from inserter.scoring.ifeval.text import has_han, is_blank, sentences

Relation = Callable[[float, float], bool]

LINE_ENDS = re.compile("\r\n|[\r\u2028\u2029\x85\x0b\x0c]")
# Zero-width space, word joiner, byte order mark, soft hyphen.
UNSEEN = re.compile("[\u200b\u2060\ufeff\u00ad]")
SPACES = re.compile("[\u00a0\u2000-\u200a\u202f\u205f\u3000]")
BLANK_LINE = re.compile(r"(?<=\n)[ \t]+(?=\n)")
RULE = re.compile(r"^[ \t]*(?:[*-][ \t]*){3,}$", re.MULTILINE)  # a line across the page
# `\w` has no vowel signs, as in Hindi, and would split words there.
SIGNS = "".join(sign for sign in map(chr, range(0x300, 0x3100)) if unicodedata.category(sign) in ("Mn", "Mc")) + "\u200c\u200d"
WORD = re.compile(rf"[\w{SIGNS}]*[^\W_][\w{SIGNS}]*")
FENCE = re.compile(r"(?:```+|~~~+)[ \t]*[\w+-]*[ \t]*\n?(.*?)\n?[ \t]*(?:```+|~~~+)?", re.DOTALL)
TITLE = re.compile(r"(?:＜＜|«)([^\n]+?)(?:＞＞|»)")
QUOTES = {'"': '"”', "“": '"”', "„": "“”", "«": "»", "»": "«", "＂": "＂"}
STRAIGHT = str.maketrans("‘’‛“”„‟", '\'\'\'""""')


def as_read(text: str) -> str:
    """Return `text` with line ends as \\n, spaces as blanks and accents composed.

    Characters that are not seen are removed.
    """
    if text.isascii() and not LINE_ENDS.search(text):
        return text
    return unicodedata.normalize("NFC", SPACES.sub(" ", UNSEEN.sub("", LINE_ENDS.sub("\n", text))))


def folded(text: str) -> str:
    """Return `text` without the differences that a reader does not mind.

    These are differences of case, width, quotation marks and runs of space.
    """
    return " ".join(unicodedata.normalize("NFKC", text.translate(STRAIGHT)).casefold().split())


def repeat_prompt(response: str, prompt_to_repeat: str) -> bool:
    """Return whether the response starts with the prompt.

    Blanks and quotation marks may be written otherwise.
    """
    return folded(response).startswith(folded(prompt_to_repeat))


def end_checker(response: str, end_phrase: str) -> bool:
    """Apply the published rule, but require a phrase of punctuation alone to be there itself.

    Such a phrase may stand before a closing quotation mark.
    """
    if any(character.isalnum() for character in end_phrase):
        return content.end_checker(" ".join(response.split()), " ".join(end_phrase.split()))
    text, phrase = folded(response), folded(end_phrase)
    return text.endswith(phrase) or text.rstrip("*_\"'»」』 ").endswith(phrase)


def no_comma(response: str) -> bool:
    """Return whether there is no comma of any width or script.

    The enumeration comma 、 is allowed, as in the published rule.
    """
    return not any(comma in response for comma in ",，﹐︐،")


def quotation(response: str) -> bool:
    """Return whether something stands in double quotation marks, also German or French ones."""
    stripped = response.strip()
    return len(stripped) > 2 and stripped[-1] in QUOTES.get(stripped[0], "") and not is_blank(stripped[1:-1])


def number_sentences(response: str, num_sentences: float, relation: Relation) -> bool:
    """Apply the published rule, but count no sentence of emoji alone."""
    pieces = structure.SENTENCE_END.split(response) if has_han(response) else sentences(response)
    return relation(sum(not _only_symbols(piece) for piece in pieces), num_sentences)


def _only_symbols(piece: str) -> bool:
    """Return whether there is nothing but space and emoji.

    Emoji are symbols, and the marks that change or join them.
    """
    return all(character.isspace() or unicodedata.category(character) in ("So", "Sk", "Mn", "Cf") for character in piece)


def number_words(response: str, num_words: float, relation: Relation) -> bool:
    """Apply the published rule, but a run of _ is no word, and a vowel sign splits no word."""
    if has_han(response):
        return structure.number_words(response, num_words, relation)
    return relation(len(WORD.findall(response)), num_words)


def nth_paragraph_first_word(response: str, num_paragraphs: float, nth_paragraph: int, *, first_word: str) -> bool:
    """Apply the published rule, and take a line of blanks for an empty line."""
    return structure.nth_paragraph_first_word(BLANK_LINE.sub("", response), num_paragraphs, nth_paragraph, first_word=first_word)


def number_bullet_lists(response: str, num_bullets: float) -> bool:
    """Apply the published rule, but a line across the page is no item."""
    return structure.number_bullet_lists(RULE.sub("", response), num_bullets)


def json_format(response: str) -> bool:
    """Return whether the response is JSON, without a fence or in a fence of any language."""
    fenced = FENCE.fullmatch(response.strip())
    return structure.json_format(response) or (fenced is not None and structure.json_format(fenced[1]))


def title(response: str) -> bool:
    """Apply the published rule, and accept other marks that look like << and >>."""
    return structure.title(response) or any(any(map(str.isalnum, found)) for found in TITLE.findall(response))
