"""A local copy of SpeechInstructBench, all three tasks in both languages, in the same form as our own set."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inserter.errors import InserterError
from inserter.files import endings
from inserter.params import Benchmark
from inserter.run.closure import deciding
from inserter.run.runner import say
from inserter.run.work import WorkFolder
from inserter.scoring.recordfiles import Refused
from stages.benchmark.clips import Clip, Sound, encode_all
from stages.benchmark.expected import compare
from stages.benchmark.output import finish
from stages.benchmark.own import prompts
from stages.benchmark.records import TASKS, VARIANTS, Kind, Record, has_samples, key_of, kind_of, prompt_of, record
from stages.benchmark.source import Raw, Wavs, count, raw_records

REMEDY = (
    "`hf download ddwang2000/SpeechInstructBench --repo-type dataset --local-dir SpeechInstructBench` (9.6 GB) and set "
    "benchmark.path to that folder, or set it to own"
)
SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet")
SOUNDS = (".wav", ".flac", ".ogg", ".opus", ".mp3")  # what records name


@dataclass(frozen=True)
class Found:
    """What the files hold. places: of each record the file and line (or row), from 1.

    prompts: every readable one, used or not: training text is kept away from them all.
    """

    records: list[Record] = field(default_factory=list)
    sounds: list[Sound] = field(default_factory=list)
    places: list[dict[str, Any]] = field(default_factory=list)
    quarantined: list[dict[str, Any]] = field(default_factory=list)
    prompts: dict[tuple[str, ...], dict[str, Any]] = field(default_factory=dict)  # by key, task, lang and prompt

    def refuse(self, place: dict[str, Any], reason: str, detail: str) -> None:
        self.quarantined.append({**place, "reason": reason, "detail": detail})


def build(settings: Benchmark, target: Path, workers: int = 0) -> dict[str, Any]:
    """Read the folder `settings.path` and publish it as `target`; returns the metrics.

    workers: processes, 0 for one a core. Raises InserterError when the folder or its records are not there, or none can
    be used.
    """
    root = Path(settings.path).expanduser()
    files, others = _files(root)
    not_read = _not_read(root, others)
    found = _read(root, files)
    work = _work(root, files, found)
    rows = _rows(found, encode_all(found.sounds, work, workers))
    own = [prompt.record() for prompt in prompts(settings)]  # also kept apart, so that either set can be asked later
    metrics = finish(work, target, [*own, *found.prompts.values()], rows, found.quarantined)
    absent = _absent(rows)
    return {**metrics, "source": "SpeechInstructBench", "absent": absent, "not_read": not_read, "expected": compare(rows)}


def _files(root: Path) -> tuple[list[tuple[Path, Kind]], list[Path]]:
    """(the benchmark's files by task and variant, the standard one first; jsonl and Parquet files of other names)."""
    if not root.is_dir():
        raise InserterError(f"benchmark.path {root} is not a folder", f"Download the data set with {REMEDY}")
    everything = sorted(path for path in root.rglob("*") if path.is_file())
    visible = [path for path in everything if not any(part.startswith(".") for part in path.relative_to(root).parts)]
    kinds = {path: kind_of(path.relative_to(root)) for path in visible if path.name.endswith(SUFFIXES)}
    others = [path for path in visible if path not in kinds and path.suffix.lower() not in SOUNDS]
    known = [(path, kind) for path, kind in kinds.items() if kind]
    if not known:
        there = f", but {endings(others)}" if others else ""
        raise InserterError(
            f"{root} has no closed_VARIANT_LANG, open_ended_LANG or adjustment_LANG (.jsonl or .parquet){there}",
            f"Download it again with {REMEDY}",
        )
    if others:
        say(f"benchmark: not read: {endings(others)}; read are {', '.join(SUFFIXES)}")
    order = {name: n for n, name in enumerate((None, *VARIANTS))}
    known.sort(key=lambda one: (TASKS.index(one[1].task), order[one[1].variant], str(one[0])))
    return known, [path for path, kind in kinds.items() if kind is None]


def _not_read(root: Path, files: list[Path]) -> dict[str, int]:
    """Records of the files whose name says nothing of the benchmark, by their path."""
    counts = {str(path.relative_to(root)): count(path) for path in files}
    for name, number in counts.items():
        say(f"benchmark: {number} records of {name} are not read: its name is not one of the benchmark")
    return counts


def _read(root: Path, files: list[tuple[Path, Kind]]) -> Found:
    """All records but those that cannot be used. Audio stays where it is."""
    found, wavs = Found(), Wavs(root)
    seen: set[tuple[str, ...]] = set()
    for file, kind in files:
        for raw in raw_records(file):
            place = {"item_id": None, "key": None, "file": str(file.relative_to(root)), "line": raw.number}
            try:
                one, sound = _usable(raw, kind, found, wavs, file.parent, place)
                name = (one.task, one.variant, one.lang, one.key)
                if name in seen:
                    raise Refused("duplicate key", one.key)
            except Refused as bad:
                found.refuse(place, bad.reason, bad.detail)
                continue
            seen.add(name)
            found.records.append(one)
            found.sounds.append(sound)
            found.places.append(place)
    return found


def _usable(raw: Raw, kind: Kind, found: Found, wavs: Wavs, folder: Path, place: dict[str, Any]) -> tuple[Record, Sound]:
    """The record and where its clip is; `place` and the prompts get what could be read. Raises Refused."""
    if isinstance(raw.value, Refused):
        raise raw.value
    place["key"] = key_of(raw.value)
    _keep_prompt(found, raw.value, kind)
    one = record(raw.value, kind)
    place["item_id"] = one.item_id
    wav = _wav(wavs, one, folder, raw.embedded is None and not has_samples(raw.value))
    if wav is None and raw.embedded is None:
        raise Refused("samples", "audio is a list of numbers: give it as a wav, or in Parquet as the bytes of a file")
    return one, Sound(one.item_id, wav, raw.embedded)


def _wav(wavs: Wavs, one: Record, folder: Path, needed: bool) -> Path | None:
    """The record's file. Not needed: a Parquet row mostly holds its audio, and the path is only what it was called."""
    try:
        return wavs.find(one.audio, folder)
    except Refused:
        if needed:
            raise
        return None


def _keep_prompt(found: Found, value: dict[str, Any], kind: Kind) -> None:
    row = {"key": key_of(value), "task": kind.task, "lang": kind.lang, "prompt": prompt_of(value)}
    if row["prompt"] is not None:
        found.prompts.setdefault(tuple(map(str, row.values())), row)


def _work(root: Path, files: list[tuple[Path, Kind]], found: Found) -> WorkFolder:
    """Half-done shards. 9.6 GB of audio are not hashed: a file counts as changed when its size or time has."""
    audio = {path for s in found.sounds for path in (s.wav, s.embedded and s.embedded.file) if path}
    stamps = {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in audio}
    sounds = [[s.item_id, *_stamp(s, stamps)] for s in found.sounds]
    texts = [path for path, _ in files if path.suffix != ".parquet"]
    makers = deciding("stages.benchmark.clips")
    return WorkFolder("benchmark", {"path": str(root.resolve()), "sounds": sounds}, [*texts, *makers])


def _stamp(sound: Sound, stamps: dict[Path, tuple[int, int]]) -> Iterable[Any]:
    if sound.wav:
        yield from (str(sound.wav), *stamps[sound.wav])
    if sound.embedded:
        where = sound.embedded
        yield from (str(where.file), where.column, where.group, where.row, *stamps[where.file])


def _rows(found: Found, clips: dict[str, Clip]) -> list[dict[str, Any]]:
    """Items with their clips (schema ITEMS); records whose audio turned out to be bad join the quarantine."""
    clean = {(one.lang, one.key): one.prompt for one in found.records if one.task == "closed" and one.variant == "standard"}
    rows = []
    for one, place in zip(found.records, found.places, strict=True):
        clip = clips[one.item_id]
        if "reason" in clip:
            found.refuse(place, clip["reason"], clip["detail"])
            continue
        clip, told = dict(clip), clip.get("notes", [])
        clip.pop("notes", None)
        for note in told:
            say(f"benchmark: {one.item_id}: {note}")
        notes = one.notes | ({"sound": told} if told else {})
        twin = clean.get((one.lang, one.key), one.prompt) if one.task == "closed" else one.prompt
        rows.append(
            {
                "item_id": one.item_id,
                "key": one.key,
                "task": one.task,
                "lang": one.lang,
                "variant": one.variant,
                "prompt": one.prompt,
                "clean_prompt": twin,
                "instruction_id_list": one.instruction_id_list,
                "kwargs": json.dumps(one.kwargs, sort_keys=True, ensure_ascii=False),
                "questions": one.questions,
                "voice": "SpeechInstructBench",
                "notes": json.dumps(notes, sort_keys=True, ensure_ascii=False),
                **clip,
            }
        )
    return rows


def _absent(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Why a variant of the closed-ended task is not there: {variant or lang/variant: reason}."""
    present = {(row["lang"], row["variant"]) for row in rows if row["task"] == "closed"}
    variants = {variant for _, variant in present}
    names = [variant for variant in VARIANTS if variant not in variants]
    for lang in sorted({lang for lang, _ in present}):
        names += [f"{lang}/{name}" for name in VARIANTS if name in variants and (lang, name) not in present]
    return dict.fromkeys(names, "no usable record in the folder")
