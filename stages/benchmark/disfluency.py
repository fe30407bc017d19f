"""Speech as it comes out when one thinks while talking: fillers, repetitions, false starts and self-corrections.

Words are only put in, none is taken away or replaced, and none is put inside a phrase that the checker looks for: the
instruction keeps its meaning.
"""

import re
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from num2words import num2words

FILLERS = ("um", "uh", "er", "you know", "I mean")
REPEATED = frozenset(("a", "an", "the", "of", "to", "in", "and", "that", "it", "is", "on", "with", "for", "by", "some"))
# what is said by mistake -> corrected to the word of the prompt
MISTAKES = {
    "note": "letter",
    "message": "report",
    "talk": "lecture",
    "text": "slides",
    "scene": "song",
    "blog": "diary",
    "newcomer": "teacher",
    "colleague": "customer",
    "reply": "question",
    "main": "minor",
    "brief": "long",
    "paragraph": "poem",
    "story": "song",
    "answer": "question",
    "advice": "news",
}
FIXED = r"my answer is \w+"  # sentences that the answer must contain

Edit = tuple[int, str]  # what is put in before the word of this index


def disfluent(prompt: str, kwargs: Iterable[dict[str, Any]], count: int, random: Random) -> tuple[str, list[str]]:
    """`prompt` with `count` disfluencies (fewer in a very short prompt), and what they are, in order of their place."""
    values = [value for arguments in kwargs for value in _flat(arguments.values())]
    words = prompt.split()
    owner = _protected(prompt, values)
    edits: dict[int, tuple[str, str]] = {}
    for _ in range(count):
        kind = random.choice(list(KINDS))
        options = _free(KINDS[kind](words, owner, random), edits, values)
        if not options:  # not every prompt has a word for every kind; a filler fits almost everywhere
            kind, options = "filler", _free(_fillers(words, owner, random), edits, values)
        if options:
            at, inserted = random.choice(options)
            edits[at] = (kind, inserted)
    return _spoken(words, edits), [edits[at][0] for at in sorted(edits)]


def _flat(values: Iterable[Any]) -> list[Any]:
    return [one for value in values for one in (value if isinstance(value, list) else [value])]


def _protected(prompt: str, values: list[Any]) -> list[int | None]:
    """For each word the protected phrase that it belongs to (a number), or None."""
    phrases = [str(num2words(v)) if isinstance(v, int) else str(v).strip() for v in values]
    patterns = [FIXED, *(rf"(?<!\w){re.escape(phrase)}(?!\w)" for phrase in phrases if phrase)]
    spans = [match.span() for pattern in patterns for match in re.finditer(pattern, prompt, re.IGNORECASE)]
    words = [match.span() for match in re.finditer(r"\S+", prompt)]
    return [next((n for n, (a, b) in enumerate(spans) if start < b and a < end), None) for start, end in words]


def _free(options: list[Edit], edits: dict[int, tuple[str, str]], values: list[Any]) -> list[Edit]:
    """Not beside an edit that is there, and no word put in that the checker counts or forbids."""
    heard = {str(value).lower() for value in values}
    near = {at + step for at in edits for step in (-1, 0, 1)}
    return [(at, text) for at, text in options if at not in near and not heard & set(re.findall(r"\w+", text.lower()))]


def _fillers(words: list[str], owner: list[int | None], random: Random) -> list[Edit]:
    gaps = [i for i in range(1, len(words)) if owner[i] is None or owner[i] != owner[i - 1]]
    return [(i, random.choice(FILLERS)) for i in gaps]


def _repetitions(words: list[str], owner: list[int | None], random: Random) -> list[Edit]:
    return [(i, word) for i, word in enumerate(words) if word in REPEATED and owner[i] is None]


def _false_starts(words: list[str], owner: list[int | None], random: Random) -> list[Edit]:
    starts = [i for i in range(len(words) - 1) if i == 0 or words[i - 1][-1] in ".?!"]
    plain = [i for i in starts if owner[i] is owner[i + 1] is None and words[i + 1].isalpha()]
    return [(i, f"{words[i]} {words[i + 1]}, uh") for i in plain]


def _corrections(words: list[str], owner: list[int | None], random: Random) -> list[Edit]:
    spots = [i for i, word in enumerate(words) if owner[i] is None and word.strip(".,?") in MISTAKES]
    return [(i, f"{MISTAKES[words[i].strip('.,?')]}, no, sorry") for i in spots]


KINDS: dict[str, Callable[[list[str], list[int | None], Random], list[Edit]]] = {
    "filler": _fillers,
    "repetition": _repetitions,
    "false start": _false_starts,
    "self-correction": _corrections,
}


def _spoken(words: list[str], edits: dict[int, tuple[str, str]]) -> str:
    """The words with what is put in, between commas; a false start takes over the capital of its sentence."""
    said: list[str] = []
    for i, word in enumerate(words):
        if i in edits:
            kind, text = edits[i]
            if kind == "filler" and said[-1][-1].isalnum():
                said[-1] += ","
            elif said and said[-1][-1] in ".?!":
                text = text[0].upper() + text[1:]
            said.append(f"{text},")
            if kind == "false start" and word != "I":
                word = word[0].lower() + word[1:]
        said.append(word)
    return " ".join(said)
