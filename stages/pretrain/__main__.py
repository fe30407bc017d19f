"""`python -m stages.pretrain`: sequences and clips to data/pretrain/model."""

import copy
from typing import Any

from safetensors.torch import load_file, save_file

from models import InserterProcessor
from stages.common.errors import InserterError
from stages.common.files import read_table
from stages.common.params import Params
from stages.common.paths import DATA, REPORTS
from stages.common.runner import say
from stages.common.tables import HELDOUT, SEQUENCES, UNSEEN, VERIFIED
from stages.common.training.batches import example, packed_phase
from stages.common.training.heldout import continuation, text_loss
from stages.common.training.loop import Outcome, train, write_curve
from stages.common.training.models import made_whole, new_model, save_model
from stages.common.training.processes import from_main, full_state, join, main_first, rank, run_training_stage
from stages.common.training.states import States, encode_clips
from stages.common.work import WorkFolder, code
from stages.pretrain import warmup

PLOTS = REPORTS / "plots"


def warm_up(
    params: Params, model: Any, processor: InserterProcessor, states: States, rows: list[dict], work: WorkFolder
) -> Outcome | None:
    """CTC on the adapter, once: its result is kept, so that a run killed later does not warm up again."""
    if params.pretrain.adapter.kind != "soft_token" or params.pretrain.warmup.steps == 0:
        return None
    done, path = work.marker("warmup"), work / "adapter.safetensors"
    if done:
        model.adapter.load_state_dict(load_file(path))
        say("warm-up: already done")
        return Outcome(done["curve"], done["skipped"])
    model.requires_grad_(False)
    adapter = copy.deepcopy(model.adapter).requires_grad_(True)
    outcome = train(adapter, warmup.phase(params, adapter, model, states, warmup.targets(processor, rows), rows), work)
    learnt = from_main(full_state(adapter))
    model.adapter.load_state_dict(learnt)
    if rank() == 0:
        save_file(learnt, path)
        work.mark("warmup", {"curve": outcome.curve, "skipped": outcome.skipped})
    return outcome


def main(params: Params) -> dict[str, Any]:
    p = params.pretrain
    join()
    clips = read_table(DATA / "verify" / "clean.parquet", VERIFIED)
    sequences = read_table(DATA / "interleave" / "sequences.parquet", SEQUENCES)
    heldout = read_table(DATA / "interleave" / "heldout.parquet", HELDOUT)
    train_clips = [row for row in clips if row["split"] == "train"]
    if not train_clips:
        raise InserterError("no clean clip to train on", "Look at reports/verify.json for what was quarantined")
    with main_first():
        work = WorkFolder(
            "pretrain", {"pretrain": p.model_dump(), "assets": params.assets.model_dump()},
            [DATA / "interleave", DATA / "verify" / "clean.parquet", *code("models", "stages.pretrain", "stages.common.training")],
        )  # fmt: skip
    model, processor = new_model(params.assets, p.adapter, p.seed)
    states = encode_clips(model, processor, clips, DATA / "synthesize", p.precision)
    before = text_loss(model, processor, heldout, states, p.precision)
    warmed = warm_up(params, model, processor, states, train_clips, work)
    context_clips = [row for row in clips if row["split"] == "heldout" and not row["utt_id"].endswith(UNSEEN)]
    error = warmup.token_error(model, processor, states, context_clips) if warmed else None
    examples = [example(processor, row["parts"], end=row["kind"] == "transcribe") for row in sequences]
    outcome = train(model, packed_phase("pretrain", p, model, examples, states), work)
    model = made_whole(model, p.trainable, lambda: new_model(params.assets, p.adapter, p.seed)[0])
    if rank() > 0:
        return {}  # the main process measures and writes
    measured = continuation(model, processor, heldout, states, p.precision)
    after = text_loss(model, processor, heldout, states, p.precision)
    save_model(model, processor, work / "out" / "model")
    work.publish("out", DATA / "pretrain")
    write_curve(PLOTS / "pretrain.csv", outcome.curve)
    if warmed:
        write_curve(PLOTS / "warmup.csv", warmed.curve)
    return {
        **outcome.summary(),
        "warmup": {**warmed.summary(), "heldout_token_error": error} if warmed else None,
        "clips": len(clips),
        "hours": sum(row["duration"] for row in clips) / 3600,
        **measured,
        "text_nll": {"before": before, "after": after},
        "system": {"positions_a_second": outcome.speed},
    }


if __name__ == "__main__":
    run_training_stage("pretrain", main)
