"""Ask git for the commit of the current folder."""

import subprocess


def git_state() -> tuple[str, str]:
    """Return (commit, whether there are uncommitted changes); "unknown" without git.

    Changes of files that a run rewrites do not count.
    """
    commit = _run("git", "rev-parse", "HEAD")
    if commit is None:
        return "unknown", "unknown"
    changes = _run("git", "status", "--porcelain", "--", ".", ":!dvc.lock", ":!reports")
    return commit, "unknown" if changes is None else str(bool(changes)).lower()


def _run(*command: str) -> str | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
