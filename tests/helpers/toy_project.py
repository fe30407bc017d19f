"""A small DVC project whose stages are toys."""

import json
import os
from pathlib import Path

import psutil

GRAPH = """
stages:
  one:
    cmd: python toy.py stage one
    params: [toy.yaml: [one]]
    outs: [data/one]
  other:
    cmd: python toy.py stage other; true
    params: [toy.yaml: [other]]
    outs: [data/other]
  two:
    cmd: python toy.py stage two
    deps: [data/one, data/gates/one.json]
    params: [toy.yaml: [two]]
    outs: [data/two]
  check:
    foreach: &gated [one]
    do:
      cmd: python toy.py check ${item}
      deps: ["data/${item}"]
      metrics: ["reports/gates/${item}.json"]
  gate:
    foreach: *gated
    do:
      cmd: python toy.py gate ${item}
      deps: ["reports/gates/${item}.json"]
      outs: ["data/gates/${item}.json"]
"""
# What a toy stage does stands in toy.yaml: ok, fail, killed, or sleep (it starts a worker of its own and both sleep).
STAGES = """
import json, os, pathlib, subprocess, sys
import yaml

what, name = sys.argv[1:]
do = yaml.safe_load(open("toy.yaml"))
with open("ran.txt", "a") as file:
    file.write(f"{what} {name}\\n")
pathlib.Path("flow_run.txt").write_text(os.environ.get("PREFECT__FLOW_RUN_ID", ""))
if what == "check":
    expectation = {"expectation": "expect_rows", "column": "text", "passed": do["gate"], "observed": 3, "limit": 5,
                   "unexpected_count": 2, "first_ids": ["a", "b"], "remedy": "add rows"}
    path = pathlib.Path("reports/gates", name + ".json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"stage": name, "passed": do["gate"], "rows": 3, "expectations": [expectation]}))
elif what == "gate" and not do["gate"]:
    sys.exit(f"gate@{name}: expect_rows failed on 2 rows (a, b). add rows")
elif do.get(name) == "killed":
    print("one:  50%|#####     | 1/2", end="\\r", file=sys.stderr, flush=True)
    os.kill(os.getpid(), 9)
elif do.get(name) == "fail":
    sys.exit(f"{name}: the voice is not there. Install it")
elif do.get(name) == "sleep" and not os.path.exists("awake"):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print("asleep", file=sys.stderr, flush=True)
    __import__("time").sleep(600)
if what != "check":
    path = pathlib.Path("data", "gates", name + ".json") if what == "gate" else pathlib.Path("data", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(do.get(name)))
"""


class Toy:
    """The project in its folder, which is also the current directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def set(self, **values: object) -> None:
        path = self.folder / "toy.yaml"
        old = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**old, **values}))  # JSON is YAML

    def ran(self) -> list[str]:
        """What the stages wrote of themselves, in the order they ran."""
        path = self.folder / "ran.txt"
        return path.read_text().splitlines() if path.exists() else []

    def processes(self) -> list[psutil.Process]:
        """Whatever runs in this project's folder, except this process."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and process.status() != "zombie" and process.cwd() == str(self.folder):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found
