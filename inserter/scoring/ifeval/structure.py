"""Check how a response is laid out: lengths, paragraphs, lists, sections, JSON, title and more.

Rules and conventions are those of `content.py`.
"""

import json
import re
from collections.abc import Callable

from inserter.scoring.ifeval.text import HAN, has_han, is_blank, sentences

Relation = Callable[[float, float], bool]

SENTENCE_END = re.compile("[！？。]")
WORD = re.compile(r"\w+")
FIRST_WORD_END = re.compile("[.,?!'\"。，？！‘“”]")
PARAGRAPH_BREAK = re.compile(r"\s?\*\*\*\s?")
STAR_BULLET = re.compile(r"^\s*\*[^\*].*$", re.MULTILINE)
DASH_BULLET = re.compile(r"^\s*-.*$", re.MULTILINE)
HIGHLIGHT = re.compile(r"\*[^\n\*]*\*")
DOUBLE_HIGHLIGHT = re.compile(r"\*\*[^\n\*]*\*\*")
TITLE = re.compile(r"<<[^\n]+>>")
FENCES = ("```json", "```Json", "```JSON", "```")
CONSTRAINED = (
    "My answer is yes.",
    "My answer is no.",
    "My answer is maybe.",
    "我的答案是是的。",
    "我的答案是不是。",
    "我的答案是可能。",
)


def number_sentences(response: str, num_sentences: float, relation: Relation) -> bool:
    """length_constraints:number_sentences: the number of sentences fits the relation.

    In a text with Han characters, sentences are the pieces between 。！？. In other texts, Punkt
    finds English sentences.

    Source: SpeechInstructBench, which changes IFEval's NumberOfSentences.
    """
    pieces = SENTENCE_END.split(response) if has_han(response) else sentences(response)
    return relation(sum(not is_blank(piece) for piece in pieces), num_sentences)


def number_words(response: str, num_words: float, relation: Relation) -> bool:
    """length_constraints:number_words: the number of words fits the relation.

    In a text with Han characters, only these characters count. In other texts, runs of word
    characters count.

    Source: SpeechInstructBench, which changes IFEval's NumberOfWords.
    """
    count = len((HAN if has_han(response) else WORD).findall(response))
    return relation(count, num_words)


def number_paragraphs(response: str, num_paragraphs: float) -> bool:
    """length_constraints:number_paragraphs: exactly that many paragraphs between `***`.

    A blank paragraph in the middle fails.

    Source: IFEval's ParagraphChecker.
    """
    pieces = _without_blank_ends(PARAGRAPH_BREAK.split(response))
    return len(pieces) == num_paragraphs and not any(is_blank(piece) for piece in pieces)


def _without_blank_ends(pieces: list[str]) -> list[str]:
    """Return `pieces` without a blank first and a blank last one."""
    first = 1 if is_blank(pieces[0]) else 0
    last = len(pieces) - 1 if len(pieces) > 1 and is_blank(pieces[-1]) else len(pieces)
    return pieces[first:last]


def nth_paragraph_first_word(response: str, num_paragraphs: float, nth_paragraph: int, *, first_word: str) -> bool:
    """length_constraints:nth_paragraph_first_word: the nth paragraph starts with the word.

    The response has exactly `num_paragraphs` paragraphs between empty lines. n is the place among
    all pieces, blank ones too. In a paragraph with Han characters, the first characters are
    compared in their own case with the lower-cased word. In other paragraphs the first token, up to
    the first punctuation mark, is compared in lower case.

    Source: SpeechInstructBench, which changes IFEval's ParagraphFirstWordCheck.
    """
    pieces = response.split("\n\n")
    count = sum(not is_blank(piece) for piece in pieces)
    if nth_paragraph > count or count != num_paragraphs:
        return False
    paragraph, word = pieces[nth_paragraph - 1].strip(), first_word.lower()
    if not paragraph:
        return False
    if has_han(paragraph):
        return paragraph[: len(first_word)] == word
    token = paragraph.split()[0].lstrip("'").lstrip('"')
    return FIRST_WORD_END.split(token)[0].lower() == word


def nth_within(num_paragraphs: float, nth_paragraph: int, first_word: str) -> None:
    """Raise ValueError if the instruction asks for a paragraph beyond the last.

    The reference draws another paragraph in that case.
    """
    if nth_paragraph > num_paragraphs:
        raise ValueError(f"nth_paragraph {nth_paragraph} is beyond num_paragraphs {num_paragraphs}")


def number_bullet_lists(response: str, num_bullets: float) -> bool:
    """detectable_format:number_bullet_lists: exactly that many lines start with `*` or `-`.

    A line that starts with `**` does not count.

    Source: IFEval's BulletListChecker.
    """
    return len(STAR_BULLET.findall(response)) + len(DASH_BULLET.findall(response)) == num_bullets


def constrained_response(response: str) -> bool:
    """detectable_format:constrained_response: the response contains one of the three answers.

    The answers are in English or Chinese.

    Source: SpeechInstructBench, which changes IFEval's ConstrainedResponseChecker.
    """
    return any(answer in response for answer in CONSTRAINED)


def number_highlighted_sections(response: str, num_highlights: float) -> bool:
    """detectable_format:number_highlighted_sections: at least that many *spans* or **spans**.

    A blank span does not count.

    Source: IFEval's HighlightSectionChecker.
    """
    single = sum(not is_blank(span.strip("*")) for span in HIGHLIGHT.findall(response))
    double = sum(not is_blank(span[2:-2]) for span in DOUBLE_HIGHLIGHT.findall(response))
    return single + double >= num_highlights


def multiple_sections(response: str, section_spliter: re.Pattern[str], num_sections: float) -> bool:
    """detectable_format:multiple_sections: at least that many sections.

    Each section is opened by the splitter and digits.

    Source: IFEval's SectionChecker.
    """
    return len(section_spliter.split(response)) - 1 >= num_sections


def json_format(response: str) -> bool:
    """detectable_format:json_format: JSON (a scalar or NaN too), with or without a fence around it.

    Source: IFEval's JsonFormat.
    """
    body = response.strip()
    for fence in FENCES:
        body = body.removeprefix(fence)
    try:
        json.loads(body.removesuffix("```").strip())
    except (ValueError, RecursionError):  # nobody can read what is nested too deep for the parser
        return False
    return True


def title(response: str) -> bool:
    """detectable_format:title: <<something>> or 《something》 on one line.

    Source: SpeechInstructBench, which changes IFEval's TitleChecker.
    """
    found = TITLE.findall(response.replace("《", "<<").replace("》", ">>"))
    return any(not is_blank(span.lstrip("<").rstrip(">")) for span in found)


def two_responses(response: str) -> bool:
    """combination:two_responses: two different responses with `******` between.

    A blank piece may stand only at the very ends.

    Source: IFEval's TwoResponsesChecker.
    """
    pieces = [piece.strip() for piece in _without_blank_ends(response.split("******"))]
    return len(pieces) == 2 and all(pieces) and pieces[0] != pieces[1]
