"""Entry `score`: 10,000 closed-ended records through score_file, against lm-eval's IFEval checks in one process."""

import importlib.util
import json
import logging
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from flows.bench.answers import records
from flows.bench.compare import Entry, compare
from inserter.assets import punkt_folder
from inserter.errors import InserterError
from inserter.files import write_jsonl
from inserter.scoring.closed import score_file

RECORDS = 10_000


def score() -> Entry:
    """Both sides read the same file and give strict and loose verdicts on every record."""
    process_results = lm_eval_ifeval()
    with tempfile.TemporaryDirectory() as folder:
        path = write_jsonl(Path(folder) / "answers.jsonl", records(RECORDS))

        def theirs() -> None:
            with path.open(encoding="utf-8") as file:
                for line in file:
                    record = json.loads(line)
                    process_results(record, [record["response"]])

        against = f"lm-eval's IFEval checks, one by one in one process, on the same {RECORDS:,} records"
        return compare("score", lambda: score_file(path), theirs, against)


def lm_eval_ifeval() -> Callable[[dict[str, Any], list[str]], dict[str, Any]]:
    """lm-eval's own `process_results` of its ifeval task: strict and loose verdicts on one record.

    `lm_eval.tasks` imports the whole harness and its dependencies, and the checks need none of it: a bare package
    stands in its place. Punkt's data is made known first, so that their look for it does not end in a download.
    """
    spec = importlib.util.find_spec("lm_eval")
    if spec is None or spec.origin is None:
        raise InserterError(
            "lm-eval is not installed",
            "Run `make test` or `make bench` where packages can be had, or pip install --no-deps -r bench.lock",
        )
    import nltk

    logging.getLogger("lm_eval.tasks.ifeval.instructions").disabled = True  # a line for each text without a language
    nltk.data.path.insert(0, str(punkt_folder()))
    tasks = ModuleType("lm_eval.tasks")
    tasks.__path__ = [str(Path(spec.origin).parent / "tasks")]
    sys.modules.setdefault("lm_eval.tasks", tasks)
    from lm_eval.tasks.ifeval.utils import process_results

    return process_results
