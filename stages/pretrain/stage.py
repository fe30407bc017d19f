"""Run the stage: `python -m stages.pretrain`.

The stage makes data/pretrain/model from the warmed-up adapter or from the champion, and from
sequences and clips.
"""

from dataclasses import asdict, replace

from inserter.errors import InserterError
from inserter.evaluation import HeldOutReport
from inserter.files import read_table
from inserter.params import Params
from inserter.paths import DATA, REPORTS
from inserter.run.closure import deciding
from inserter.run.work import WorkFolder
from inserter.tables import HELDOUT, VERIFIED
from inserter.training.batches import HeardLengths, clips_needed, packed_phase
from inserter.training.champion import champion, take_over
from inserter.training.cliptable import indexed
from inserter.training.gap import CONTEXTS
from inserter.training.heldout import Subject, continuation, text_loss, transcript_loss
from inserter.training.loop import train, write_curve
from inserter.training.models import made_whole, new_model, save_model, warmed_up
from inserter.training.processes import join, main_first, rank
from inserter.training.states import clips_for, clips_to_measure
from inserter.training.tokens import Tokens

CLEAN_FILE = DATA / "verify" / "clean.parquet"
TOKENS, READ_TOKENS = DATA / "interleave" / "tokens", DATA / "interleave" / "tokens-read"
GAP = ("step", "gap_closed", *CONTEXTS)  # the columns of reports/plots/pretrain-gap.csv


def gap_row(measured: HeldOutReport) -> dict[str, object]:
    return {"gap_closed": measured["gap_closed"], **measured["continuation"]}


def main(params: Params) -> dict[str, object]:
    p, adapter, languages = params.pretrain, params.warmup.adapter, params.corpus.languages
    join()
    heldout = read_table(DATA / "interleave" / "heldout.parquet", HELDOUT)
    start = champion(params.register_) if p.from_ == "champion" else None
    with main_first():
        work = WorkFolder(
            "pretrain",
            {
                "pretrain": p.model_dump(exclude={"from_"}),
                "adapter": adapter.model_dump(),
                "model": params.model.model_dump(),
                "assets": params.assets.model_dump(),
                "languages": languages,
                # Another champion makes another model; what is half done is then not resumed.
                **({"from": start.lineage()} if start else {}),
            },
            [
                DATA / "warmup",
                DATA / "interleave",
                CLEAN_FILE,
                *deciding("stages.pretrain"),
            ],
        )
    model, processor = new_model(params.assets, adapter, p.seed, delimiters=params.model.delimiters, languages=languages)
    if start:
        with main_first():  # rank 0 downloads
            take_over(model, start, params.assets)
    else:
        warmed_up(model, processor, DATA / "warmup")
    with main_first():
        clean = indexed(CLEAN_FILE, VERIFIED, work / "clips", shards=DATA / "synthesize")
    examples = Tokens.mapped(TOKENS, HeardLengths(model, clean).of)
    if not examples:
        raise InserterError("no sequence to train on", "Read reports/interleave.json, which counts the sequences")
    read = Tokens.mapped(READ_TOKENS) if p.distill else None
    clips = clips_for(model, processor, [clean], settings=p, needed=lambda: clips_needed(examples, p))
    measured_on = [row["utt_id"] for row in clean.of_split("heldout")]
    subject = Subject(
        model, processor, clips_to_measure(model, processor, [clean], settings=p, names=measured_on), precision=p.precision
    )
    before = text_loss(subject, heldout)
    phase = packed_phase("pretrain", p, model, examples=examples, clips=clips, read=read, distill=p.distill)
    phase = replace(phase, watch_steps=p.gap_steps, watch=lambda: gap_row(continuation(subject, heldout)))
    outcome = train(model, phase, work, register=params.register_)
    model = made_whole(model, p.trainable, lambda: new_model(params.assets, adapter, p.seed, languages=languages)[0])
    if rank() > 0:
        return {}  # rank 0 measures and writes
    subject = replace(subject, model=model)
    measured = continuation(subject, heldout) if p.gap_steps else {}
    after, transcripts = text_loss(subject, heldout), transcript_loss(subject, heldout)
    save_model(model, processor, work / "out" / "model")
    work.publish("out", DATA / "pretrain")
    write_curve(REPORTS / "plots" / "pretrain.csv", outcome.curve)
    by_step = [*outcome.watched, {"step": outcome.steps, **gap_row(measured)}] if measured else []
    write_curve(REPORTS / "plots" / "pretrain-gap.csv", by_step, GAP)
    return {
        **({"from": start.lineage()} if start else {}),
        **outcome.summary(),
        **({"budget": {"minutes": p.minutes, **asdict(outcome.budget)}} if outcome.budget else {}),
        "precision": p.precision,
        "clips": len(clean),
        "hours": clean.total()[1] / 3600,
        **measured,
        "transcript_nll": transcripts,
        "text_nll": {"before": before, "after": after, "drift": after / before - 1},
        "system": {"positions_a_second": outcome.speed},
    }
