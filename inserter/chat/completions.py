"""Read what a chat completions endpoint answers, whole or as a stream.

The result has the replies, without what was thought, and the number of tokens.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

CUT, REFUSED, THOUGHTS = "cut off", "refused", "only thoughts"
CUT_REASONS = ("length", "max_tokens", "max_output_tokens", "model_length")
REFUSED_REASONS = ("content_filter", "refusal", "safety")
THOUGHT_FIELDS = ("reasoning_content", "reasoning", "thinking")
THOUGHT_PARTS = ("thinking", "reasoning", "redacted_thinking")
LINE_END = re.compile(r"\r\n|\r|\n")  # of a stream; others, such as U+2028, may stand in its JSON


@dataclass(frozen=True)
class Reply:
    """One completion."""

    text: str
    """What was said, as it came."""

    note: str = ""
    """Why the completion is not whole (CUT, REFUSED, THOUGHTS), or "" if it is."""


@dataclass(frozen=True)
class Completions:
    """The completions of one request."""

    replies: list[Reply]
    """At most as many as were asked for."""

    prompt_tokens: int | None
    """As the server counts them; None if it does not say."""

    completion_tokens: int | None
    """As the server counts them; None if it does not say."""


def body_of(text: str) -> object:
    """Return the body of an answer, with a stream's events put together.

    Raise ValueError for what is neither JSON nor a stream, or is cut short.
    """
    if text.lstrip().startswith(("data:", "event:", ":")):
        return _joined(_events(text))
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def completions(body: object, n: int) -> Completions | None:
    """Return the first `n` completions of a body, or None if it has none."""
    found = body if isinstance(body, dict) else {}
    choices = found.get("choices")
    if not isinstance(choices, list) or not choices or any(map(_failed, choices)):
        return None
    usage = found["usage"] if isinstance(found.get("usage"), dict) else {}
    return Completions(
        [_reply(choice) for choice in choices[:n]],
        _whole(usage.get("prompt_tokens", usage.get("input_tokens"))),
        _whole(usage.get("completion_tokens", usage.get("output_tokens"))),
    )


def _failed(choice: object) -> bool:
    """Return whether a gateway reports a failed server in place of a completion."""
    return isinstance(choice, dict) and (bool(choice.get("error")) or choice.get("finish_reason") == "error")


def _reply(found: object) -> Reply:
    choice = found if isinstance(found, dict) else {}
    message = choice["message"] if isinstance(choice.get("message"), dict) else {}
    text = _text(message.get("content"))
    finish = str(choice.get("finish_reason") or choice.get("stop_reason") or "").lower()
    if finish in CUT_REASONS:
        return Reply(text, CUT)
    if finish in REFUSED_REASONS or (not text.strip() and message.get("refusal")):
        return Reply(text, REFUSED)
    if not text.strip() and any(message.get(name) for name in THOUGHT_FIELDS):
        return Reply(text, THOUGHTS)
    return Reply(text)


def _text(content: object) -> str:
    """Return the text of a message's content, which is a string or a list of parts.

    Half a surrogate pair becomes a question mark: JSON may hold one, files may not.
    """
    if isinstance(content, list):
        content = "".join(_text(part) for part in content)
    elif isinstance(content, dict):
        content = "" if content.get("type") in THOUGHT_PARTS else _text(content.get("text"))
    return content.encode("utf-8", "replace").decode() if isinstance(content, str) else ""


def _events(text: str) -> Iterator[object]:
    """Yield the JSON of each event.

    Raise ValueError if the stream ends without its mark [DONE] or a finish reason.
    """
    ended = False
    for line in LINE_END.split(text):
        data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
        if data == "[DONE]":
            return
        if data:
            event = json.loads(data)
            ended = ended or any(choice.get("finish_reason") for choice in _choices(event))
            yield event
    if not ended:
        raise ValueError("the stream is cut short")


def _joined(events: Iterator[object]) -> dict[str, object]:
    """Return a stream's events as one body."""
    choices: dict[int, dict[str, Any]] = {}
    body: dict[str, object] = {}
    for event in events:
        if not isinstance(event, dict) or "error" in event:
            return event if isinstance(event, dict) else {}
        if event.get("usage"):
            body["usage"] = event["usage"]
        for part in _choices(event):
            choice = choices.setdefault(_whole(part.get("index")) or 0, {"message": {"content": ""}})
            delta = part["delta"] if isinstance(part.get("delta"), dict) else {}
            choice["message"]["content"] += _text(delta.get("content"))
            choice["message"] |= {name: True for name in (*THOUGHT_FIELDS, "refusal") if delta.get(name)}
            choice["finish_reason"] = part.get("finish_reason") or choice.get("finish_reason")
    return body | {"choices": [choices[index] for index in sorted(choices)]}


def _choices(event: object) -> list[dict[str, Any]]:
    found = event.get("choices") if isinstance(event, dict) else None
    return [choice for choice in found if isinstance(choice, dict)] if isinstance(found, list) else []


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
