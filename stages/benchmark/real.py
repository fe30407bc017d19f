"""Read a local copy of SpeechInstructBench into the same form as our own set.

The copy has all three tasks in both languages.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from inserter.errors import InserterError
from inserter.files import endings
from inserter.params import Benchmark
from inserter.reports import BenchmarkReport
from inserter.run.closure import deciding
from inserter.run.runner import say
from inserter.run.work import WorkFolder
from inserter.scoring.recordfiles import Refused
from inserter.tables import TASKS, VARIANTS, Item
from stages.benchmark.clips import Clip, Sound, encode_all
from stages.benchmark.expected import compare
from stages.benchmark.output import finish
from stages.benchmark.own import prompts
from stages.benchmark.records import Kind, Record, has_samples, key_of, kind_of, prompt_of, record
from stages.benchmark.source import Raw, Wavs, count, raw_records

REMEDY = (
    "`hf download ddwang2000/SpeechInstructBench --repo-type dataset --local-dir SpeechInstructBench` (9.6 GB) and set "
    "benchmark.path to that folder, or set it to own"
)
SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet")
SOUNDS = (".wav", ".flac", ".ogg", ".opus", ".mp3")  # audio files, which records name


@dataclass(frozen=True)
class Found:
    """What the files of the data set contain; records, sounds and places run in parallel."""

    records: list[Record] = field(default_factory=list)
    sounds: list[Sound] = field(default_factory=list)

    places: list[dict[str, object]] = field(default_factory=list)
    """File and line (or row, from 1) of each record, with its item_id and key."""

    quarantined: list[dict[str, object]] = field(default_factory=list)

    prompts: dict[tuple[str, ...], dict[str, object]] = field(default_factory=dict)
    """Every readable prompt, used or not, by (key, task, lang, prompt).

    Training text is kept apart from all of them.
    """

    def refuse(self, place: dict[str, object], reason: str, detail: str) -> None:
        self.quarantined.append({**place, "reason": reason, "detail": detail})


def build(settings: Benchmark, target: Path, workers: int = 0) -> BenchmarkReport:
    """Read the folder `settings.path`, publish it as `target` and return the metrics.

    Raises InserterError if the folder or its records are missing, or if no record can be used.
    workers: number of processes; 0 means one per core.
    """
    root = Path(settings.path).expanduser()
    files, others = _files(root)
    not_read = _not_read(root, others)
    found = _read(root, files)
    work = _work(root, files, found)
    rows = _rows(found, encode_all(found.sounds, work, workers))
    # Training text is also kept apart from our own set, so that either set can be used later.
    own = [prompt.record() for prompt in prompts(settings)]
    metrics = finish(work, target, [*own, *found.prompts.values()], rows=rows, quarantined=found.quarantined)
    absent = _absent(rows)
    return {**metrics, "source": "SpeechInstructBench", "absent": absent, "not_read": not_read, "expected": compare(rows)}


def _files(root: Path) -> tuple[list[tuple[Path, Kind]], list[Path]]:
    """Return the benchmark's files, and the JSON Lines and Parquet files of other names.

    The benchmark's files are ordered by task and variant. Within a task, files that name no
    variant come first, then the standard variant. Raises InserterError if there is no such file.
    """
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
            f"Download the data set again with {REMEDY}",
        )
    if others:
        say(f"benchmark: skipped {endings(others)}; readable endings are {', '.join(SUFFIXES)}")
    order = {name: n for n, name in enumerate((None, *VARIANTS))}
    known.sort(key=lambda one: (TASKS.index(one[1].task), order[one[1].variant], str(one[0])))
    return known, [path for path, kind in kinds.items() if kind is None]


def _not_read(root: Path, files: list[Path]) -> dict[str, int]:
    """Return the number of records, by path, of files that are not named like the benchmark's."""
    counts = {str(path.relative_to(root)): count(path) for path in files}
    for name, number in counts.items():
        say(f"benchmark: skipped {number} records of {name}: the file has no name of the benchmark")
    return counts


def _read(root: Path, files: list[tuple[Path, Kind]]) -> Found:
    """Return the usable records and quarantine the others. The audio is not read yet."""
    found, wavs = Found(), Wavs(root)
    seen: set[tuple[str, ...]] = set()
    for file, kind in files:
        for raw in raw_records(file):
            place: dict[str, object] = {"item_id": None, "key": None, "file": str(file.relative_to(root)), "line": raw.number}
            try:
                one, sound = _usable(raw, kind, found, wavs=wavs, folder=file.parent, place=place)
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


def _usable(raw: Raw, kind: Kind, found: Found, *, wavs: Wavs, folder: Path, place: dict[str, object]) -> tuple[Record, Sound]:
    """Return the record and where its clip is. Raises Refused.

    `place` and the prompts of `found` receive whatever could be read, even of a refused record.
    """
    if isinstance(raw.value, Refused):
        raise raw.value
    place["key"] = key_of(raw.value)
    _keep_prompt(found, raw.value, kind)
    one = record(raw.value, kind)
    place["item_id"] = one.item_id
    wav = _wav(wavs, one, folder, needed=raw.embedded is None and not has_samples(raw.value))
    if wav is None and raw.embedded is None:
        raise Refused("samples", "audio is a list of numbers: give a wav file, or the bytes of a file in Parquet")
    return one, Sound(one.item_id, wav, raw.embedded)


def _wav(wavs: Wavs, one: Record, folder: Path, *, needed: bool) -> Path | None:
    """Return the audio file of the record, or None if the file is missing and not `needed`.

    A Parquet row usually holds its audio, and its path is then only the original file name.
    Raises Refused if a needed file is missing or ambiguous.
    """
    try:
        return wavs.find(one.audio, folder)
    except Refused:
        if needed:
            raise
        return None


def _keep_prompt(found: Found, value: Mapping[str, object], kind: Kind) -> None:
    row: dict[str, object] = {"key": key_of(value), "task": kind.task, "lang": kind.lang, "prompt": prompt_of(value)}
    if row["prompt"] is not None:
        found.prompts.setdefault(tuple(map(str, row.values())), row)


def _work(root: Path, files: list[tuple[Path, Kind]], found: Found) -> WorkFolder:
    """Return the work folder of the unfinished shards.

    The audio (9.6 GB) is not hashed: a file counts as changed if its size or time changed.
    """
    audio = {path for s in found.sounds for path in (s.wav, s.embedded and s.embedded.file) if path}
    stamps = {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in audio}
    sounds = [[s.item_id, *_stamp(s, stamps)] for s in found.sounds]
    texts = [path for path, _ in files if path.suffix != ".parquet"]
    makers = deciding("stages.benchmark.clips")
    return WorkFolder("benchmark", {"path": str(root.resolve()), "sounds": sounds}, [*texts, *makers])


def _stamp(sound: Sound, stamps: dict[Path, tuple[int, int]]) -> Iterable[object]:
    if sound.wav:
        yield from (str(sound.wav), *stamps[sound.wav])
    if sound.embedded:
        where = sound.embedded
        yield from (str(where.file), where.column, where.group, where.row, *stamps[where.file])


def _rows(found: Found, clips: dict[str, Clip]) -> list[Item]:
    """Return the items with their clips (schema ITEMS); quarantine records with bad audio."""
    clean = {(one.lang, one.key): one.prompt for one in found.records if one.task == "closed" and one.variant == "standard"}
    rows: list[Item] = []
    for one, place in zip(found.records, found.places, strict=True):
        clip = clips[one.item_id]
        if "reason" in clip:
            found.refuse(place, clip["reason"], clip["detail"])
            continue
        sound = clip.get("notes", [])
        for note in sound:
            say(f"benchmark: {one.item_id}: {note}")
        notes = one.notes | ({"sound": sound} if sound else {})
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
                "shard": clip["shard"],
                "offset": clip["offset"],
                "size": clip["size"],
                "duration": clip["duration"],
            }
        )
    return rows


def _absent(rows: list[Item]) -> dict[str, str]:
    """Return {variant or lang/variant: reason} of the absent closed-ended variants."""
    present = {(row["lang"], row["variant"]) for row in rows if row["task"] == "closed"}
    variants = {variant for _, variant in present}
    names = [variant for variant in VARIANTS if variant not in variants]
    for lang in sorted({lang for lang, _ in present}):
        names += [f"{lang}/{name}" for name in VARIANTS if name in variants and (lang, name) not in present]
    return dict.fromkeys(names, "no usable record in the folder")
