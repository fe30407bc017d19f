"""`inserter plan`: exact counts from shapes alone, and estimates that follow the parameters."""

import pytest
from checkout import ROOT
from click.testing import CliRunner
from torch import nn
from transformers import AutoModelForCausalLM

from flows.cli import app
from flows.plan import plan, shapes, speech_share
from inserter.errors import InserterError
from inserter.params import load
from models import InserterForConditionalGeneration


def of_tiny(tiny_lm, tiny_encoder):
    params = load(ROOT / "params.yaml")
    assets = params.assets.model_copy(update={"lm": str(tiny_lm), "encoder": str(tiny_encoder)})
    adapter = params.warmup.adapter.model_copy(update={"kind": "soft_token", "hidden_size": 32})
    return params.model_copy(update={"assets": assets, "warmup": params.warmup.model_copy(update={"adapter": adapter})})


def test_the_counts_are_those_of_the_model_that_is_trained(tiny_lm, tiny_encoder, tiny_model):
    found = plan(of_tiny(tiny_lm, tiny_encoder))
    model = InserterForConditionalGeneration.from_pretrained(tiny_model)
    assert found.parameters["encoder"] == sum(p.numel() for p in model.encoder.parameters())
    assert found.parameters["adapter"] == sum(p.numel() for p in model.adapter.parameters())
    assert found.trained == found.parameters["lm"] + found.parameters["adapter"], "the encoder is frozen"


def test_more_processes_share_out_what_is_sharded_and_nothing_else(tiny_lm, tiny_encoder):
    """Of the sharded weights, a process gathers those outside of the blocks, and two blocks. A frozen encoder stays whole."""
    params = of_tiny(tiny_lm, tiny_encoder)
    pretrain = params.pretrain.model_copy(update={"micro_positions": 100, "precision": "bf16"})
    params = params.model_copy(update={"pretrain": pretrain})
    one, two, four = (plan(params, processes) for processes in (1, 2, 4))
    encoder = 4 * one.parameters["encoder"]
    sharded = one.bytes["weights (fp32)"] - encoder
    assert two.bytes["weights (fp32)"] == encoder + sharded / 2 and four.bytes["weights (fp32)"] == encoder + sharded / 4
    assert four.bytes["AdamW (fp32)"] == one.bytes["AdamW (fp32)"] / 4
    assert two.bytes["activations"] == one.bytes["activations"] and two.flop == one.flop
    lm = AutoModelForCausalLM.from_pretrained(tiny_lm)
    adapter = shapes(params).adapter
    blocks = sum(q.numel() for block in lm.model.layers for q in block.parameters())
    inner = {q for part in adapter.modules() if isinstance(part, nn.ModuleList) for q in part.parameters()}
    outside = sum(q.numel() for q in lm.parameters()) - blocks + sum(q.numel() for q in adapter.parameters() if q not in inner)
    assert two.bytes["gathered weights"] == four.bytes["gathered weights"] == 2 * (outside + 2 * blocks / len(lm.model.layers))


def test_memory_goes_by_the_positions_at_a_time(tiny_lm, tiny_encoder):
    """A step of a hundred times as many takes no more, and layers that are computed again take less."""
    params = of_tiny(tiny_lm, tiny_encoder)

    def activations(**changes):
        pretrain = params.pretrain.model_copy(update={"batch_positions": 4096, **changes})
        return plan(params.model_copy(update={"pretrain": pretrain})).bytes["activations"]

    assert activations() == activations(batch_positions=409_600) == 2 * activations(micro_positions=2048)
    by = [activations(gradient_checkpointing=how) for how in ("full", "selective", "none")]
    assert by == sorted(set(by)), "the more is kept, the more memory"


def test_the_papers_scale_needs_no_hub_and_no_weights():
    params = load(ROOT / "params.yaml", ROOT / "docs/paper.yaml")
    assert params.pretrain.batch_positions == 1024 * 8192
    found = plan(params, 64)
    assert 7.5e9 < found.parameters["lm"] < 7.7e9 and 6.3e8 < found.parameters["encoder"] < 6.4e8
    assert 0 < speech_share(params) < 1 and found.flop > 1e22


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("inserter plan --overlay docs/paper.yaml --processes 64", "memory per process, in total"),
        ("inserter plan --tflops 989 --utilisation 0.4", "TFLOPS at 40%"),
    ],
)
def test_the_commands_of_the_guide_print_memory_and_hours(command, shown, monkeypatch):
    monkeypatch.chdir(ROOT)
    done = CliRunner().invoke(app, command.split()[1:])
    assert done.exit_code == 0 and shown in done.output, done.output


def test_an_overlay_is_checked_as_the_parameters_are(tmp_path):
    (tmp_path / "over.yaml").write_text("pretrain: {stepz: 3}\n")
    with pytest.raises(InserterError, match=r"over\.yaml: unknown key pretrain\.stepz \(did you mean steps\?\)"):
        load(ROOT / "params.yaml", tmp_path / "over.yaml")


def test_a_model_without_a_known_shape_is_one_line(tiny_lm, tiny_encoder, monkeypatch):
    params = of_tiny(tiny_lm, tiny_encoder)
    params = params.model_copy(update={"assets": params.assets.model_copy(update={"lm": "/no/such/folder"})})
    with pytest.raises(InserterError, match=r"no/such/folder is unknown .*config\.json"):
        plan(params)


def test_hours_go_by_the_cards_their_peak_and_their_use(tiny_lm, tiny_encoder):
    found = plan(of_tiny(tiny_lm, tiny_encoder), 2)
    assert found.hours(100, 0.5) == pytest.approx(found.flop / (2 * 50e12) / 3600)
    assert found.flop > found.flop_ahead > 0, "a frozen encoder is counted once, beside the steps"
