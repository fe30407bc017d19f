"""SpeechInstructBench for lmms-eval: items of `inserter dataset`, scored as by `inserter score`."""

import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import soundfile
from datasets import Audio, Dataset
from loguru import logger

from inserter.scoring import adjustment, closed, open_ended
from inserter.scoring.judge import JudgeSettings, Task, judge
from inserter.scoring.judge.settings import missing

Doc = Mapping[str, Any]
Row = dict[str, Any]
SCORERS = {"open": open_ended, "adjustment": adjustment}


def _docs(task: str, dataset: Dataset) -> Dataset:
    """Return the spoken items of a task. The sound stays encoded: decoding it needs FFmpeg."""
    spoken = dataset.cast_column("audio", Audio(decode=False))
    rows = zip(spoken["task"], spoken["audio"], strict=True)
    places = [place for place, (of, sound) in enumerate(rows) if of == task and sound is not None]
    return spoken.select(places)


closed_docs = partial(_docs, "closed")
open_docs = partial(_docs, "open")
adjustment_docs = partial(_docs, "adjustment")


def sound(doc: Doc) -> list[Row]:
    """Return the spoken instruction: 16 kHz, mono."""
    array, rate = soundfile.read(io.BytesIO(doc["audio"]["bytes"]), dtype="float32")
    return [{"array": array, "sampling_rate": rate, "path": doc["audio"]["path"]}]


def text(doc: Doc, lmms_eval_specific_kwargs: Mapping[str, str] | None = None) -> str:
    """Return nothing: the whole instruction is spoken."""
    return ""


def _record(doc: Doc, results: Sequence[str]) -> Row:
    fields = ("key", "task", "lang", "variant", "prompt", "instruction_id_list", "kwargs", "questions")
    return {"id": doc["item_id"], **{name: doc[name] for name in fields}, "response": results[0]}


def closed_result(doc: Doc, results: Sequence[str]) -> dict[str, Row]:
    """Return the verdicts on an answer, for the metrics that it counts in."""
    row = closed.score_record(_record(doc, results))
    return {"instruction": row, "prompt": row, f"instruction_{doc['variant']}": row}


def instruction(rows: Sequence[Row]) -> float | None:
    """Return the share of instructions followed, the mean of strict and loose."""
    return closed.aggregate(rows)["mean-instruction"]


def prompt(rows: Sequence[Row]) -> float | None:
    """Return the share of prompts whose every instruction is followed."""
    return closed.aggregate(rows)["mean-prompt"]


def open_result(doc: Doc, results: Sequence[str]) -> dict[str, Row]:
    """Return the record that is judged when all answers are there."""
    return dict.fromkeys(("instruction", "prompt"), _record(doc, results))


def adjustment_result(doc: Doc, results: Sequence[str]) -> dict[str, Row]:
    """Return the record that is judged when all answers are there."""
    return dict.fromkeys(("iar", "ecr"), _record(doc, results))


def _judged(task: Task, score: str, records: Sequence[Row]) -> float:
    """Return a score of judged answers, or NaN without a judge.

    The judge's replies are kept, so that each is asked once.
    """
    settings = JudgeSettings.from_environment()
    if settings is None:
        logger.warning(f"{task}: not judged. {missing()}")
        return float("nan")
    scorer = SCORERS[task]
    judged, _ = judge(records, task, settings)
    share = scorer.aggregate(scorer.score_record(record) for record in judged)[score]
    return float("nan") if share is None else share


questions_met: Callable[[Sequence[Row]], float] = partial(_judged, "open", "instruction")
prompts_met: Callable[[Sequence[Row]], float] = partial(_judged, "open", "prompt")
iar: Callable[[Sequence[Row]], float] = partial(_judged, "adjustment", "iar")
ecr: Callable[[Sequence[Row]], float] = partial(_judged, "adjustment", "ecr")
