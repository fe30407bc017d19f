"""Run the stage: `python -m stages.warmup`.

The stage makes data/warmup/adapter.safetensors, where pre-training starts, from clean clips. The
warm-up is a stage of its own, so that experiments on later stages share its result.
"""

import copy
from typing import cast

from safetensors.torch import save_file
from torch import Tensor

from inserter.errors import InserterError
from inserter.files import read_table
from inserter.params import Params, Register
from inserter.params import Warmup as Settings
from inserter.paths import DATA, REPORTS
from inserter.run.closure import deciding
from inserter.run.runner import output
from inserter.run.work import WorkFolder
from inserter.tables import LEXICON, UNSEEN, VERIFIED, Verified
from inserter.training.cliptable import indexed
from inserter.training.loop import Outcome, train, write_curve
from inserter.training.models import ADAPTER, new_model
from inserter.training.processes import from_main, full_state, join, main_first, rank
from inserter.training.states import States, encode_clips
from models import InserterForConditionalGeneration, InserterProcessor
from models.adapter import SoftTokenAdapter
from stages.warmup.ctc import phase, targets, token_error

Rows = list[Verified]
CLEAN_FILE = DATA / "verify" / "clean.parquet"
TAUGHT = ("train", LEXICON)  # splits
CLIPS = 256  # the states of these clips say how to standardise: about half an hour


def learn(
    w: Settings,
    model: InserterForConditionalGeneration,
    processor: InserterProcessor,
    *,
    states: States,
    rows: Rows,
    work: WorkFolder,
    register: Register,
) -> tuple[Outcome, dict[str, Tensor]]:
    """Train a copy of the model's adapter with CTC. Only the adapter's weights are sharded.

    Return the outcome with the curve, and the learnt weights.
    """
    model.requires_grad_(False)
    adapter = cast(SoftTokenAdapter, copy.deepcopy(model.adapter)).requires_grad_(True)
    adapter.prefer_blanks()
    task = phase(w, adapter, model, states=states, spelled=targets(processor, rows), rows=rows)
    outcome = train(adapter, task, work, register=register)
    return outcome, from_main(full_state(adapter))


def main(params: Params) -> dict[str, object]:
    w = params.warmup
    join()
    with main_first():
        recipe = {"warmup": w.model_dump(), "assets": params.assets.model_dump(), "languages": params.corpus.languages}
        work = WorkFolder("warmup", recipe, [CLEAN_FILE, *deciding("stages.warmup")])
        table = indexed(CLEAN_FILE, VERIFIED, work / "clips", shards=DATA / "synthesize")
    count, seconds = table.total(*TAUGHT)
    if not count:
        raise InserterError("no clean clip to train on", "Read reports/verify.json, which says why clips were quarantined")
    model, processor = new_model(params.assets, w.adapter, w.seed, languages=params.corpus.languages)
    outcome, error, learnt = Outcome(), None, model.adapter.state_dict()
    if w.adapter.kind in ("soft_token", "decoder"):  # the decoder spells without training
        splits = ("heldout", *(TAUGHT if w.adapter.kind == "soft_token" else ()))
        clips = read_table(CLEAN_FILE, VERIFIED, where={"split": splits})
        states = encode_clips(model, processor, clips, shards=DATA / "synthesize", precision=w.precision)
        if w.adapter.kind == "soft_token":
            taught = [row for row in clips if row["split"] in TAUGHT]
            cast(SoftTokenAdapter, model.adapter).standardise(states[row["utt_id"]] for row in taught[:: -(-len(taught) // CLIPS)])
            if w.steps:
                outcome, learnt = learn(w, model, processor, states=states, rows=taught, work=work, register=params.register_)
                model.adapter.load_state_dict(learnt)
        contexts = [row for row in clips if row["split"] == "heldout" and not row["utt_id"].endswith(UNSEEN)]
        error = token_error(model, processor, states, rows=contexts) if rank() == 0 and contexts else None
    if rank() > 0:
        return {}  # rank 0 writes
    path = work / "out" / ADAPTER
    path.parent.mkdir(exist_ok=True)
    # The file may be a hard link to what was published, so it must not be overwritten in place.
    path.unlink(missing_ok=True)
    save_file(learnt, path)
    work.publish("out", output("warmup"))
    write_curve(REPORTS / "plots" / "warmup.csv", outcome.curve)
    return {
        **outcome.summary(),
        "precision": w.precision,
        "heldout_token_error": error,
        "clips": count,
        "hours": seconds / 3600,
        "system": {"positions_a_second": outcome.speed},
    }
