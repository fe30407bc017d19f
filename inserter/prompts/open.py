"""Generate open-ended prompts: what to write about a topic, for whom, how and with what content.

A judge asks about each part of a prompt. open.yaml and open_cn.yaml hold the parts, each with the
yes/no question that follows from it.
"""

from functools import partial
from random import Random
from typing import Any

from inserter.prompts.distinct import Fresh
from inserter.prompts.languages import LANGUAGES, Lang
from inserter.prompts.prompt import Prompt
from inserter.prompts.worlds import Topic, phrases, template

PARTS = (0, 1, 1, 2, 2, 3)  # besides topic and form: 2 to 5 questions, most often 3 or 4


def generate_open(seed: int, count: int, lang: Lang = "en") -> list[Prompt]:
    """Return `count` different prompts about the benchmark's topics, with 2 to 5 questions each.

    A longer list of the same seed begins with the shorter list. Raises InserterError when the
    templates give fewer than `count` different prompts.
    """
    fresh = Fresh("open.yaml", seed, "open", lang)
    parts, topics = template("open", lang), phrases("benchmark", lang).topics
    keys = [f"open-{n:03d}" for n in range(count)]
    return [fresh(key, partial(_compose, key=key, parts=parts, topics=topics, lang=lang)) for key in keys]


def _compose(random: Random, key: str, parts: dict[str, Any], *, topics: tuple[Topic, ...], lang: Lang) -> Prompt:
    topic = random.choice(topics).about
    names = [name for name in parts if name not in ("forms", "topic")]
    groups = random.sample(names, random.choice(PARTS))
    drawn = [random.choice(parts[name]).split(" | ") for name in ("forms", *sorted(groups, key=names.index))]
    text = LANGUAGES[lang].gap.join(say.format(topic=topic) for say, _ in drawn)
    questions = (parts["topic"].format(topic=topic), *(ask for _, ask in drawn))
    return Prompt(key, text, (), (), topic, "open", lang, questions)
