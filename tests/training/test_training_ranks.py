"""Ranks that are slow, hang or die, and what ranks share out: two real processes over gloo."""

import csv
import shutil
from pathlib import Path

import pytest
import ranks
import torch
import yaml
from checkout import ROOT
from training_runs import finish as finish_stage
from training_runs import stage, workspace
from transformers import AutoModelForCausalLM, AutoTokenizer

from inserter.audio.clips import flac, write_shard
from inserter.files import read_json, read_jsonl, read_table, write_jsonl, write_table
from inserter.params import load
from inserter.tables import ITEMS, PAIRS
from inserter.tts import load_voice
from models import InserterForConditionalGeneration, InserterProcessor

STAGE = """
import os, signal, time
from datetime import timedelta
from inserter.training.processes import *

def main(params):
    join(step=timedelta(seconds=1), part=timedelta(minutes=5))
{body}
    return {{}}

run_training_stage("pretrain", main)
"""


def staged(body: str) -> str:
    """A stage whose collectives within a step wait for a second, and all others for five minutes."""
    return STAGE.format(body="\n".join(f"    {line}" for line in body.strip().splitlines()))


@pytest.fixture
def folder(tmp_path):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    return tmp_path


WORKS = "time.sleep(2)  # twice as long as a step may take"


def test_between_parts_a_rank_may_work_longer_than_a_step_may_take(folder):
    """Before a barrier, before the others in `main_first`, before what is sent and before what is gathered."""
    told = ranks.finish(
        staged(
            f"""
if rank() == 1:
    {WORKS}
barrier()
with main_first():
    if rank() == 0:
        {WORKS}
        open("made", "w").close()
    assert os.path.exists("made")
if rank() == 0:
    {WORKS}
sent = from_main({{"rank": rank()}})
if rank() == 1:
    {WORKS}
print(sent, gathered([item * item for item in my_share(range(5))]), summed(rank()))
"""
        ),
        folder,
    )
    assert [text.splitlines()[-1] for text in told] == ["{'rank': 0} [0, 1, 4, 9, 16] [1.0]"] * 2


@pytest.mark.parametrize("signalled", ["SIGKILL", "SIGSTOP"], ids=["dies", "hangs"])
def test_a_rank_that_is_lost_in_a_step_ends_the_others_with_one_line(folder, signalled):
    one, lost = ranks.start(staged(f"if rank() == 1:\n    os.kill(os.getpid(), signal.{signalled})\nsummed(1.0)"), folder)
    try:
        assert one.wait(300) == 1
    finally:
        lost.kill()
        lost.wait()
    (line,) = ranks.log(folder, 0).read_text().splitlines()
    assert line.startswith("pretrain, rank 0: another rank has died or hangs (")


def test_an_error_that_nobody_foresaw_stands_under_its_rank(folder):
    one, other = ranks.start(staged("if rank() == 1:\n    raise RuntimeError('a defect')\nbarrier()"), folder)
    assert other.wait(300) == 1 and one.wait(300) == 1
    assert "[rank1]: RuntimeError: a defect" in ranks.log(folder, 1).read_text()


BF16 = 1e-3  # of a loss of 4.5: two ranks also round the embeddings and what is added up over the layers; measured 3.3e-4
TRAINED = """
import json
from pathlib import Path
import torch
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from inserter.training.processes import join, rank
from training_runs import train_some

join()
found = set()
seen = lambda module, _: found.add(str(module.weight.dtype)) if isinstance(module, LlamaRMSNorm) else None
torch.nn.modules.module.register_module_forward_pre_hook(seen)
curve = train_some("bf16", Path(MODEL))
Path(f"curve-{rank()}.json").write_text(json.dumps({"curve": curve, "weights": sorted(found)}))
"""


@pytest.fixture(scope="module")
def tied_model(tiny_lm, tiny_encoder, tmp_path_factory):
    """Its LM has one table for the embeddings and the head, which FSDP gathers once."""
    lm, folder = (tmp_path_factory.mktemp(name) for name in ("tied-lm", "tied-model"))
    net = AutoModelForCausalLM.from_pretrained(tiny_lm)
    net.config.tie_word_embeddings = True
    net.tie_weights()
    net.save_pretrained(lm)
    AutoTokenizer.from_pretrained(tiny_lm).save_pretrained(lm)
    processor = InserterProcessor.from_parts(str(lm), str(tiny_encoder))
    places = {"audio_token_id": processor.audio_token_id, "document_start_id": processor.document_start_id}
    settings = {"adapter": "soft_token", "adapter_hidden_size": 32}
    torch.manual_seed(0)  # with other weights, rounding may keep a soft token that it drops on the other side: 1.4e-3
    InserterForConditionalGeneration.from_parts(str(lm), str(tiny_encoder), processor.tokens, **settings, **places).save_pretrained(
        folder
    )
    processor.save_pretrained(folder)
    return folder


def test_two_ranks_in_bf16_learn_what_one_learns_and_each_logs_its_steps(tied_model, folder, tmp_path_factory):
    """The adapter mixes embeddings of the gathered table. Each rank notes its own part of every step."""
    alone, code = tmp_path_factory.mktemp("alone"), TRAINED.replace("MODEL", repr(str(tied_model)))
    ranks.finish(code, alone, world=1)
    ranks.finish(code, folder)
    one, two = (read_json(place / "curve-0.json") for place in (alone, folder))
    assert (one["weights"], two["weights"]) == (["torch.float32"], ["torch.bfloat16"])
    for a, b in zip(one["curve"], two["curve"], strict=True):
        assert (a["positions"], a["tokens"]) == (b["positions"], b["tokens"])
        assert a["loss"] == pytest.approx(b["loss"], abs=BF16) and a["gradient_norm"] == pytest.approx(b["gradient_norm"], rel=0.03)
    lines = [list(read_jsonl(next(folder.glob(f".work/some/*/ranks/rank-{number}.jsonl")))) for number in range(2)]
    for row, parts in zip(two["curve"], zip(*lines, strict=True), strict=True):
        assert {part["step"] for part in parts} == {row["step"]}
        assert sum(part["positions"] for part in parts) == row["positions"]
        assert all(part["seconds"] > 0 and part["cpu_seconds"] > 0 and part["peak_bytes"] > 2**20 for part in parts)


EVALUATED = """
from inserter.training import heldout
from inserter.training.processes import run_training_stage
from stages.evaluate.stage import main

heldout.BATCH_POSITIONS = {"cpu": 40}  # several batches of a few documents
run_training_stage("evaluate", main)
"""
TUNED = """
from inserter.training.processes import run_training_stage
from stages.sft import pairs
from stages.sft.stage import main

pairs.BATCH = 3
run_training_stage("sft", main)
"""


@pytest.fixture
def made(tiny_lm, tiny_encoder, tiny_model, tmp_path):
    """made(name) -> a workspace with all that sft and evaluate read; every model is the tiny one."""

    def make(name: str) -> Path:
        place = workspace(tmp_path / name, tiny_lm, tiny_encoder)
        for made in ("pretrain", "sft"):
            shutil.copytree(tiny_model, place / f"data/{made}/model")
        params = yaml.safe_load((place / "params.yaml").read_text())
        params["evaluate"].update(max_new_tokens=6, batch_size=1, precision="fp32")
        params["sft"].update(prompts=12, max_new_tokens=16, steps=2, batch_positions=100, precision="fp32")
        params["synthesize"].update(workers=1, voices=params["synthesize"]["voices"][:1])
        params["verify"]["workers"] = 1
        (place / "params.yaml").write_text(yaml.safe_dump(params))
        texts = ["Name three rivers.", "Describe an old house by the sea.", "Say yes."]
        voice = load_voice(load(place / "params.yaml").synthesize.voices[0])
        waves = {text: voice.speak(text) for text in texts}
        index = write_shard(
            place / "data/benchmark/shard-00000.tar", [(f"i-{n}", flac(wave)) for n, wave in enumerate(waves.values())]
        )
        items = [
            benchmark_item(text, span, len(wave) / 16_000, task="open" if text == "Say yes." else "closed")
            for (text, wave), span in zip(waves.items(), index.values(), strict=True)
        ]
        write_table(place / "data/benchmark/items.parquet", items, ITEMS)
        write_jsonl(place / "data/benchmark/prompts.jsonl", [{"key": item["key"], "prompt": item["prompt"]} for item in items])
        return place

    return make


def benchmark_item(text: str, span: tuple[int, int], duration: float, task: str) -> dict:
    closed = task == "closed"
    return {
        **{"item_id": text, "key": text, "task": task, "lang": "en", "variant": "standard", "prompt": text, "clean_prompt": text},
        **{"questions": [] if closed else ["Is it?"], "instruction_id_list": ["punctuation:no_comma"] if closed else []},
        **{"kwargs": "[{}]" if closed else "[]", "shard": "shard-00000.tar", "offset": span[0], "size": span[1]},
        **{"duration": duration, "voice": "v", "notes": "{}"},
    }


def test_two_ranks_share_out_an_evaluation_and_report_what_one_reports(made):
    one, two = made("one"), made("two")
    ranks.finish(EVALUATED, one, world=1)
    ranks.finish(EVALUATED, two)
    for name in ("reports/evaluate.json", "data/evaluate/responses.jsonl", "data/evaluate/losses.parquet"):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    assert read_json(two / "reports/evaluate.json")["likelihood"]["forgetting"]["tokens"] > 0
    assert len(list(two.glob(".work/evaluate/*/answers heard/*.json"))) == 3, "a batch a rank, and one more"


def test_two_ranks_answer_for_fine_tuning_and_make_the_pairs_of_one(made):
    one, two = made("one"), made("two")
    ranks.finish(TUNED, one, world=1)
    ranks.finish(TUNED, two)
    pairs = [read_table(place / "data/sft/pairs.parquet", PAIRS) for place in (one, two)]
    assert pairs[0] == pairs[1] and len(pairs[0]) > 1
    reports = [read_json(place / "reports/sft.json") for place in (one, two)]
    assert reports[0]["dropped"] == reports[1]["dropped"] and reports[0]["rewritten"] == reports[1]["rewritten"]
    assert reports[0]["pairs_nll"]["after"] == pytest.approx(reports[1]["pairs_nll"]["after"], abs=2e-5)


AHEAD = """
import inserter.training.batches as batches, inserter.training.states as states
from inserter.training.processes import run_training_stage
from stages.pretrain.stage import main
states.KEPT = 0  # clips are too many to keep
batches.WINDOW = 150  # positions of a rank: two steps
run_training_stage("pretrain", main)
"""


@pytest.mark.parametrize("kind", ["pooling", "decoder"])
def test_ranks_encode_clips_ahead_of_their_steps(tiny_lm, tiny_encoder, tmp_path, kind):
    """The frozen encoder works between steps, whole on every rank. The curve is that of one rank with all clips encoded before."""
    one, two = (workspace(tmp_path / name, tiny_lm, tiny_encoder, {"kind": kind, "stride": 2}) for name in ("one", "two"))
    for folder in (one, two):
        params = yaml.safe_load((folder / "params.yaml").read_text())
        params["pretrain"].update(steps=8, gap_steps=0)
        (folder / "params.yaml").write_text(yaml.safe_dump(params))
        finish_stage(stage("warmup", folder), folder)
    finish_stage(stage("pretrain", one), one)
    ranks.finish(AHEAD, two)
    curves = [list(csv.DictReader((folder / "reports/plots/pretrain.csv").open())) for folder in (one, two)]
    assert len(curves[0]) == 8
    for a, b in zip(*curves, strict=True):
        assert (a["positions"], a["tokens"]) == (b["positions"], b["tokens"])
        assert float(a["loss"]) == pytest.approx(float(b["loss"]), abs=1e-3), "states of other batches"
