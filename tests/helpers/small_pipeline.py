"""The whole pipeline with small parameters, run to its end or killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import yaml
from checkout import ROOT

SMALL = {
    "corpus": {
        "words": 6000,  # over 128 clips: several blocks of verify
        "heldout_documents": 8,
        "heldout_share": 0.3,  # with less, the corpus is read three times for its 8 documents
        "lexicon": {"words": 40, "line_words": 8, "look_at_words": 20_000},
    },
    "synthesize": {"shard_clips": 16},
    "pretrain": {"steps": 8, "batch_positions": 400, "precision": "fp32", "checkpoint_steps": 4, "gap_steps": 4},
    "sft": {"prompts": 24, "max_new_tokens": 8, "steps": 4, "batch_positions": 300, "precision": "fp32"},
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
    """A repository with the code, the graph and `params` in its one commit, and nothing made yet."""
    folder.mkdir()
    for name in ("flows", "stages", "inserter", "models"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    git = ["git", "-c", "user.name=small", "-c", "user.email=small@example.org"]
    dvc = [sys.executable, "-m", "dvc"]
    for command in ([*git, "init", "-q"], [*dvc, "init", "-q"], [*git, "add", "-A"], [*git, "commit", "-qm", "small"]):
        subprocess.run(command, cwd=folder, check=True)
    return folder


def environment(workspace: Path, api: str | None = None) -> dict[str, str]:
    """api: address of a Prefect server; None: the run starts its own."""
    drop = {"PREFECT_API_URL", "PYTEST_CURRENT_TEST"}
    server = {"PREFECT_API_URL": api} if api else {}
    return (
        {k: v for k, v in os.environ.items() if k not in drop}
        | server
        | {
            "PREFECT_HOME": str(workspace / ".prefect"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
    )


def start(workspace: Path, command: str, *arguments: str, api: str | None = None) -> subprocess.Popen:
    """`inserter COMMAND` in a session of its own; what it prints is added to run.log."""
    log = (workspace / "run.log").open("a")
    whole = [sys.executable, "-m", "flows.cli", command, *arguments]
    return subprocess.Popen(whole, cwd=workspace, env=environment(workspace, api), stdout=log, stderr=log, start_new_session=True)


def finish(workspace: Path, command: str, *arguments: str, api: str | None = None) -> str:
    """Run to the end and give what was printed."""
    before = _printed(workspace)
    code = start(workspace, command, *arguments, api=api).wait(1500)
    printed = _printed(workspace)[len(before) :].decode(errors="replace")
    assert code == 0, printed[-4000:]
    return printed


def kill_when(workspace: Path, pattern: str, command: str, *arguments: str, api: str | None = None) -> str:
    """kill -9 of the whole run as soon as a file fits `pattern`; no process is left. Gives what was printed."""
    before = _printed(workspace)
    process = start(workspace, command, *arguments, api=api)
    while not list(workspace.glob(pattern)):
        assert process.poll() is None, _printed(workspace)[-4000:].decode(errors="replace")
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 30
    while left_behind(workspace) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left_behind(workspace) == [], "no orphan"
    return _printed(workspace)[len(before) :].decode(errors="replace")


def left_behind(workspace: Path) -> list[str]:
    """Command lines of processes that work in the folder, or in a working copy in it."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(workspace):
                found.append(" ".join(process.cmdline()))
        except (psutil.Error, OSError):
            continue
    return found


def times(workspace: Path, pattern: str) -> dict[Path, int]:
    """The files that fit, with the times at which they were last written."""
    return {path: path.stat().st_mtime_ns for path in workspace.glob(pattern)}


def _printed(workspace: Path) -> bytes:
    log = workspace / "run.log"
    return log.read_bytes() if log.exists() else b""
