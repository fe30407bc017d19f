"""Read files of answers with their points, and pair two systems' answers by item."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from inserter.scoring import recordfiles
from inserter.scoring.breakdown import FORM, SCORERS
from inserter.scoring.judged_scores import points
from inserter.scoring.records import Row
from inserter.scoring.scores import PAIRED, measure
from inserter.tables import TASKS

FIGURES = {  # (task, score): name
    ("closed", PAIRED): "instructions followed",
    ("open", "instruction"): "questions met",
    ("open", "prompt"): "prompts with all questions met",
    ("adjustment", "iar"): "corrections followed (IAR)",
    ("adjustment", "ecr"): "before the correction (ECR)",
}


class Place(NamedTuple):
    """What tells an answer from the others of its file."""

    task: str
    form: str
    lang: str
    key: str
    variant: str


class Scored(NamedTuple):
    """An answer with a verdict."""

    asked: object
    """What was asked. Answers are paired only where it is the same."""
    points: Mapping[str, tuple[float, float]]
    """{score: (points, maximum)}."""


Answers = dict[Place, Scored]


def read(path: Path) -> Answers:
    """Return the answers of a file that have a verdict, or can be given one by code.

    The file is that of `inserter answer`, of `inserter judge` or of the stage `evaluate`. Raises
    InserterError if it cannot be read.
    """
    found: Answers = {}
    for number, raw in recordfiles.raw_records(path):
        try:
            record = recordfiles.value(raw)
        except ValueError:
            continue
        if isinstance(record, dict) and (scored := _scored(record)):
            lang, form, variant = (str(record.get(name) or "") for name in ("lang", "form", "variant"))
            key = str(record.get("key") or record.get("id") or number)
            found[Place(_task(record), form or FORM, lang, key, variant)] = scored
    return found


def _task(record: Row) -> str:
    if record.get("task") in TASKS:
        return str(record["task"])
    if record.get("instruction_id_list") is not None:
        return "closed"
    return "open" if record.get("decomposed_questions") or record.get("questions") else "adjustment"


def _scored(record: Row) -> Scored | None:
    task = _task(record)
    if task == "closed":
        of = measure(*PAIRED.split("-"))
        verdict = record if record.get("strict") is not None else SCORERS[task].row(record, "robust")
        asked = (record.get("prompt"), str(record.get("instruction_id_list")))
        return Scored(asked, {PAIRED: of(verdict)}) if verdict["strict"] is not None else None
    verdict = SCORERS[task].row(record, "robust")
    return Scored(record.get("prompt"), points(task, verdict)) if verdict["counted"] else None


def pairs(one: Answers, other: Answers) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (figure, counts) of the answers that both have, by task and form, `heard` first.

    counts: (prompts, 4), points and maximum of one side, then of the other. The unit is the prompt
    with its variants. If each side has one form, and another one, the forms are paired.
    """
    first, second = ({place.form for place in side} for side in (one, other))
    across = len(first) == len(second) == 1 and first != second
    form_of: Callable[[Place], str] = (lambda _: " and ".join((*first, *second))) if across else (lambda place: place.form)
    sides = [{place._replace(form=form_of(place)): scored for place, scored in side.items()} for side in (one, other)]
    found: dict[tuple[str, str, str], dict[tuple[str, str], np.ndarray]] = defaultdict(lambda: defaultdict(lambda: np.zeros(4)))
    for place in sorted(sides[0].keys() & sides[1].keys()):
        a, b = (side[place] for side in sides)
        for score in a.points.keys() & b.points.keys() if a.asked == b.asked else ():
            found[place.task, score, place.form][place.lang, place.key] += (*a.points[score], *b.points[score])
    for (task, score), name in FIGURES.items():
        forms = [form for t, s, form in found if (t, s) == (task, score)]
        for form in sorted(forms, key=lambda form: (form != "heard", form)):
            yield f"{name}, {form}", np.array(list(found[task, score, form].values()))
