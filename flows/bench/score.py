"""Entry `score`: 10,000 closed-ended records through score_file, against lm-eval.

lm-eval's IFEval checks run in one process.
"""

import importlib.util
import json
import logging
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from flows.bench.answers import records
from flows.bench.compare import Entry, compare
from inserter.assets import punkt_folder
from inserter.errors import InserterError
from inserter.files import write_jsonl
from inserter.scoring.closed import score_file

RECORDS = 10_000


def score() -> Entry:
    """Measure both sides on the same file, with strict and loose verdicts on every record."""
    process_results = lm_eval_ifeval()
    with tempfile.TemporaryDirectory() as folder:
        path = write_jsonl(Path(folder) / "answers.jsonl", records(RECORDS))

        def theirs() -> None:
            with path.open(encoding="utf-8") as file:
                for line in file:
                    record = json.loads(line)
                    process_results(record, [record["response"]])

        against = f"lm-eval's IFEval checks, one by one in one process, on the same {RECORDS:,} records"
        return compare("score", lambda: score_file(path), theirs, against=against)


def lm_eval_ifeval() -> Callable[[dict[str, object], list[str]], dict[str, object]]:
    """Return lm-eval's own `process_results` of its ifeval task.

    The function gives strict and loose verdicts on one record. `lm_eval.tasks` imports the whole
    harness and its dependencies, which the checks do not need. So a bare package stands in its
    place. The folder of Punkt's data is made known first, so that lm-eval does not download it.

    Raises InserterError if lm-eval is not installed.
    """
    spec = importlib.util.find_spec("lm_eval")
    if spec is None or spec.origin is None:
        raise InserterError(
            "lm-eval is not installed",
            "Run `make bench` with access to a package index, or `pip install --no-deps -r bench.lock`",
        )
    import nltk

    # This logger writes a line for each text without a language.
    logging.getLogger("lm_eval.tasks.ifeval.instructions").disabled = True
    nltk.data.path.insert(0, str(punkt_folder()))
    tasks = ModuleType("lm_eval.tasks")
    tasks.__path__ = [str(Path(spec.origin).parent / "tasks")]
    sys.modules.setdefault("lm_eval.tasks", tasks)
    from lm_eval.tasks.ifeval.utils import process_results

    return process_results
