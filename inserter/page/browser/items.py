"""Group the answers by item for the page's browser: one entry per item with all its forms."""

import json
from collections.abc import Mapping, Sequence
from typing import TypedDict

from inserter.evaluation import Response
from inserter.page.audio import audio_name
from inserter.page.browser.words import FORMS, check_name, note, rule
from inserter.tables import Item


class Shown(TypedDict):
    """One form's answer."""

    text: str
    ok: bool | None
    """Whether every mark is `pass`; None without a verdict."""
    marks: list[str]
    """One per check or question: `pass`, `fail`, or `loose` if only the loose form passes."""
    why: str | None
    """Why there is no verdict, or None."""


class PageItem(TypedDict):
    """An item with its answers."""

    id: str
    key: str
    task: str
    lang: str
    variant: str
    prompt: str
    clean: str | None
    """The clean prompt; None if it equals `prompt`."""
    checks: list[list[str]]
    """[id, name, rule] per check."""
    questions: list[str]
    transcript: str | None
    audio: str | None
    """A path relative to the page."""
    seconds: float | None
    """Duration of the audio."""
    voice: str | None
    notes: list[list[str]]
    """[name, value] per parameter of the variant."""
    forms: dict[str, Shown]


def browsable(rows: Sequence[Response], table: Mapping[str, Item], folder: str = "benchmark") -> list[PageItem]:
    """Return one entry per answered item, in the order of `rows`.

    table: {item_id: row of ITEMS}. folder: of the audio, beside the page.
    """
    grouped: dict[str, list[Response]] = {}
    for row in rows:
        grouped.setdefault(row["item_id"], []).append(row)
    return [_item(item_id, group, table.get(item_id), folder=folder) for item_id, group in grouped.items()]


def _item(item_id: str, group: list[Response], place: Item | None, *, folder: str) -> PageItem:
    first = group[0]
    clean = first.get("clean_prompt")
    spoken = place is not None and place["shard"] is not None
    answers = {row["form"]: _answer(row) for row in group}
    return {
        "id": item_id,
        "key": first["key"],
        "task": first["task"],
        "lang": first["lang"],
        "variant": first["variant"],
        "prompt": first["prompt"],
        "clean": clean if clean != first["prompt"] else None,
        "checks": [[kind, check_name(kind), rule(kind, kwargs)] for kind, kwargs in _checks(first)],
        "questions": first.get("questions") or [],
        "transcript": next((row["transcript"] for row in group if row.get("transcript") is not None), None),
        "audio": f"{folder}/{audio_name(item_id)}" if spoken else None,
        "seconds": round(place["duration"], 1) if spoken and place else None,
        "voice": place["voice"] if spoken and place else None,
        "notes": [list(note(key, value)) for key, value in json.loads((place["notes"] if place else None) or "{}").items()],
        "forms": {form: answers[form] for form in (*FORMS, *answers) if form in answers},
    }


def _checks(row: Response) -> list[tuple[str, object]]:
    kinds, kwargs = row.get("instruction_id_list") or [], row.get("kwargs") or []
    return [(kind, kwargs[place] if place < len(kwargs) else None) for place, kind in enumerate(kinds)]


def _answer(row: Response) -> Shown:
    marks = _marks(row)
    judged = row.get("judged") or {}
    why = row.get("error") or ("not judged" if row["task"] != "closed" and not judged else None)
    if judged and not judged.get("counted"):
        why = judged.get("error") or "no usable judgement"
    return {
        "text": row.get("response") or "",
        "ok": all(m == "pass" for m in marks) if marks else None,
        "marks": marks,
        "why": why,
    }


def _marks(row: Response) -> list[str]:
    if row["task"] == "closed":
        pairs = zip(row.get("strict") or [], row.get("loose") or [], strict=False)
        return ["pass" if strict else "loose" if loose else "fail" for strict, loose in pairs]
    judged = row.get("judged") or {}
    if not judged.get("counted"):
        return []
    if row["task"] == "open":
        return ["pass" if vote in (True, "YES") else "fail" for vote in judged.get("votes") or []]
    return ["pass" if judged.get("iar") else "fail", "fail" if judged.get("ecr") else "pass"]
