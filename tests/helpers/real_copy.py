"""Writes small folders laid out as SpeechInstructBench is, for tests."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from checkout import ROOT
from datasets import Dataset

from inserter.audio.clips import SAMPLE_RATE, read_clip
from inserter.files import read_jsonl, read_table
from inserter.params import load
from inserter.tables import ITEMS
from stages.benchmark import real

SETTINGS = load(ROOT / "params.yaml").benchmark
BULLETS = {"instruction_id_list": ["detectable_format:number_bullet_lists"]}
FILES = {
    "closed": "closed-ended/closed_{variant}_{lang}.jsonl",
    "open": "open-ended/open_ended_{lang}.jsonl",
    "adjustment": "adjustment/adjustment_{lang}.jsonl",
}


def wav(seconds: float = 0.5, rate: int = 16_000, loudness: float = 0.1) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, loudness * np.sin(np.arange(int(rate * seconds)) / 20), rate, format="WAV")
    return buffer.getvalue()


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def closed(key: Any, variant: str = "standard", lang: str = "en", **fields: Any) -> dict[str, Any]:
    record = {"key": key, "prompt": f"Prompt {key}.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    return {**record, "audio_path": f"closed_{variant}_{key}_{lang}.wav", **fields}


def opened(number: Any, lang: str = "en", **fields: Any) -> dict[str, Any]:
    questions = ["Is it a poem?", "Does it name the sea?"]
    record = {"id": number, "prompt": f"Open {number}.", "gender": "female", "decomposed_questions": questions}
    return {**record, "audio": f"open_ended_{number}_{lang}.wav", "language": lang, **fields}


def adjusted(number: Any, lang: str = "en", **fields: Any) -> dict[str, Any]:
    record = {"id": number, "prompt": f"A tale, no, sorry, a poem {number}.", "gender": "male"}
    return {**record, "audio": {"path": f"adjustment_{number}_{lang}.wav"}, "language": lang, **fields}


def write(root: Path, task: str, records: list[dict | str], lang: str = "en", variant: str = "standard", sound: bool = True):
    """The jsonl file of a task (a string is a line as it is), and a wav for each record that names one."""
    file = root / FILES[task].format(variant=variant, lang=lang)
    lines = [one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in records]
    put(file, "\n".join(lines).encode())
    for one in records if sound else []:
        found = one.get("audio_path") or one.get("audio") if isinstance(one, dict) else None
        name = found["path"] if isinstance(found, dict) else found
        if isinstance(name, str) and not (file.parent / name).exists():
            put(file.parent / name, wav())
    return file


def parquet(path: Path, records: list[dict], rows: int = 2) -> Path:
    """As the hub serves it: audio as bytes and path, in row groups of `rows`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_list(records).to_parquet(path, batch_size=rows)
    return path


def embedded(record: dict[str, Any], data: bytes | None) -> dict[str, Any]:
    """The record with its audio inside, as a struct of the column `audio`."""
    sound = record.get("audio_path") or record.get("audio")
    name = sound["path"] if isinstance(sound, dict) else sound
    rest = {key: value for key, value in record.items() if key != "audio_path"}
    return {**rest, "audio": {"bytes": data, "path": name}}


def build(root: Path, workers: int = 1) -> tuple[list[dict], list[dict], dict]:
    """(items, quarantine, metrics); the counts always reconcile."""
    target = root.parent / "data/benchmark"
    metrics = real.build(SETTINGS.model_copy(update={"path": str(root)}), target, workers)
    rows, quarantine = read_table(target / "items.parquet", ITEMS), list(read_jsonl(target / "quarantine.jsonl"))
    assert metrics["read"] == len(rows) + len(quarantine)
    assert metrics["quarantined"]["total"] == len(quarantine)
    assert len({row["item_id"] for row in rows}) == len(rows)
    for row in rows:
        assert len(read_clip(target, row)) / SAMPLE_RATE == pytest.approx(row["duration"])
    return rows, quarantine, metrics
