"""Robust mode: what a reader would say, where the published rule trips over how a text is written. docs/SCORING.md lists them.

`as_read` is what every robust check looks at. The functions take the place of those of `content.py` and `structure.py`, and
agree with them on ordinary text.
"""

import re
import unicodedata
from collections.abc import Callable

from inserter.scoring.ifeval import content, structure
from inserter.scoring.ifeval.text import has_han, is_blank, sentences

Relation = Callable[[float, float], bool]

LINE_ENDS = re.compile("\r\n|[\r\u2028\u2029\x85\x0b\x0c]")
UNSEEN = re.compile("[\u200b\u2060\ufeff\u00ad]")  # zero-width space, word joiner, byte order mark, soft hyphen
SPACES = re.compile("[\u00a0\u2000-\u200a\u202f\u205f\u3000]")
BLANK_LINE = re.compile(r"(?<=\n)[ \t]+(?=\n)")
RULE = re.compile(r"^[ \t]*(?:[*-][ \t]*){3,}$", re.MULTILINE)  # a line across the page
# `\w` has no vowel signs, of Hindi for one, and would part words there
SIGNS = "".join(sign for sign in map(chr, range(0x300, 0x3100)) if unicodedata.category(sign) in ("Mn", "Mc")) + "\u200c\u200d"
WORD = re.compile(rf"[\w{SIGNS}]*[^\W_][\w{SIGNS}]*")
FENCE = re.compile(r"(?:```+|~~~+)[ \t]*[\w+-]*[ \t]*\n?(.*?)\n?[ \t]*(?:```+|~~~+)?", re.DOTALL)
TITLE = re.compile(r"(?:＜＜|«)([^\n]+?)(?:＞＞|»)")
QUOTES = {'"': '"”', "“": '"”', "„": "“”", "«": "»", "»": "«", "＂": "＂"}
STRAIGHT = str.maketrans("‘’‛“”„‟", '\'\'\'""""')


def as_read(text: str) -> str:
    """Every line end as \\n, every space as a blank, nothing that is not seen, accents composed."""
    if text.isascii() and not LINE_ENDS.search(text):
        return text
    return unicodedata.normalize("NFC", SPACES.sub(" ", UNSEEN.sub("", LINE_ENDS.sub("\n", text))))


def folded(text: str) -> str:
    """`text` as far as it is the same to a reader: case, width, quotation marks and runs of space aside."""
    return " ".join(unicodedata.normalize("NFKC", text.translate(STRAIGHT)).casefold().split())


def repeat_prompt(response: str, prompt_to_repeat: str) -> bool:
    """Starts with the prompt, however its blanks and quotation marks are written."""
    return folded(response).startswith(folded(prompt_to_repeat))


def end_checker(response: str, end_phrase: str) -> bool:
    """As the published rule; a phrase of punctuation alone has to be there itself, also before a closing quotation mark."""
    if any(character.isalnum() for character in end_phrase):
        return content.end_checker(" ".join(response.split()), " ".join(end_phrase.split()))
    text, phrase = folded(response), folded(end_phrase)
    return text.endswith(phrase) or text.rstrip("*_\"'»」』 ").endswith(phrase)


def no_comma(response: str) -> bool:
    """No comma of any width or script; the enumeration comma 、 is allowed, as in the published rule."""
    return not any(comma in response for comma in ",，﹐︐،")


def quotation(response: str) -> bool:
    """Something stands in double quotation marks, of German or French too."""
    stripped = response.strip()
    return len(stripped) > 2 and stripped[-1] in QUOTES.get(stripped[0], "") and not is_blank(stripped[1:-1])


def number_sentences(response: str, num_sentences: float, relation: Relation) -> bool:
    """As the published rule, but emoji alone are no sentence."""
    pieces = structure.SENTENCE_END.split(response) if has_han(response) else sentences(response)
    return relation(sum(not _only_symbols(piece) for piece in pieces), num_sentences)


def _only_symbols(piece: str) -> bool:
    """Whether there is nothing but emoji and space: symbols, and the marks that change or join them."""
    return all(character.isspace() or unicodedata.category(character) in ("So", "Sk", "Mn", "Cf") for character in piece)


def number_words(response: str, num_words: float, relation: Relation) -> bool:
    """As the published rule, but a run of _ is no word, and a vowel sign parts none."""
    if has_han(response):
        return structure.number_words(response, num_words, relation)
    return relation(len(WORD.findall(response)), num_words)


def nth_paragraph_first_word(response: str, num_paragraphs: float, nth_paragraph: int, first_word: str) -> bool:
    """As the published rule; a line of blanks is an empty line."""
    return structure.nth_paragraph_first_word(BLANK_LINE.sub("", response), num_paragraphs, nth_paragraph, first_word)


def number_bullet_lists(response: str, num_bullets: float) -> bool:
    """As the published rule, but a line across the page is no item."""
    return structure.number_bullet_lists(RULE.sub("", response), num_bullets)


def json_format(response: str) -> bool:
    """JSON, with or without a fence around it, whatever language the fence names."""
    fenced = FENCE.fullmatch(response.strip())
    return structure.json_format(response) or (fenced is not None and structure.json_format(fenced[1]))


def title(response: str) -> bool:
    """As the published rule, and with other marks that look like << and >>."""
    return structure.title(response) or any(any(map(str.isalnum, found)) for found in TITLE.findall(response))
