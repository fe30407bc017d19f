"""The closed-ended part of a local copy of SpeechInstructBench, in the same form as our own set."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.benchmark.clips import Clip, Wavs, encode_all
from stages.benchmark.output import finish
from stages.benchmark.records import FILE, VARIANTS, Bad, Record, lines, parse, record
from stages.common.errors import InserterError
from stages.common.params import Benchmark
from stages.common.runner import say
from stages.common.work import WorkFolder

REMEDY = (
    "`hf download ddwang2000/SpeechInstructBench --repo-type dataset --local-dir SpeechInstructBench` (9.6 GB) and set "
    "benchmark.path to that folder, or set it to own"
)
LATER = ("open-ended", "adjustment")  # tasks that need a judge


@dataclass
class Found:
    """What the files hold. prompts: every readable one, used or not: training text is kept away from them all."""

    records: list[tuple[Record, Path]] = field(default_factory=list)
    quarantined: list[dict[str, Any]] = field(default_factory=list)
    prompts: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)  # by (lang, key, prompt)


def build(settings: Benchmark, target: Path, workers: int = 0) -> dict[str, Any]:
    """Read the folder `settings.path` and publish it as `target`; returns the metrics. workers: processes, 0 for one a core.

    Raises InserterError when the folder or the closed-ended part is not there, or nothing in it can be used.
    """
    root = Path(settings.path).expanduser()
    files = _files(root)
    not_read = _not_read(root)
    found = _read(root, files)
    wavs = [(one.item_id, path) for one, path in found.records]
    # 9.6 GB of audio are not hashed: a file counts as changed when its size or time has
    stamps = [[item_id, str(path), path.stat().st_size, path.stat().st_mtime_ns] for item_id, path in wavs]
    work = WorkFolder("benchmark", {"path": str(root.resolve()), "wavs": stamps}, files)
    clips = encode_all(wavs, work, workers)
    rows = _rows(found, clips)
    metrics = finish(work, target, list(found.prompts.values()), rows, found.quarantined)
    present = {row["variant"] for row in rows}
    absent = {variant: "no usable record in the folder" for variant in VARIANTS if variant not in present}
    return {**metrics, "source": "SpeechInstructBench", "absent": absent, "not_read": not_read}


def _files(root: Path) -> list[Path]:
    """The jsonl files of the closed-ended task, the standard variant first: its prompts are the clean ones."""
    if not root.is_dir():
        raise InserterError(f"benchmark.path {root} is not a folder", f"Download the data set with {REMEDY}")
    matches = [(FILE.fullmatch(path.name), path) for path in root.rglob("closed_*.jsonl")]
    found = [(VARIANTS.index(match["variant"]), str(path), path) for match, path in matches if match]
    if not found:
        raise InserterError(f"{root} has no closed_VARIANT_LANG.jsonl", f"Download it again with {REMEDY}")
    return [path for *_, path in sorted(found)]


def _not_read(root: Path) -> dict[str, int]:
    """Records of the tasks that this stage does not read, and of closed-ended files with an unknown name."""
    counts: Counter[str] = Counter()
    for path in sorted(root.rglob("*.jsonl")):
        if FILE.fullmatch(path.name):
            continue
        folder = path.relative_to(root).parts[0]
        counts[folder if folder in LATER else path.name] += sum(1 for _ in lines(path))
    for name, count in counts.items():
        say(f"benchmark: {count} records of {name} are not read: only the closed-ended task is")
    return dict(counts)


def _read(root: Path, files: list[Path]) -> Found:
    found, wavs, seen = Found(), Wavs(root), set()
    for file in files:
        name = FILE.fullmatch(file.name)
        assert name is not None  # _files has matched it
        for number, line in lines(file):
            place = {"item_id": None, "key": None, "file": str(file.relative_to(root)), "line": number}
            try:
                value = parse(line)
                place["key"] = str(value["key"])
                _keep_prompt(found, value, name["lang"])
                one = record(value, name["variant"], name["lang"])
                place["item_id"] = one.item_id
                if one.item_id in seen:
                    raise Bad("duplicate key", one.key)
                wav = wavs.find(one.audio_path, file.parent)
                if wav is None:
                    raise Bad("missing wav", one.audio_path)
            except Bad as bad:
                found.quarantined.append({**place, "reason": bad.reason, "detail": bad.detail})
                continue
            seen.add(one.item_id)
            found.records.append((one, wav))
    return found


def _keep_prompt(found: Found, value: dict[str, Any], lang: str) -> None:
    fields = {name: value.get(name) for name in ("prompt", "instruction_id_list", "kwargs")}
    found.prompts.setdefault((lang, str(value["key"]), value["prompt"]), {"key": str(value["key"]), **fields})


def _rows(found: Found, clips: dict[str, Clip]) -> list[dict[str, Any]]:
    """Items with their clips; records whose audio turned out to be bad join the quarantine."""
    clean = {(one.lang, one.key): one.prompt for one, _ in reversed(found.records) if one.variant == "standard"}
    rows = []
    for one, wav in found.records:
        clip = clips[one.item_id]
        if "reason" in clip:
            place = {"item_id": one.item_id, "key": one.key, "file": str(wav.name), "line": None}
            found.quarantined.append({**place, **clip})
            continue
        rows.append({
            "item_id": one.item_id, "key": one.key, "task": "closed", "lang": one.lang, "variant": one.variant,
            "prompt": one.prompt, "clean_prompt": clean.get((one.lang, one.key), one.prompt),
            "instruction_id_list": one.instruction_id_list,
            "kwargs": json.dumps(one.kwargs, sort_keys=True, ensure_ascii=False),
            "voice": "SpeechInstructBench", "notes": "{}", **clip,
        })  # fmt: skip
    return rows
