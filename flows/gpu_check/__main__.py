"""Run the checks, or write what they need: `python -m flows.gpu_check --help`."""

import argparse
import importlib.util
import math
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

NEEDED = ("torch", "transformers", "accelerate", "numpy", "pyarrow", "pydantic", "tqdm", "safetensors", "tokenizers", "soundfile")
PARTS = ("equality", "speed", "arms")
SHARES = {"equality": 0.2, "speed": 0.4}  # of the minutes, at most; the arms have the rest
GRACE = 5.0  # seconds before the end, for the last report


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m flows.gpu_check", description="Check the trainer on a card.")
    parser.add_argument("--pack", type=Path, metavar="DIR", help="write a bundle to DIR, on a prepared machine")
    parser.add_argument("--overlay", type=Path, default=Path("docs/one-gpu.yaml"), help="with --pack: laid over params.yaml")
    parser.add_argument("--hours", type=float, default=1.0, help="with --pack: hours of clips to train on")
    parser.add_argument("--heldout", type=int, default=200, help="with --pack: held-out contexts, at most")
    parser.add_argument("--piece-mib", type=float, default=56, help="with --pack: size of a piece, at most")
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="run the checks from the bundle in DIR")
    parser.add_argument("--minutes", type=float, default=10.0, help="time for all parts")
    parser.add_argument("--positions", type=float, default=math.inf, help="positions of an arm, at most")
    parser.add_argument("--out", type=Path, default=Path("gpu_check"), help="folder of gpu_check.json, gpu_check.md and the work")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    given = parser.parse_args()
    if (given.pack is None) == (given.bundle is None):
        parser.error("give either --pack DIR or --bundle DIR")
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        sys.exit(f"gpu_check: not installed: {', '.join(missing)}. Run: pip install {' '.join(missing)}")
    from inserter.errors import InserterError
    from inserter.run.quiet import quiet

    quiet()
    try:
        if given.pack:
            from flows.gpu_check.pack import pack

            pieces = pack(given.pack, given.overlay, hours=given.hours, heldout=given.heldout, most=int(given.piece_mib * 2**20))
            print(f"{given.pack}: {len(pieces)} pieces")
        else:
            _check(given.bundle.resolve(), given.out.resolve(), given)
    except InserterError as error:
        sys.exit(f"gpu_check: {error}")


def _done(part: Callable[[], None]) -> str:
    part()
    return "done"


def _check(source: Path, out: Path, given: argparse.Namespace) -> None:
    minutes: float = given.minutes
    from flows.gpu_check.report import Clock, OutOfTime, Report, limit

    clock, report = Clock(minutes), Report(out)
    import torch
    import transformers

    from flows.gpu_check.arms import arms
    from flows.gpu_check.bundle import opened
    from flows.gpu_check.equality import equality
    from flows.gpu_check.speed import speed

    out.mkdir(parents=True, exist_ok=True)
    os.chdir(out)  # work folders are relative
    bundle = opened(source, out / "bundle")
    report.add("about", "machine", torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU")
    report.add(
        "about",
        "versions",
        {"python": sys.version.split()[0], "torch": torch.__version__, "transformers": transformers.__version__},
    )
    report.add("about", "precision", bundle.settings.precision)
    report.add("about", "clips", {"real": bundle.real_clips, "count": len(bundle.clips), "hours": bundle.clips.total()[1] / 3600})
    report.add("about", "models with random weights", ", ".join(bundle.random) or "none")
    run = {
        "equality": lambda: equality(bundle, report),
        "speed": lambda: speed(bundle, report, clock, until=(1 - SHARES["equality"] - SHARES["speed"]) * 60 * minutes),
        "arms": lambda: arms(bundle, report, clock, most=given.positions),
    }
    for part in given.parts:
        seconds = min(clock.left - GRACE, SHARES.get(part, 1.0) * 60 * minutes)
        try:
            with limit(seconds):
                report.measure(part, "part", partial(_done, run[part]))
        except OutOfTime:
            report.add(part, "part", f"stopped after {seconds:.0f} s")
    print(f"{out}/gpu_check.md")


if __name__ == "__main__":
    main()
