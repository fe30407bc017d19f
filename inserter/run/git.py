"""Ask git for the commit of the current folder, and for who works here."""

import getpass
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


def author() -> str:
    """Return the name of the person who works here: git's `user.name`, else that of the login."""
    if name := _run("git", "config", "user.name"):
        return name
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"


def _run(*command: str) -> str | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
