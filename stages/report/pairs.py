"""State paired comparisons in words.

The costs of each way of speaking come first, then the costs of hearing.
"""

import math

from inserter.evaluation import Comparison
from inserter.page.browser.words import FORMS, VARIANTS

LEVEL = 0.05
ALL = "all"  # the variant of a comparison over all variants
HEARD_WITH = {
    "background": "With background noise",
    "accent": "In another accent",
    "paralinguistics": "At another pace, pitch or loudness",
    "disfluency": "With disfluencies",
}
AGAINST = {
    "read": "reading the same words",
    "cascade": "the cascade (the recogniser, then the same trained model, which reads the transcript)",
    "lm": "the LM before training, which reads the clean text",
    "asr_lm": "the recogniser, then the LM before training",
    "chance": "chance (the answers to other prompts)",
}


class Worded(Comparison):
    """A comparison in words."""

    name: str
    """The variant."""
    says: str
    """The difference, such as `6.3 points less`."""
    settled: bool | None
    """Whether the 95 % interval excludes 0 and p < 0.05; None without an interval.

    With few items only one of the two may hold.
    """


def grouped(comparisons: list[Comparison]) -> dict[tuple[str, str], list[Worded]]:
    """Group `comparisons` of reports/evaluate.json as {(lang, heading): pairs}.

    Variants against clean speech come first, then forms.
    """
    groups: dict[tuple[str, str], list[Worded]] = {}
    for pair in sorted(comparisons, key=_place):
        groups.setdefault((pair["lang"], _heading(pair)), []).append(_in_words(pair))
    return groups


def scale(comparisons: list[Comparison]) -> float:
    """Return a share that no interval exceeds, rounded up to the next 0.1.

    Half a bar on the page stands for this share.
    """
    ends = [abs(end) for pair in comparisons for end in (pair["difference"], *(pair["interval"] or ()))]
    return max(0.1, math.ceil(10 * max(ends, default=0) - 1e-9) / 10)


def _of_variants(pair: Comparison) -> bool:
    return pair["a"]["form"] == pair["b"]["form"]


def _place(pair: Comparison) -> tuple[bool, str, int, bool, bool, str]:
    form, variant = pair["b"]["form"], pair["a"]["variant"]
    order = -1 if _of_variants(pair) else list(FORMS).index(form) if form in FORMS else len(FORMS)
    return pair["lang"] != "en", pair["lang"], order, variant != ALL, variant != "standard", variant


def _heading(pair: Comparison) -> str:
    if _of_variants(pair):
        return "Cost of each manner of speaking for the hearing model, against clean speech"
    return f"Hearing against {AGAINST.get(pair['b']['form'], pair['b']['form'])}"


def _in_words(pair: Comparison) -> Worded:
    interval, difference, variant = pair["interval"], pair["difference"], pair["a"]["variant"]
    settled = None if interval is None else pair["p_value"] < LEVEL and not interval[0] <= 0 <= interval[1]
    says = f"{100 * abs(difference):.1f} points {'less' if difference < 0 else 'more'}" if difference else "no difference"
    name = (HEARD_WITH if _of_variants(pair) else {**VARIANTS, ALL: "All variants together"}).get(variant, variant)
    return {**pair, "name": name, "says": says, "settled": settled}
