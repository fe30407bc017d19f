"""Names of the benchmark's parts in plain words."""

from collections.abc import Mapping

FORMS = {
    "heard": "heard",
    "read": "read",
    "cascade": "cascade",
    "lm": "LM",
    "asr_lm": "ASR + LM",
    "chance": "chance",
}  # column headings, in the order of the table
TASKS = {"closed": "Closed-ended", "open": "Open-ended", "adjustment": "Adjustment"}
FOLLOWED = {
    "closed": "Instructions followed, %: the mean of strict and loose checking",
    "open": "Questions about the answer that the judge answers with yes, %",
    "adjustment": "Items in which the spoken correction is followed (IAR), %",
}
LANGUAGES = {"en": "English", "cn": "Chinese"}
VARIANTS = {
    "standard": "Clean speech",
    "background": "Background noise",
    "accent": "Another accent",
    "paralinguistics": "Manner of speaking",
    "disfluency": "Disfluencies",
}
# Instruction type: its name, and its rule with places for the values of the arguments.
# inserter/scoring/ifeval implements the rules.
CHECKS = {
    "keywords:existence": ("Keywords", "uses {keywords}"),
    "keywords:frequency": ("Keyword frequency", "uses {keyword} {relation} {frequency} times"),
    "keywords:forbidden_words": ("Forbidden words", "avoids {forbidden_words}"),
    "keywords:letter_frequency": ("Letter frequency", "has the letter {letter} {let_relation} {let_frequency} times"),
    "language:response_language": ("Response language", "is written in the language with the code {language}"),
    "length_constraints:number_sentences": ("Number of sentences", "has {relation} {num_sentences} sentences"),
    "length_constraints:number_paragraphs": (
        "Number of paragraphs",
        "has exactly {num_paragraphs} paragraphs, with *** between",
    ),
    "length_constraints:number_words": ("Number of words", "has {relation} {num_words} words"),
    "length_constraints:nth_paragraph_first_word": (
        "First word of a paragraph",
        "has {num_paragraphs} paragraphs; number {nth_paragraph} starts with {first_word}",
    ),
    "detectable_content:number_placeholders": (
        "Placeholders",
        "has at least {num_placeholders} placeholders [in brackets]",
    ),
    "detectable_content:postscript": ("Postscript", "has a postscript: {postscript_marker}"),
    "detectable_format:number_bullet_lists": ("Bullet points", "has exactly {num_bullets} bullet points"),
    "detectable_format:constrained_response": (
        "Constrained response",
        "says “My answer is yes.”, “… no.” or “… maybe.”",
    ),
    "detectable_format:number_highlighted_sections": (
        "Highlights",
        "highlights at least {num_highlights} passages *so*",
    ),
    "detectable_format:multiple_sections": (
        "Sections",
        "has at least {num_sections} sections, each under {section_spliter} and its number",
    ),
    "detectable_format:json_format": ("JSON", "is JSON and nothing else"),
    "detectable_format:title": ("Title", "has a title <<in double angle brackets>>"),
    "combination:two_responses": ("Two responses", "gives two different answers, with ****** between"),
    "combination:repeat_prompt": ("Repeat the prompt", "first repeats {prompt_to_repeat}"),
    "startend:end_checker": ("Ending", "ends with {end_phrase}"),
    "change_case:capital_word_frequency": (
        "Words in capitals",
        "has {capital_relation} {capital_frequency} words in capitals",
    ),
    "change_case:english_capital": ("All capitals", "is English in capital letters only"),
    "change_case:english_lowercase": ("All lower case", "is English in small letters only"),
    "punctuation:no_comma": ("No comma", "has no comma"),
    "startend:quotation": ("Quotation", "is within double quotation marks"),
}

NOTES = {
    "snr_db": ("signal-to-noise ratio", "{} dB"),
    "gain_db": ("gain", "{} dB"),
    "noise": ("noise", "{}"),
    "rate": ("pace", "× {}"),
    "pitch": ("pitch", "× {}"),
    "accent": ("accent", "{}"),
    "engine": ("voice engine", "{}"),
}


class _Said(dict[str, str]):
    """Values of arguments in words; a missing value reads "(not given)"."""

    def __missing__(self, key: str) -> str:
        return "(not given)"


def check_name(kind: str) -> str:
    """Return `Bullet points` for `detectable_format:number_bullet_lists`.

    An unknown type keeps its id.
    """
    return CHECKS[kind][0] if kind in CHECKS else kind


def rule(kind: str, kwargs: object) -> str:
    """Return what a check requires, with its arguments in words: `uses “tea”, “cup”`.

    Never raises, whatever the arguments are.
    """
    given = {key: value for key, value in kwargs.items() if value is not None} if isinstance(kwargs, Mapping) else {}
    if kind not in CHECKS:
        return ", ".join(f"{key}: {_value(key, value)}" for key, value in sorted(given.items()))
    return CHECKS[kind][1].format_map(_Said({key: _value(key, value) for key, value in given.items()}))


def _value(key: str, value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_value(key, part) for part in value) or "(nothing)"
    return f"“{value}”" if isinstance(value, str) and "relation" not in key else str(value)


def note(key: str, value: object) -> tuple[str, str]:
    """Return (name, value) of a variant's parameter: ("signal-to-noise ratio", "5 dB")."""
    name, form = NOTES.get(key, (key.replace("_", " "), "{}"))
    if isinstance(value, float):
        value = f"{value:g}"
    elif isinstance(value, list | tuple):
        value = ", ".join(map(str, value))
    elif isinstance(value, dict):
        value = ", ".join(f"{part.replace('_', ' ')} {given}" for part, given in value.items())
    return name, form.format(value)


def percent(share: float | None) -> str:
    """Return `13.3` for 0.133, and a dash for None."""
    return "–" if share is None else f"{100 * share:.1f}"


def signed(share: float) -> str:
    """Return `−13.3` for -0.133: points with a true minus sign."""
    return f"{100 * share:+.1f}".replace("-", "\u2212")


def probability(p: float) -> str:
    """Return `p = 0.012`, or `p < 0.001` for a smaller p."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
