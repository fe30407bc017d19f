"""Give each of the 25 instruction types its check, and each keyword argument its reader."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from inserter.scoring.ifeval import arguments as read
from inserter.scoring.ifeval import content, structure
from inserter.scoring.ifeval import reader as robust
from inserter.scoring.ifeval.arguments import Mode, Reader, Unscorable


@dataclass(frozen=True)
class Check:
    """The check of one instruction type."""

    test: Callable[..., bool]
    """The published rule: `test(response, **arguments)`."""

    arguments: dict[str, Reader] = field(default_factory=dict)
    """The reader of each keyword argument."""

    consistent: Callable[..., None] | None = None
    """`consistent(**arguments)` raises ValueError if the arguments contradict each other."""

    robust: Callable[..., bool] | None = None
    """Replaces `test` in robust mode, where the published rule fails on how a text is written."""

    def passes(self, response: str, arguments: Mapping[str, object], mode: Mode) -> bool:
        """Return whether the check passes on a response that is not blank.

        In robust mode the response has gone through `as_read`.
        """
        test = self.robust if mode == "robust" and self.robust else self.test
        return test(response, **arguments)

    def read(self, kwargs: object, mode: Mode = "robust") -> dict[str, object]:
        """Return the arguments as `test` takes them.

        Raise Unscorable if an argument is missing or cannot be used. In reference mode, what is
        false in Python (None, 0, "", []) counts as missing. Reference mode refuses an argument that
        the check does not have.

        In robust mode only None and NaN count as missing. Robust mode ignores an argument that the
        check does not have: data sets with one schema for all types carry such arguments.
        """
        if kwargs is None and mode == "robust":
            kwargs = {}
        if not isinstance(kwargs, dict):
            raise Unscorable("unusable argument", f"the arguments are not an object: {read.short(kwargs)}")
        given = {name: value for name, value in kwargs.items() if (value if mode == "reference" else not _missing(value))}
        if mode == "reference" and (others := sorted(given.keys() - self.arguments.keys())):
            raise Unscorable("unexpected argument", read.short(others))
        return self._parse(given, mode)

    def _parse(self, given: Mapping[str, object], mode: Mode) -> dict[str, object]:
        values: dict[str, object] = {}
        for name, reader in self.arguments.items():
            if name not in given:
                raise Unscorable("missing argument", name)
            try:
                values[name] = reader(given[name], mode)
            except ValueError as error:
                raise Unscorable("unusable argument", f"{name} {error}") from error
        if self.consistent:
            try:
                self.consistent(**values)
            except ValueError as error:
                raise Unscorable("unusable argument", str(error)) from error
        return values


def _missing(value: object) -> bool:
    """Return whether a value is None, or NaN, as pandas writes None."""
    return value is None or (isinstance(value, float) and value != value)


CHECKS: dict[str, Check] = {
    "keywords:existence": Check(content.existence, {"keywords": read.patterns}),
    "keywords:frequency": Check(content.frequency, {"keyword": read.pattern, "frequency": read.number, "relation": read.relation}),
    "keywords:forbidden_words": Check(content.forbidden_words, {"forbidden_words": read.words}),
    "keywords:letter_frequency": Check(
        content.letter_frequency, {"letter": read.letter, "let_frequency": read.number, "let_relation": read.relation}
    ),
    "language:response_language": Check(content.response_language, {"language": read.language}),
    "length_constraints:number_sentences": Check(
        structure.number_sentences,
        {"num_sentences": read.number, "relation": read.relation},
        robust=robust.number_sentences,
    ),
    "length_constraints:number_paragraphs": Check(structure.number_paragraphs, {"num_paragraphs": read.number}),
    "length_constraints:number_words": Check(
        structure.number_words,
        {"num_words": read.number, "relation": read.relation},
        robust=robust.number_words,
    ),
    "length_constraints:nth_paragraph_first_word": Check(
        structure.nth_paragraph_first_word,
        {"num_paragraphs": read.number, "nth_paragraph": read.position, "first_word": read.text},
        structure.nth_within,
        robust=robust.nth_paragraph_first_word,
    ),
    "detectable_content:number_placeholders": Check(content.number_placeholders, {"num_placeholders": read.number}),
    "detectable_content:postscript": Check(content.postscript, {"postscript_marker": read.postscript}),
    "detectable_format:number_bullet_lists": Check(
        structure.number_bullet_lists, {"num_bullets": read.number}, robust=robust.number_bullet_lists
    ),
    "detectable_format:constrained_response": Check(structure.constrained_response),
    "detectable_format:number_highlighted_sections": Check(structure.number_highlighted_sections, {"num_highlights": read.number}),
    "detectable_format:multiple_sections": Check(
        structure.multiple_sections, {"section_spliter": read.section, "num_sections": read.number}
    ),
    "detectable_format:json_format": Check(structure.json_format, robust=robust.json_format),
    "detectable_format:title": Check(structure.title, robust=robust.title),
    "combination:two_responses": Check(structure.two_responses),
    "combination:repeat_prompt": Check(content.repeat_prompt, {"prompt_to_repeat": read.text}, robust=robust.repeat_prompt),
    "startend:end_checker": Check(content.end_checker, {"end_phrase": read.text}, robust=robust.end_checker),
    "change_case:capital_word_frequency": Check(
        content.capital_word_frequency, {"capital_frequency": read.number, "capital_relation": read.relation}
    ),
    "change_case:english_capital": Check(content.english_capital),
    "change_case:english_lowercase": Check(content.english_lowercase),
    "punctuation:no_comma": Check(content.no_comma, robust=robust.no_comma),
    "startend:quotation": Check(content.quotation, robust=robust.quotation),
}
