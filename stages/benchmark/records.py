"""Reads SpeechInstructBench's closed-ended records; what cannot be used is told with its reason."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.common.ifeval import CHECKS, Unscorable

VARIANTS = ("standard", "background", "accent", "paralinguistics", "disfluency")
FILE = re.compile(rf"closed_(?P<variant>{'|'.join(VARIANTS)})_(?P<lang>en|cn)\.jsonl")


class Bad(Exception):
    """A record that cannot be used. `reason`: the class it is counted under; `detail`: what exactly is wrong."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Record:
    """One closed-ended item of the data set. audio_path as it stands there."""

    key: str
    variant: str
    lang: str
    prompt: str
    instruction_id_list: list[str]
    kwargs: list[dict[str, Any]]
    audio_path: str

    @property
    def item_id(self) -> str:
        """Also the clip's name in its shard, so only what every file system takes."""
        return f"{self.variant}-{self.lang}-{re.sub(r'[^A-Za-z0-9_-]', '_', self.key)}"


def lines(file: Path) -> Iterator[tuple[int, str]]:
    """(line number, text) of the lines that are not blank."""
    with file.open(encoding="utf-8", errors="replace") as stream:
        yield from ((number, line) for number, line in enumerate(stream, 1) if line.strip())


def parse(line: str) -> dict[str, Any]:
    """The line's object, with a key and a prompt. Raises Bad."""
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise Bad("not JSON", str(error)) from error
    if not isinstance(value, dict):
        raise Bad("not JSON", "the line is not an object")
    if not isinstance(value.get("key"), str | int):
        raise Bad("missing field", "key")
    if not isinstance(value.get("prompt"), str) or not value["prompt"].strip():
        raise Bad("missing field", "prompt")
    return value


def record(value: dict[str, Any], variant: str, lang: str) -> Record:
    """The item, its instructions checked as the scorer will read them. Raises Bad."""
    ids, kwargs = value.get("instruction_id_list"), value.get("kwargs")
    if not isinstance(ids, list) or not ids:
        raise Bad("missing field", "instruction_id_list")
    if not isinstance(kwargs, list) or len(kwargs) != len(ids):
        raise Bad("wrong kwargs", f"not a list of {len(ids)}")
    for kind, arguments in zip(ids, kwargs, strict=True):
        _check(kind, arguments)
    key = str(value["key"])
    audio_path = value.get("audio_path") or f"closed_{variant}_{key}_{lang}.wav"
    return Record(key, variant, lang, value["prompt"], ids, [given or {} for given in kwargs], str(audio_path))


def _check(kind: Any, arguments: Any) -> None:
    if not isinstance(kind, str) or kind not in CHECKS:
        raise Bad("unknown instruction", repr(kind))
    try:
        CHECKS[kind].read(arguments)
    except Unscorable as error:
        raise Bad("wrong kwargs", f"{kind}: {error.detail} ({error.reason})") from error
