"""Add the disfluencies of spontaneous speech to a prompt.

The kinds are fillers, repetitions, false starts and self-corrections. Words are only added.
No word is removed or replaced, and none is added inside a phrase that the checker looks for.
The instruction therefore keeps its meaning.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from random import Random

from num2words import num2words

FILLERS = ("um", "uh", "er", "you know", "I mean")
REPEATED = frozenset(("a", "an", "the", "of", "to", "in", "and", "that", "it", "is", "on", "with", "for", "by", "some"))
# word of the prompt -> word said by mistake before it
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
FIXED = r"my answer is \w+"  # a sentence that the answer must contain

Edit = tuple[int, str]  # (index of a word, text added before that word)


def disfluent(prompt: str, kwargs: Iterable[Mapping[str, object]], count: int, *, random: Random) -> tuple[str, list[str]]:
    """Return `prompt` with `count` disfluencies, and their kinds in order of position.

    A very short prompt gets fewer. kwargs: the arguments of the checkers of the prompt.
    """
    values = [value for arguments in kwargs for value in _flat(arguments.values())]
    words = prompt.split()
    owner = _protected(prompt, values)
    edits: dict[int, tuple[str, str]] = {}
    for _ in range(count):
        kind = random.choice(list(KINDS))
        options = _free(KINDS[kind](words, owner, random), edits, values)
        if not options:  # some prompts have no word for a kind; a filler fits almost anywhere
            kind, options = "filler", _free(_fillers(words, owner, random), edits, values)
        if options:
            at, inserted = random.choice(options)
            edits[at] = (kind, inserted)
    return _spoken(words, edits), [edits[at][0] for at in sorted(edits)]


def _flat(values: Iterable[object]) -> list[object]:
    return [one for value in values for one in (value if isinstance(value, list) else [value])]


def _protected(prompt: str, values: list[object]) -> list[int | None]:
    """Return, per word, the number of the protected phrase that the word belongs to, or None."""
    phrases = [str(num2words(v)) if isinstance(v, int) else str(v).strip() for v in values]
    patterns = [FIXED, *(rf"(?<!\w){re.escape(phrase)}(?!\w)" for phrase in phrases if phrase)]
    spans = [match.span() for pattern in patterns for match in re.finditer(pattern, prompt, re.IGNORECASE)]
    words = [match.span() for match in re.finditer(r"\S+", prompt)]
    return [next((n for n, (a, b) in enumerate(spans) if start < b and a < end), None) for start, end in words]


def _free(options: list[Edit], edits: dict[int, tuple[str, str]], values: list[object]) -> list[Edit]:
    """Return the options that are next to no earlier edit and do not affect the checker.

    An option must not add a word that the checker counts or forbids.
    """
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
    """Return the words joined with the additions, which are set off by commas.

    A false start takes over the capital of its sentence.
    """
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
