"""`python -m flows.bench [ENTRY...]`: measure the named entries, or all.

The results go to reports/bench.json.
"""

import sys
from collections.abc import Callable

from flows.bench.against import answers, read_random, read_sequential, train_cpu, verify
from flows.bench.compare import Entry
from flows.bench.encode import encode_true_length
from flows.bench.generate import generate
from flows.bench.score import score
from flows.bench.serve import serve
from flows.bench.synthesize import synthesize_loop, synthesize_scaling
from flows.bench.train import train_packed
from flows.bench.verify import verify_packed
from inserter.errors import InserterError
from inserter.files import read_json, write_json
from inserter.paths import REPORTS
from inserter.run.quiet import quiet

ENTRIES: dict[str, Callable[[], Entry]] = {
    "answers": answers,
    "encode_true_length": encode_true_length,
    "generate": generate,
    "read_random": read_random,
    "read_sequential": read_sequential,
    "score": score,
    "serve": serve,
    "synthesize_loop": synthesize_loop,
    "synthesize_scaling": synthesize_scaling,
    "train_cpu": train_cpu,
    "train_packed": train_packed,
    "verify": verify,
    "verify_packed": verify_packed,
}


def main() -> None:
    """Print and keep what can be measured, with what was measured before.

    What cannot be measured is printed as one line, and the exit code is 1.
    """
    quiet()
    names = sys.argv[1:] or list(ENTRIES)
    if unknown := [name for name in names if name not in ENTRIES]:
        sys.exit(f"bench: there is no entry {unknown[0]}. Choose one of: {', '.join(ENTRIES)}")
    problems = []
    for name in names:
        try:
            _keep(ENTRIES[name]())
        except InserterError as error:
            problems.append(f"bench: {name}: {error}")
    if problems:
        sys.exit("\n".join(problems))


def _keep(found: Entry) -> None:
    memory = f", in {found['memory']:.2f} times its memory" if "memory" in found else ""
    ratio = f"{found['ratio']:.2f} ({found['low']:.2f} to {found['high']:.2f})"
    equal = f", {found['equal']} of {found['of']} results equal" if "equal" in found else ""
    tokens = f", {found['tokens']:.2f} times its learnt tokens per second" if "tokens" in found else ""
    print(f"{found['name']}: {ratio} x {found['against']}{memory}{equal}{tokens}", flush=True)
    path = REPORTS / "bench.json"
    before = read_json(path) if path.is_file() else []
    write_json(path, [*(entry for entry in before if entry["name"] != found["name"]), found])


if __name__ == "__main__":
    main()
