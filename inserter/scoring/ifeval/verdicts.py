"""Turn checks into verdicts: one response, its instructions, strict and loose."""

from collections.abc import Mapping, Sequence

from inserter.scoring.ifeval.arguments import Mode, Unscorable, short
from inserter.scoring.ifeval.reader import as_read
from inserter.scoring.ifeval.registry import CHECKS, Check
from inserter.scoring.ifeval.text import is_blank

TURN_MARKERS = ("<1>", "<2>", "<3>")


def without_marker(response: str) -> str:
    """Return the response without a leading <1>, <2> or <3>.

    With such a marker, the space around the rest is stripped too.
    """
    return response[3:].strip() if response.startswith(TURN_MARKERS) else response


def loose_forms(response: str) -> list[str]:
    """Return the loose forms of a response, each once.

    The forms are the whole response, and the response without its first line, its last line, or
    both. Each is taken as it is and without `*`.
    """
    lines = response.split("\n")
    cuts = [response, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    return list(dict.fromkeys(form for cut in cuts for form in (cut, cut.replace("*", ""))))


def check(instruction_id: str, response: str, kwargs: Mapping[str, object] | None = None, *, mode: Mode = "robust") -> bool:
    """Return whether `response`, as it is, follows one instruction; a blank response never does.

    Raise Unscorable for an unknown instruction, and for arguments that are missing or cannot be
    used. No value is ever made up.
    """
    found, arguments = _prepare(instruction_id, kwargs, mode)
    response = as_read(response) if mode == "robust" else response
    return not is_blank(response) and found.passes(response, arguments, mode)


def verdicts(
    instruction_ids: Sequence[str], kwargs: Sequence[object], response: str, *, mode: Mode = "robust"
) -> tuple[list[bool], list[bool]]:
    """Return strict and loose verdicts, one per instruction. What passes strictly passes loosely.

    `kwargs` is parallel to `instruction_ids`. Raise Unscorable, which names the instruction.
    """
    prepared = [_prepare(*pair, mode) for pair in zip(instruction_ids, kwargs, strict=True)]
    response = without_marker(as_read(response) if mode == "robust" else response)
    blank = is_blank(response)
    strict = [not blank and found.passes(response, arguments, mode) for found, arguments in prepared]
    if all(strict):
        return strict, list(strict)
    forms = [form for form in loose_forms(response) if form != response and not is_blank(form)]
    loose = [
        passed or any(found.passes(form, arguments, mode) for form in forms)
        for passed, (found, arguments) in zip(strict, prepared, strict=True)
    ]
    return strict, loose


def _prepare(instruction_id: object, kwargs: object, mode: Mode) -> tuple[Check, dict[str, object]]:
    if not isinstance(instruction_id, str) or instruction_id not in CHECKS:
        raise Unscorable("unknown instruction", short(instruction_id))
    found = CHECKS[instruction_id]
    try:
        return found, found.read(kwargs, mode)
    except Unscorable as error:
        raise Unscorable(error.reason, f"{instruction_id}: {error.detail}") from error
