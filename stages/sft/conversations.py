"""Read a row of conversations in the usual forms: `messages` with `audios`, or ShareGPT's.

    {"messages": [{"role": "user", "content": "<audio>Who speaks?"},
                  {"role": "assistant", "content": "A man."}],
     "audios": ["a.wav"]}

A content may also be a list of {"type": "text" | "audio", ...}. A row that cannot be used is
refused with its reason.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import chain
from reprlib import repr as short
from typing import NamedTuple

from inserter.scoring.recordfiles import Refused

ROLES = {"system": "system", "user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant"}
PLACEHOLDER = "<audio>"


class Piece(NamedTuple):
    """A piece of a turn: text, or audio as the row has it."""

    text: str
    """The text; of audio its transcript, which may be empty."""

    audio: object = None
    """A path, bytes, a dict with either or with samples, or a list of samples; None for text."""


class Said(NamedTuple):
    """One turn of a conversation."""

    role: str
    """"system", "user" or "assistant"."""

    pieces: list[Piece]


class Slot(NamedTuple):
    """The place of audio in a turn, with the audio if it stands there."""

    audio: object = None


def conversation(row: object) -> list[Said]:
    """Return the turns of a row: the system's, if any, then the user's and the assistant's.

    Raises Refused if the row cannot be used.
    """
    if isinstance(row, Refused):
        raise row
    if not isinstance(row, dict):
        raise Refused("no conversation", f"the row is not an object: {short(row)}")
    turns = [_turn(number, turn) for number, turn in enumerate(_given(row), 1)]
    system = row.get("system")
    if isinstance(system, str) and system.strip() and turns[0][0] != "system":
        turns = [("system", [system]), *turns]
    _check_order([role for role, _ in turns])
    return _filled(turns, row)


def _given(row: Mapping[str, object]) -> list[object]:
    """Return the turns as the row has them. Parquet may hold them as JSON text."""
    turns = next((row[key] for key in ("messages", "conversations") if row.get(key) is not None), None)
    if isinstance(turns, str):
        try:
            turns = json.loads(turns)
        except (ValueError, RecursionError) as error:
            raise Refused("no conversation", f"its messages are not JSON ({error})") from error
    if not isinstance(turns, list) or not turns:
        raise Refused("no conversation", f"neither messages nor conversations among {', '.join(sorted(map(str, row)))}")
    return turns


def _turn(number: int, turn: object) -> tuple[str, list[str | Slot]]:
    """Return the role of a turn, and its texts and places of audio."""
    if not isinstance(turn, dict):
        raise Refused("no conversation", f"turn {number} is not an object")
    named = turn.get("role") or turn.get("from")
    role = ROLES.get(named.lower()) if isinstance(named, str) else None
    if role is None:
        raise Refused("wrong roles", f"turn {number} is of {named!r}; known are {', '.join(ROLES)}")
    content = turn.get("content")
    content = turn.get("value") if content is None else content
    parts = content if isinstance(content, list) else [{"type": "text", "text": "" if content is None else content}]
    return role, list(chain.from_iterable(_parts(number, part, role) for part in parts))


def _parts(number: int, part: object, role: str) -> Iterator[str | Slot]:
    kind = part.get("type") if isinstance(part, dict) else None
    if isinstance(part, dict) and kind == "text" and isinstance(text := part.get("text"), str):
        if role == "assistant":  # an answer is text, whatever it says
            yield text
            return
        for at, piece in enumerate(text.split(PLACEHOLDER)):
            yield from (Slot(), piece) if at else (piece,)
    elif isinstance(part, dict) and kind == "audio" and role != "assistant":
        yield Slot(next((part[key] for key in ("audio", "path", "url", "audio_url") if part.get(key) is not None), None))
    else:
        raise Refused("wrong content", f"turn {number}, of {role}, has {short(part)}")


def _check_order(roles: list[str]) -> None:
    """Raise Refused unless the user and the assistant take turns, and the assistant ends."""
    body = roles[1:] if roles[0] == "system" else roles
    if not body or body != ["user", "assistant"] * (len(body) // 2):
        raise Refused("wrong roles", f"the turns are of {', '.join(roles)}")


def _filled(turns: list[tuple[str, list[str | Slot]]], row: Mapping[str, object]) -> list[Said]:
    """Return the turns with the audios in their places.

    Raises Refused if the numbers differ, or a turn is empty.
    """
    audios = _listed(row, "audios", "audio")
    open_slots = sum(isinstance(part, Slot) and part.audio is None for _, parts in turns for part in parts)
    if open_slots != len(audios):
        raise Refused("placeholders", f"{open_slots} placeholders for {len(audios)} audios")
    slots = sum(isinstance(part, Slot) for _, parts in turns for part in parts)
    transcripts = _listed(row, "transcripts") or [""] * slots
    if len(transcripts) != slots:
        raise Refused("placeholders", f"{len(transcripts)} transcripts for {slots} audios")
    remaining, written = iter(audios), iter(transcripts)
    made: list[Said] = []
    for number, (role, parts) in enumerate(turns, 1):
        pieces = []
        for part in parts:
            if isinstance(part, Slot):
                pieces.append(Piece(_text(next(written) or ""), next(remaining) if part.audio is None else part.audio))
            elif part:
                pieces.append(Piece(_text(part)))
        if not any(piece.text.strip() or piece.audio is not None for piece in pieces):
            raise Refused("empty answer" if role == "assistant" else "empty turn", f"turn {number}, of {role}")
        made.append(Said(role, [Piece("".join(piece.text for piece in pieces).strip())] if role == "assistant" else pieces))
    return made


def _listed(row: Mapping[str, object], *keys: str) -> list[object]:
    found = next((row[key] for key in keys if row.get(key) is not None), [])
    return found if isinstance(found, list) else [found]


def _text(text: object) -> str:
    """Return a text that can be written. Half a surrogate pair is valid JSON, but no text."""
    if not isinstance(text, str):
        raise Refused("wrong content", f"{short(text)} is not text")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Refused("wrong content", str(error)) from error
    return text
