"""Render the page. The page makes no network requests, and all text on it is escaped."""

from collections import Counter
from functools import cache

from jinja2 import Environment

from inserter.page import environment, policy_hash, text
from stages.listen.cards import Row
from stages.listen.choose import EXAMPLES

KINDS = {
    "interleaved": "A document with some spans spoken; the model learns the text between the spans.",
    "transcribe": "The model hears a span and writes it down.",
    "continue": "The model hears a span and continues it in writing.",
    "text": "Plain text, as in the LM's own pre-training.",
}


def render(sequences: list[Row], clips: dict[str, list[Row]], counts: dict[str, Counter[str | None]]) -> str:
    """Return the HTML of what `build` found.

    clips: cards by group. counts: {voice: {reason, or None if clean: number of clips}}.
    """
    script = text("stages.listen", "template/app.js")
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            sequences=sequences,
            groups=clips,
            counts=tally(counts),
            examples=EXAMPLES,
            kinds=KINDS,
            script=script,
            script_hash=policy_hash(script),
            style=text("inserter.page", "base.css") + text("stages.listen", "template/style.css"),
        )
    )


def tally(counts: dict[str, Counter[str | None]]) -> Row:
    """Return the table of counts: {"reasons", "all", "voices"}.

    reasons: most frequent first.
    voices: one row per voice with "voice", "in", "clean", "quarantined", and "reasons" (its
    counts).
    all: the same over all voices.
    """
    total = sum(counts.values(), Counter())
    reasons = sorted((reason for reason in total if reason is not None), key=lambda reason: (-total[reason], reason))

    def line(voice: str, found: Counter[str | None]) -> Row:
        clean = found[None]
        return {
            "voice": voice,
            "in": found.total(),
            "clean": clean,
            "quarantined": found.total() - clean,
            "reasons": [found[reason] for reason in reasons],
        }

    voices = [line(voice, counts[voice]) for voice in sorted(counts)]
    return {"reasons": reasons, "all": line("all voices", total), "voices": voices}


@cache
def _environment() -> Environment:
    found = environment("stages.listen")
    found.filters["percent"] = lambda share: f"{100 * share:.1f} %"
    return found
