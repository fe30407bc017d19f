"""Generate instructions that the speaker corrects while speaking; the last version counts.

adjustment.yaml and adjustment_cn.yaml hold, per kind of correction, frames with one slot and the
phrases that can fill the slot. The files also hold how a speaker takes a phrase back: at once ("a
poem, no wait, make it a letter") or after the sentence.
"""

from functools import partial
from random import Random
from typing import Any

from inserter.prompts.distinct import Fresh
from inserter.prompts.languages import Lang
from inserter.prompts.prompt import Prompt
from inserter.prompts.worlds import phrases, template

# Share of the corrections that directly follow the wrong phrase. The others follow the sentence.
AT_ONCE = 0.6


def generate_adjustment(seed: int, count: int, lang: Lang = "en") -> list[Prompt]:
    """Return `count` different prompts with the kinds of correction in turn.

    A longer list of the same seed begins with the shorter list. The `notes` of a prompt are
    `before` and `after`, the instruction as it began and as it was meant, and `kind`. Raises
    InserterError when the templates give fewer than `count` different prompts.
    """
    fresh = Fresh("adjustment.yaml", seed, "adjustment", lang)
    spec, topics = template("adjustment", lang), [topic.about for topic in phrases("benchmark", lang).topics]
    kinds = list(spec["kinds"])
    keys = [(f"adjustment-{n:03d}", kinds[n % len(kinds)]) for n in range(count)]
    return [fresh(key, partial(_compose, key=key, kind=kind, spec=spec, topics=topics, lang=lang), kind) for key, kind in keys]


def _compose(random: Random, key: str, kind: str, *, spec: dict[str, Any], topics: list[str], lang: Lang) -> Prompt:
    own = spec["kinds"][kind]
    topic, *others = random.sample(topics, 3)
    first, second = random.sample(own.get("slots", others), 2)
    frame = random.choice(own["frames"])
    before, after = (frame.format(slot=slot, topic=topic) for slot in (first, second))
    again = random.choice(own["again"]).format(slot=second)
    if random.random() < AT_ONCE:
        taken_back = random.choice(spec["at_once"]).format(slot=first, again=again)
        text = _joined(frame.format(slot=taken_back, topic=topic))
    else:
        text = before + random.choice(spec["afterwards"]).format(again=again)
    notes = {"before": before, "after": after, "kind": kind}
    return Prompt(key, text, (), (), second if kind == "topic" else topic, "adjustment", lang, notes=notes)


def _joined(text: str) -> str:
    """Return `text` without the pause at the end of a correction where another mark follows it."""
    for pause in (",", "，"):
        for end in (".", "?", "。", "？", pause):
            text = text.replace(pause + end, end)
    return text
