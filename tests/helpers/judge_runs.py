"""`inserter judge` as a process."""

import os
import subprocess
import sys

from checkout import ROOT
from judge_server import (
    KEY,
    JudgeServer,
)


def start(*arguments: str, server: JudgeServer | None = None) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if server:
        environment |= {
            "INSERTER_JUDGE_BASE_URL": server.url,
            "INSERTER_JUDGE_MODEL": "judge-1",
            "INSERTER_JUDGE_API_KEY": KEY,
        }
    command = [sys.executable, "-m", "flows.cli", "judge", *arguments]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(*arguments: str, server: JudgeServer | None = None) -> tuple[int, str, str]:
    process = start(*arguments, server=server)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err
