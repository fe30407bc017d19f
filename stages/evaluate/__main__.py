"""`python -m stages.evaluate`: the fine-tuned model on held-out contexts and on the benchmark, heard and read."""

from typing import Any

from stages.common.errors import InserterError
from stages.common.files import read_table, write_jsonl
from stages.common.params import Params
from stages.common.paths import DATA
from stages.common.runner import run_stage
from stages.common.tables import HELDOUT, ITEMS, VERIFIED
from stages.common.training.heldout import continuation, text_loss
from stages.common.training.models import saved_model
from stages.common.training.states import encode_clips
from stages.common.work import WorkFolder, code
from stages.evaluate.responses import respond, table


def main(params: Params) -> dict[str, Any]:
    p = params.evaluate
    heldout = read_table(DATA / "interleave" / "heldout.parquet", HELDOUT)
    items = [item for item in read_table(DATA / "benchmark" / "items.parquet", ITEMS) if item["task"] == "closed"]
    if not items:
        raise InserterError("the benchmark has no closed-ended item", "Look at reports/benchmark.json for what was left out")
    folder = DATA / "sft" / "model"
    inputs = [folder, DATA / "benchmark", DATA / "interleave" / "heldout.parquet", *code("models", "stages.common.training")]
    work = WorkFolder("evaluate", p.model_dump(), inputs)
    model, processor = saved_model(folder)
    contexts = {row["utt_id"] for row in heldout}
    clips = [row for row in read_table(DATA / "verify" / "clean.parquet", VERIFIED) if row["utt_id"] in contexts]
    states = encode_clips(model, processor, clips, DATA / "synthesize", p.precision)
    measured = continuation(model, processor, heldout, states, p.precision)
    measured["text_nll"] = text_loss(model, processor, heldout, states, p.precision)
    rows = respond(params, model, processor, items, work)
    write_jsonl(work / "out" / "responses.jsonl", rows)
    work.publish("out", DATA / "evaluate")
    return {
        **measured,
        "speechinstructbench": table(rows),
        "items": len(items),
        "responses": len(rows),
        "not_scored": sum(row["strict"] is None for row in rows),
    }


if __name__ == "__main__":
    run_stage("evaluate", main)
