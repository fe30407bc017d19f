"""Kill `synthesize` and `verify` at random moments, run them again, and compare every byte with an undisturbed run.

    PYTHONPATH=.:tests/helpers python -m kill_speech --moments 10 --seed 1

A moment is a number of files that the stage has left in `.work`, and some milliseconds more: where the work stands decides, not a
clock, so that moments lie all over the run on a machine of any speed.
"""

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from speech_workspace import VOICES, run, spans, start, workspace

from inserter.files import sha256

STAGES = ("synthesize", "verify")
DELAY = {"synthesize": 0.05, "verify": 5.0}  # seconds at most: verify leaves few files, and works long at each
SPANS = 100  # with the twins of held-out contexts 133 utterances: 17 shards, 2 blocks of verify
WORDS = ["peace", "trade", "labor", "order", "credit", "silver", "the army", "the navy", "the mails", "the land"]


class Moment(NamedTuple):
    """stage is killed `delay` seconds after it has left `files` files."""

    stage: str
    files: int
    delay: float


class Outcome(NamedTuple):
    """files: there were when it was killed; killed: it had not ended before; different: files that are not what they should be."""

    moment: Moment
    files: int
    killed: bool
    different: list[str]


def prepare(folder: Path) -> Path:
    """A workspace with texts that tell the spans apart."""
    rows = []
    for number, row in enumerate(spans(SPANS)):
        more = f" We speak of {WORDS[number % 10]} and {WORDS[number // 10 % 10]}." if number % 4 != 2 else ""
        text = row["written"] + more
        rows.append(row | {"written": text, "spoken": text, "end": len(text)})
    return workspace(folder, rows, shard_clips=8, workers=2, voices=VOICES)


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of all shards, tables and reports."""
    names = [*(f"data/{stage}" for stage in STAGES), *(f"reports/{stage}.json" for stage in STAGES)]
    files = [file for name in names for file in sorted([folder / name] if name.endswith(".json") else (folder / name).rglob("*"))]
    return {str(file.relative_to(folder)): sha256(file) for file in files}


def left(folder: Path, stage: str) -> int:
    """Files that the stage has left in its work folder."""
    return sum(not path.name.startswith(".") and path.is_file() for path in (folder / ".work" / stage).rglob("*"))


def moments(count: int, seed: int, most: dict[str, int]) -> Iterator[Moment]:
    """`count` of them, the stages by turns; most: files that an undisturbed stage leaves."""
    draw = random.Random(seed)
    for number in range(count):
        stage = STAGES[number % 2]
        yield Moment(stage, draw.randrange(1, most[stage] - 2), draw.uniform(0.0, DELAY[stage]))


def strike(folder: Path, moment: Moment) -> tuple[int, bool]:
    """Start the stage and kill it then: (files that it has left, whether it was still running)."""
    process = start(folder, moment.stage)
    while process.poll() is None and left(folder, moment.stage) < moment.files:
        time.sleep(0.01)
    time.sleep(moment.delay)
    running = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return left(folder, moment.stage), running


def trial(whole: Path, folder: Path, moment: Moment) -> Outcome:
    """Kill it at `moment` in a workspace of its own, run both stages to their end, and compare with `whole`."""
    prepare(folder)
    if moment.stage == "verify":
        shutil.copytree(whole / "data/synthesize", folder / "data/synthesize")
        shutil.copytree(whole / "reports", folder / "reports")
        (folder / "reports/verify.json").unlink()
    files, killed = strike(folder, moment)
    for stage in STAGES[STAGES.index(moment.stage) :]:
        run(folder, stage)
    wanted, found = digests(whole), digests(folder)
    different = [name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)]
    return Outcome(moment, files, killed, sorted(different))


def trials(folder: Path, count: int, seed: int) -> Iterator[Outcome]:
    whole = prepare(folder / "whole")
    for stage in STAGES:
        run(whole, stage)
    most = {stage: left(whole, stage) for stage in STAGES}
    for number, moment in enumerate(moments(count, seed, most)):
        yield trial(whole, folder / f"killed-{number}", moment)


def main() -> None:
    """Print a line a moment; exit code 1 when one of them made a difference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moments", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    different = 0
    print("stage       killed at             files left  same bytes")
    with tempfile.TemporaryDirectory() as folder:
        for outcome in trials(Path(folder), asked.moments, asked.seed):
            stage, files, delay = outcome.moment
            same = "yes" if not outcome.different else f"no: {', '.join(outcome.different)}"
            when = f"{files} files + {1000 * delay:.0f} ms" if outcome.killed else "it had ended"
            print(f"{stage:10}  {when:20}  {outcome.files:10}  {same}", flush=True)
            different += bool(outcome.different)
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
