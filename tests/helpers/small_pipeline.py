"""The whole pipeline with small parameters."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from checkout import ROOT

SMALL = {
    "corpus": {"words": 6000, "heldout_documents": 8, "lexicon": {"words": 40, "line_words": 8, "look_at_words": 20_000}},
    "synthesize": {"shard_clips": 16},
    "pretrain": {"steps": 8, "batch_positions": 400, "precision": "fp32", "checkpoint_steps": 4, "gap_steps": 4},
    "sft": {"prompts": 40, "max_new_tokens": 8, "steps": 4, "batch_positions": 300, "precision": "fp32"},
    "benchmark": {
        "items_per_type": 1,
        "open_items": 3,
        "adjustment_items": 3,
        "chinese": {"items_per_type": 1, "open_items": 2, "adjustment_items": 2},
    },
    "evaluate": {"max_new_tokens": 8, "precision": "fp32", "items": {"closed_per_type": 1, "open": 2, "adjustment": 2}},
    "register": {"audio_samples": 1},
}


def project(folder: Path, params: dict) -> Path:
    """The code and the graph in `folder`, with `params` and nothing made yet."""
    folder.mkdir()
    for name in ("flows", "stages", "inserter", "models"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "dvc.yaml", folder)
    shutil.copy(ROOT / ".dvcignore", folder)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "-q"], cwd=folder, check=True)
    return folder


def environment(workspace: Path) -> dict[str, str]:
    drop = {"PREFECT_API_URL", "PYTEST_CURRENT_TEST"}
    return {k: v for k, v in os.environ.items() if k not in drop} | {
        "PREFECT_HOME": str(workspace / ".prefect"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
