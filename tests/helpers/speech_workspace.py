"""Workspaces with a few spans to speak, for the stage as a process of its own."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from checkout import ROOT

from inserter.files import write_table
from inserter.params import Params, load
from inserter.tables import SPANS

PARAMS = (ROOT / "params.yaml").read_text(encoding="utf-8")
TEXTS = ["Good morning to you all.", "The state of the Union is strong.", "日本語", "We ask for peace, and for trade."]
VOICES = [
    {"name": "heart", "engine": "hibari", "voice": "heart", "weight": 2.0, "license": "Apache-2.0"},
    {"name": "fast", "engine": "hibari", "voice": "heart", "rate": 1.15, "license": "Apache-2.0"},
    {"name": "high", "engine": "hibari", "voice": "heart", "pitch": 1.12, "license": "Apache-2.0"},
    {"name": "unseen", "engine": "hibari", "voice": "heart", "pitch": 0.8, "license": "Apache-2.0", "heldout": True},
]


def spans(count: int) -> list[dict]:
    """One in three is a held-out context, one in four cannot be spoken."""

    def span(i: int) -> dict:
        text, level = TEXTS[i % 4], ("word", "sentence", "context")[i % 3]
        split = "heldout" if level == "context" else "train"
        return {
            "utt_id": f"d{i // 5}-{i}",
            "doc_id": f"d{i // 5}",
            "split": split,
            "level": level,
            "language": "en",
            "start": 0,
            "end": len(text),
            "written": text,
            "spoken": text,
        }

    return [span(i) for i in range(count)]


def workspace(folder: Path, rows: list[dict], executor: str = "local", **synthesize: Any) -> Path:
    """`folder` with those spans, and the project's parameters with shards of six clips and three voices of training."""
    folder.mkdir(parents=True, exist_ok=True)
    params = yaml.safe_load(PARAMS)
    params["executor"] = executor
    params["synthesize"] |= {"shard_clips": 6, "voices": VOICES, "workers": 1} | synthesize
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    write_table(folder / "data/segment/spans.parquet", rows, SPANS)
    return folder


def parameters(folder: Path) -> Params:
    return load(folder / "params.yaml")


def start(folder: Path, stage: str = "synthesize") -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", f"stages.{stage}"]
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def run(folder: Path, stage: str = "synthesize") -> str:
    """What it says on standard error."""
    process = start(folder, stage)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return errors


def contents(folder: Path, name: str = "synthesize") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "data" / name).iterdir())}
