"""Run one side of a comparison with an earlier commit: `python -P side.py WORK INPUTS`.

The script runs in the folder of that side's code. It imports only what the earlier commit has too,
under the name that it had there. The script loads once. Then each line of standard input starts a
round of the work, and a line of JSON reports what the round made. INPUTS is a JSON file that both
sides read.
"""

import json
import sys
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

Round = Callable[[], Sequence[object]]
BEFORE = {  # modules of today: the names that they had before the package `inserter`
    "inserter.params": "stages.common.params",
    "inserter.training.models": "stages.common.training.models",
    "inserter.verification.asr": "stages.common.asr",
    "inserter.verification.hear": "stages.common.verification.hear",
    "inserter.verification.measure": "stages.common.verification.measure",
}


def module(name: str) -> ModuleType:
    """Return the module `name` of this side's commit."""
    return import_module(name if Path("inserter").is_dir() else BEFORE[name])


def verify(inputs: dict[str, Any]) -> Round:
    """Return a round that measures all clips of `rows` with one thread.

    A process of the stage has one thread, too. The round makes the words heard of each clip.
    """
    transcriber, ears_of = module("inserter.verification.asr").Transcriber, module("inserter.verification.hear").Ears
    measure = module("inserter.verification.measure").measure

    first, second = inputs["recognisers"]

    @cache
    def ears(language: str) -> object:
        other = transcriber(Path(second), language) if second else None
        return ears_of(transcriber(Path(first), language), other, inputs["band"])

    return lambda: [row["heard"] for row in measure(inputs["rows"], Path(inputs["clips"]), ears)]


def answers(inputs: dict[str, Any]) -> Round:
    """Return a round that answers all prompts greedily, at the precision that this side chooses.

    The LM reads the prompts, so the adapter does nothing.
    """
    from models.generation import Prompt, generate_answers

    params, models = module("inserter.params"), module("inserter.training.models")
    own = params.load()
    model, processor = models.new_model(params.Assets(**inputs["assets"]), own.warmup.adapter, 0)
    models.for_answers(model, own.evaluate.precision)
    prompts = [Prompt(text=text) for text in inputs["prompts"]]
    settings = {name: inputs[name] for name in ("max_new_tokens", "batch_size")}
    return lambda: generate_answers(model, processor, prompts, **settings, precision=own.evaluate.precision)


WORKS = {"verify": verify, "answers": answers}


def main() -> None:
    results, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no result
    # An editable installation would give a side modules that its commit lacks.
    sys.meta_path[:] = [finder for finder in sys.meta_path if not finder.__module__.startswith("__editable__")]
    work, inputs = sys.argv[1:]
    work_once = WORKS[work](json.loads(Path(inputs).read_text(encoding="utf-8")))
    for _ in sys.stdin:
        print(json.dumps(work_once()), file=results, flush=True)


if __name__ == "__main__":
    main()
