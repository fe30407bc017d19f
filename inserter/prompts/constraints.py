"""Draw the arguments of IFEval's 25 instruction types, and say which two may share a prompt.

A constraint gives the checker's keyword arguments and the words that fill its wording. Counts are
spoken as words ("fewer than forty words"); the arguments are the checker's numbers. `languages`
defines how each language says counts.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from inserter.prompts.languages import Language
from inserter.prompts.prompt import Arguments
from inserter.prompts.worlds import Phrases, Topic

# Each can be heard as a letter ("a" and "i" are words), and each occurs in ordinary text.
LETTERS = "bcdfglmnoprstuw"
RELATIONS = ("less than", "at least")


@dataclass
class Draw:
    """The material from which a constraint draws."""

    rng: random.Random
    topic: Topic
    request: str
    phrases: Phrases
    taken: set[str] = field(default_factory=set)
    """Words of the topic that an earlier constraint of the same prompt has used."""

    @property
    def language(self) -> Language:
        return self.phrases.language

    def said(self, count: int) -> str:
        return self.language.number(count)

    def words(self, count: int) -> list[str]:
        free = [word for word in self.topic.words if word not in self.taken]
        chosen = self.rng.sample(free, min(count, len(free)))
        self.taken.update(chosen)
        return chosen


Drawn = tuple[Arguments, dict[str, str]]  # the checker's arguments, the words of the wording
Constraint = Callable[[Draw], Drawn]


def _existence(draw: Draw) -> Drawn:
    words = draw.words(2 if draw.taken else draw.rng.choice((2, 3)))
    return {"keywords": words}, {"words": draw.language.listed(words)}


def _forbidden(draw: Draw) -> Drawn:
    words = draw.words(2)
    return {"forbidden_words": words}, {"words": draw.language.listed(words)}


def _frequency(draw: Draw) -> Drawn:
    word, relation, count = draw.words(1)[0], draw.rng.choice(RELATIONS), draw.rng.choice((2, 3))
    kwargs = {"keyword": word, "frequency": count, "relation": relation}
    return kwargs, {"word": word, "relation": draw.phrases.relations[relation], "count": draw.said(count)}


def _letter(draw: Draw) -> Drawn:
    letter, relation, count = draw.rng.choice(LETTERS), draw.rng.choice(RELATIONS), draw.rng.choice((4, 6, 8, 10))
    kwargs = {"letter": letter, "let_frequency": count, "let_relation": relation}
    return kwargs, {"letter": letter.upper(), "relation": draw.phrases.relations[relation], "count": draw.said(count)}


def _language(draw: Draw) -> Drawn:
    code = draw.rng.choice(sorted(draw.language.tongues))
    return {"language": code}, {"language": draw.language.tongues[code]}


def _number_words(draw: Draw) -> Drawn:
    counts = draw.language.word_counts
    return _compared("num_words", "relation", counts["less than"], least=counts["at least"])(draw)


def _compared(name: str, relation_name: str, less: tuple[int, ...], *, least: tuple[int, ...]) -> Constraint:
    """Return a constraint that draws a count with a relation.

    The counts must be so small that an answer of about 70 words can satisfy them.
    """

    def draw_count(draw: Draw) -> Drawn:
        relation = draw.rng.choice(RELATIONS)
        count = draw.rng.choice(less if relation == "less than" else least)
        slots = {"relation": draw.phrases.relations[relation], "count": draw.said(count)}
        return {name: count, relation_name: relation}, slots

    return draw_count


def _counted(name: str, counts: tuple[int, ...]) -> Constraint:
    def draw_count(draw: Draw) -> Drawn:
        count = draw.rng.choice(counts)
        return {name: count}, {"count": draw.said(count)}

    return draw_count


def _nth_paragraph(draw: Draw) -> Drawn:
    count = draw.rng.choice((2, 3))
    nth, word = draw.rng.randint(1, count), draw.rng.choice(draw.phrases.first_words)
    kwargs = {"num_paragraphs": count, "nth_paragraph": nth, "first_word": word}
    return kwargs, {"count": draw.said(count), "nth": draw.language.place(nth), "word": word}


def _postscript(draw: Draw) -> Drawn:
    marker = draw.rng.choice(draw.language.markers)
    return {"postscript_marker": marker}, {"marker": marker}


def _sections(draw: Draw) -> Drawn:
    splitter, count = draw.rng.choice(draw.phrases.splitters), draw.rng.choice((2, 3))
    return {"section_spliter": splitter, "num_sections": count}, {"splitter": splitter, "count": draw.said(count)}


def _repeat(draw: Draw) -> Drawn:
    # The last mark is left out. So an answer that ends the repeated request with a colon or a full
    # stop passes.
    return {"prompt_to_repeat": draw.request.rstrip(".?。？")}, {}


def _end_phrase(draw: Draw) -> Drawn:
    phrase = draw.rng.choice(draw.phrases.end_phrases)
    return {"end_phrase": phrase}, {"phrase": phrase}


def _nothing(draw: Draw) -> Drawn:
    return {}, {}


CONSTRAINTS: dict[str, Constraint] = {
    "keywords:existence": _existence,
    "keywords:frequency": _frequency,
    "keywords:forbidden_words": _forbidden,
    "keywords:letter_frequency": _letter,
    "language:response_language": _language,
    "length_constraints:number_sentences": _compared("num_sentences", "relation", (3, 4, 5), least=(2, 3, 4)),
    "length_constraints:number_paragraphs": _counted("num_paragraphs", (2, 3)),
    "length_constraints:number_words": _number_words,
    "length_constraints:nth_paragraph_first_word": _nth_paragraph,
    "detectable_content:number_placeholders": _counted("num_placeholders", (2, 3)),
    "detectable_content:postscript": _postscript,
    "detectable_format:number_bullet_lists": _counted("num_bullets", (2, 3, 4)),
    "detectable_format:constrained_response": _nothing,
    "detectable_format:number_highlighted_sections": _counted("num_highlights", (2, 3)),
    "detectable_format:multiple_sections": _sections,
    "detectable_format:json_format": _nothing,
    "detectable_format:title": _nothing,
    "combination:two_responses": _nothing,
    "combination:repeat_prompt": _repeat,
    "startend:end_checker": _end_phrase,
    "change_case:capital_word_frequency": _compared("capital_frequency", "capital_relation", (2, 3, 4), least=(2, 3)),
    "change_case:english_capital": _nothing,
    "change_case:english_lowercase": _nothing,
    "punctuation:no_comma": _nothing,
    "startend:quotation": _nothing,
}

# Two constraints of one prompt are two of these, except the pairs in CONFLICTS. A pair conflicts
# when its constraints contradict each other, or when only an odd answer satisfies both. For
# example, an asterisk at the start of a line would count as a highlight and as a bullet.
COMBINABLE = (
    "keywords:existence",
    "keywords:forbidden_words",
    "length_constraints:number_sentences",
    "length_constraints:number_words",
    "detectable_content:postscript",
    "detectable_format:number_bullet_lists",
    "detectable_format:number_highlighted_sections",
    "detectable_format:title",
    "startend:end_checker",
    "change_case:english_capital",
    "change_case:english_lowercase",
    "punctuation:no_comma",
    "startend:quotation",
)
CONFLICTS = frozenset(
    frozenset(pair)
    for pair in (
        ("length_constraints:number_sentences", "length_constraints:number_words"),
        ("length_constraints:number_sentences", "detectable_format:number_bullet_lists"),
        ("length_constraints:number_sentences", "detectable_content:postscript"),
        ("length_constraints:number_sentences", "startend:end_checker"),
        ("detectable_content:postscript", "startend:end_checker"),
        ("detectable_content:postscript", "startend:quotation"),
        ("detectable_format:number_bullet_lists", "detectable_format:number_highlighted_sections"),
        ("detectable_format:number_bullet_lists", "startend:quotation"),
        ("detectable_format:title", "startend:quotation"),
        ("startend:end_checker", "startend:quotation"),
        ("change_case:english_capital", "change_case:english_lowercase"),
    )
)


def partners(kind: str) -> list[str]:
    """Return the types that may share a prompt with `kind`."""
    if kind not in COMBINABLE:
        return []
    return [other for other in COMBINABLE if other != kind and frozenset((kind, other)) not in CONFLICTS]
