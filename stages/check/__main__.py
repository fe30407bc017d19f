"""Run a check: `python -m stages.check NAME`.

A check writes reports/gates/NAME.json, whatever it finds.
"""

import argparse

from inserter.paths import GATES
from inserter.run.runner import run_stage
from stages.check.stage import check
from stages.check.suites import SUITES


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.check", description="Report what is wrong with a stage's tables.")
    parser.add_argument("name", choices=sorted(SUITES), help="the stage whose output is checked")
    name = parser.parse_args().name
    run_stage(f"check@{name}", lambda params: check(name, params), report=GATES / f"{name}.json")


if __name__ == "__main__":
    main()
