"""Run a gate: `python -m stages.gate NAME`.

A gate writes data/gates/NAME.json, or exits 1 with one line.
"""

import argparse

from inserter.paths import DATA
from inserter.run.runner import run_stage
from stages.gate.stage import gate


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m stages.gate", description="Stop the pipeline if reports/gates/NAME.json has a failed expectation."
    )
    parser.add_argument("name", help="the stage whose output was checked")
    name = parser.parse_args().name
    run_stage(f"gate@{name}", lambda _: gate(name), report=DATA / "gates" / f"{name}.json")


if __name__ == "__main__":
    main()
