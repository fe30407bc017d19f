"""Run the stage: `python -m stages.evaluate`.

The stage measures the fine-tuned model, beside its baselines, on held-out contexts and on the
benchmark. Each rank has the whole model. The ranks share out answers and losses, and rank 0 judges
and writes.
"""

from pathlib import Path

from tabulate import tabulate

from inserter.errors import InserterError
from inserter.evaluation import EvaluateReport, Likelihood, Response, Scores
from inserter.files import read_table, write_jsonl, write_table
from inserter.params import Params
from inserter.paths import DATA
from inserter.run.closure import deciding
from inserter.run.runner import say
from inserter.run.work import WorkFolder
from inserter.scoring import table as scoretable
from inserter.scoring.scores import closed_table, comparisons, deals
from inserter.tables import HELDOUT, ITEMS, LOSSES, Item, Loss
from inserter.training.heldout import REPORTED_IN, Subject
from inserter.training.models import saved_model
from inserter.training.processes import join, main_first, rank
from stages.evaluate import likelihood, recordings, responses, selection, transcripts
from stages.evaluate.company import CLEAN_FILE, HELDOUT_FILE, hearing
from stages.evaluate.judged import SCORERS, judge_rows, judge_settings, judged_table, records
from stages.evaluate.voices import by_voice, seen_voices

MODEL = DATA / "sft" / "model"
# Code that decides an answer. The judging code is left out.
ANSWERED_BY = tuple(f"stages.evaluate.{name}" for name in ("company", "likelihood", "responses", "selection"))


def main(params: Params) -> EvaluateReport:
    """Evaluate the fine-tuned model, publish its answers and return the report."""
    join()
    work, report = evaluate(params, MODEL)
    if rank() == 0:
        work.publish("out", DATA / "evaluate")
    return report


def evaluate(params: Params, folder: Path, stage: str = "evaluate") -> tuple[WorkFolder, EvaluateReport]:
    """Measure the model in `folder` on the items and the held-out contexts of this workspace.

    stage: name of the work folder.

    Return the work folder, whose subfolder `out` has the answers and the losses, and the report.
    Rank 0 judges and writes; the report of another rank is empty.
    """
    p = params.evaluate
    # A missing endpoint or folder is refused here, before the answers are made.
    judge = judge_settings(p.judge_model, p.judge_sampling.model_dump())
    people = recordings.find(p)
    everything = read_table(DATA / "benchmark" / "items.parquet", ITEMS)
    items = selection.select(everything, p.items, p.languages)
    if not any(item["task"] == "closed" for item in items):
        raise InserterError(
            "the benchmark has no closed-ended item in evaluate.languages",
            "Set evaluate.languages to languages of reports/benchmark.json",
        )
    changes_no_answer = {"forms", "judge_model", "judge_sampling", "recordings"}
    recipe = {**p.model_dump(exclude=changes_no_answer), "assets": params.assets.model_dump()}
    with main_first():
        work = WorkFolder(
            stage,
            recipe,
            [folder, DATA / "benchmark", HELDOUT_FILE, CLEAN_FILE, *deciding(*ANSWERED_BY, without=["inserter/scoring"])],
        )
    model, processor = saved_model(folder)
    measured, by_document = hearing(params, model, processor, work=work)
    of_people = recordings.measure(params, model, processor, found=people, work=work)
    rows = responses.respond(params, model, processor, items=items, work=work)
    likely = _likelihood(params, folder, items, rows=rows, by_document=by_document, work=work)
    if rank() > 0:
        return work, {}
    rows = judge_rows(rows, judge)
    closed = [row for row in rows if row["task"] == "closed"]
    write_jsonl(work / "out" / "responses.jsonl", rows)
    write_table(work / "out" / "losses.parquet", by_document, LOSSES)
    for task in SCORERS:
        write_jsonl(work / "out" / f"{task}.jsonl", records(rows, task))
    dealt = deals(closed)
    scores: Scores = {"closed": closed_table(closed, dealt), **judged_table(rows)}
    for (task, lang), header, lines in scoretable.grid(scores):
        say(f"evaluate: {task}, {lang}, % with 95 % intervals")
        say(tabulate(lines, header))
    if shown := scoretable.likelihood({"likelihood": likely}):
        say(f"evaluate: by likelihood\n{tabulate(shown[1], shown[0])}\n{shown[2]}")
    return work, {
        **measured,
        "likelihood": likely,
        "precision": p.precision,
        "speechinstructbench": scores,
        "recordings": of_people,
        "closed_by_voice": by_voice(closed, seen_voices(params)),
        "comparisons": comparisons(closed, dealt),
        "items": {"answered": len(items), "of": len(everything)},
        "responses": len(rows),
        "not_scored": sum(row["strict"] is None for row in closed),
    }


def _likelihood(
    params: Params, folder: Path, items: list[Item], *, rows: list[Response], by_document: list[Loss], work: WorkFolder
) -> Likelihood:
    """Return the measures by likelihood, of the model as it was saved in `folder`.

    At bf16 the model that answered has other weights. All clips are encoded by now.
    """
    model, processor = saved_model(folder)
    digests, states = responses.clips_of_items(params, model, processor, items=[item for item in items if item["shard"]])
    prompts = likelihood.prompts_of(processor, items, rows, digests=digests, clips=states, own=transcripts.hears_words(model))
    documents = read_table(HELDOUT_FILE, HELDOUT)
    subject = Subject(model, processor, states, REPORTED_IN, shared=True)
    return likelihood.measure(params, subject, prompts, rows=documents, by_document=by_document, work=work)
