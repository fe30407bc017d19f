"""Parse the records of SpeechInstructBench; an unusable record is refused with its reason."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from inserter.scoring.ifeval import CHECKS, Unscorable
from inserter.scoring.questions import split_questions
from inserter.scoring.recordfiles import Refused
from inserter.scoring.structures import instructions
from inserter.tables import TASKS, VARIANTS

LANGUAGES = {
    "en": "en",
    "english": "en",
    "cn": "cn",
    "zh": "cn",
    "zh-cn": "cn",
    "chinese": "cn",
    "mandarin": "cn",
}
# Words of a file's name that carry no information.
FILLING = {"ended", "train", "test", "validation", "data", "default"}
WORDS = {*TASKS, *VARIANTS, *LANGUAGES, *FILLING}
KEY_LENGTH = 60  # the item's id names its clip, and a ustar member's name has at most 100 bytes


@dataclass(frozen=True)
class Kind:
    """What the path of a file says about its records.

    A field is None if the path does not say; each record then has to.
    """

    task: str
    variant: str | None
    lang: str | None


@dataclass(frozen=True)
class Record:
    """One item of the data set."""

    task: str
    variant: str
    lang: str
    key: str
    prompt: str

    audio: str | None
    """Path as the record gives it, or None. For closed-ended records there is a default."""

    instruction_id_list: list[str] = field(default_factory=list)
    kwargs: list[dict[str, object]] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    notes: dict[str, object] = field(default_factory=dict)

    @property
    def item_id(self) -> str:
        """Return the item's id, which is also the name of its clip in the shard.

        The id has only characters that every file system accepts. Two keys never share an id.
        """
        name = re.sub(r"[^A-Za-z0-9_-]", "_", self.key)[:KEY_LENGTH]
        if name != self.key:
            name += f"-{hashlib.sha256(self.key.encode()).hexdigest()[:8]}"
        return f"{self.variant if self.task == 'closed' else self.task}-{self.lang}-{name}"


def kind_of(path: Path) -> Kind | None:
    """Return what the file `path` holds; None if the file is not part of the benchmark.

    `path` is relative to the data set. The words of the file's name count first, then the words of
    its folders. Examples: closed_accent_en.jsonl, adjustment/cn.parquet,
    closed_accent_en/train-00000-of-00002.parquet. A file whose name has any other word
    (closed_standard_en_responses) is not part of the benchmark.
    """
    stem = re.sub(r"(?:-\d+-of-\d+)?(?:\.jsonl|\.parquet)(?:\.gz|\.zst)?$", "", path.name)
    parts = [re.findall("[a-z]+", part.lower()) for part in (*path.parent.parts, stem)]
    if not WORDS.issuperset(parts[-1]):
        return None
    words = [word for part in reversed(parts) for word in part]
    task = next((word for word in words if word in TASKS), None)
    variant = next((word for word in words if word in VARIANTS), None)
    lang = next((LANGUAGES[word] for word in words if word in LANGUAGES), None)
    return None if task is None else Kind(task, variant if task == "closed" else "standard", lang)


def key_of(value: Mapping[str, object]) -> str | None:
    """Return the record's `key` (closed) or `id` (open, adjustment); None if it is unreadable."""
    key = value.get("key") if value.get("key") is not None else value.get("id")
    if isinstance(key, float) and key.is_integer():  # integers become floats if one is missing
        key = int(key)
    return None if isinstance(key, bool) or not isinstance(key, str | int) else str(key).strip() or None


def prompt_of(value: Mapping[str, object]) -> str | None:
    """Return the record's prompt; None if it is blank or not text."""
    prompt = value.get("prompt")
    return prompt if isinstance(prompt, str) and prompt.strip() else None


def language(value: Mapping[str, object], kind: Kind) -> str:
    """Return `en` or `cn`, from the record's `language`, the file's name or the audio path.

    Raises Refused if none of them names a language, or if record and file disagree.
    """
    said = value.get("language")
    if said is None:
        found = re.search(r"[_/-](en|cn)\.\w+$", audio_path(value) or "")
        lang = kind.lang or (found and found[1])
        if not lang:
            raise Refused("wrong language", "neither the file nor the record names one")
        return lang
    lang = LANGUAGES.get(said.strip().lower().replace("_", "-")) if isinstance(said, str) else None
    if lang is None:
        raise Refused("wrong language", repr(said))
    if kind.lang not in (None, lang):
        raise Refused("wrong language", f"{said} in a file of {kind.lang}")
    return lang


def audio_path(value: Mapping[str, object]) -> str | None:
    """Return the path under `audio_path` or `audio`, which may be a struct with `path`; or None."""
    for found in (value.get("audio_path"), value.get("audio")):
        path = found.get("path") if isinstance(found, dict) else found
        if isinstance(path, str) and path.strip():
            return path
    return None


def has_samples(value: Mapping[str, object]) -> bool:
    """Return whether `audio` holds numbers instead of a file.

    The numbers are a list, or a struct as `datasets` decodes a file:
    {"array": [...], "sampling_rate": ...}.
    """
    audio = value.get("audio")
    return isinstance(audio.get("array") if isinstance(audio, dict) else audio, list)


def record(value: Mapping[str, object], kind: Kind) -> Record:
    """Return the item, with its instructions checked as the scorer reads them. Raises Refused."""
    key, prompt = key_of(value), prompt_of(value)
    if key is None or prompt is None:
        raise Refused("missing field", "key or id" if key is None else "prompt")
    lang = language(value, kind)
    notes = {"gender": value["gender"]} if value.get("gender") is not None else {}
    if kind.task != "closed":
        questions = split_questions(value.get("decomposed_questions")) if kind.task == "open" else []
        if kind.task == "open" and not questions:
            raise Refused("no questions", "decomposed_questions is empty")
        return Record(kind.task, "standard", lang, key, prompt, audio_path(value), questions=questions, notes=notes)
    variant = _variant(value, kind)
    ids, kwargs = _instructions(value)
    audio = audio_path(value) or f"closed_{variant}_{key}_{lang}.wav"
    return Record("closed", variant, lang, key, prompt, audio, ids, kwargs, notes=notes)


def _variant(value: Mapping[str, object], kind: Kind) -> str:
    named = re.search(rf"closed_({'|'.join(VARIANTS)})_", audio_path(value) or "")
    variant = kind.variant or value.get("variant") or (named and named[1])
    if not isinstance(variant, str) or variant not in VARIANTS:
        raise Refused("unknown variant", repr(variant))
    return variant


def _instructions(value: Mapping[str, object]) -> tuple[list[str], list[dict[str, object]]]:
    """Return the instruction ids and their arguments, without null arguments. Raises Refused.

    Parquet gives every row every argument, and the scorer drops those that are null.
    """
    ids, kwargs = instructions(value)
    if not isinstance(ids, list) or not ids:
        raise Refused("missing field", "instruction_id_list")
    if not isinstance(kwargs, list) or len(kwargs) != len(ids):
        raise Refused("wrong kwargs", f"kwargs is not a list of {len(ids)} objects")
    return ids, [_arguments(name, given) for name, given in zip(ids, kwargs, strict=True)]


def _arguments(name: object, given: Mapping[str, object] | None) -> dict[str, object]:
    if not isinstance(name, str) or name not in CHECKS:
        raise Refused("unknown instruction", repr(name))
    try:
        CHECKS[name].read(given)
    except Unscorable as error:
        raise Refused("wrong kwargs", f"{name}: {error.detail} ({error.reason})") from error
    return {key: argument for key, argument in (given or {}).items() if argument is not None}
