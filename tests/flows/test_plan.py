"""`inserter plan`: exact counts from shapes alone, and estimates that follow the parameters."""

import pytest
from checkout import ROOT

from flows.plan import plan, speech_share
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


def test_twice_the_processes_halve_what_is_sharded_and_nothing_else(tiny_lm, tiny_encoder):
    params = of_tiny(tiny_lm, tiny_encoder)
    pretrain = params.pretrain.model_copy(update={"micro_positions": 100})
    params = params.model_copy(update={"pretrain": pretrain})
    one, two = plan(params, 1), plan(params, 2)
    assert two.bytes["weights (fp32)"] == one.bytes["weights (fp32)"] / 2
    assert two.bytes["activations"] == one.bytes["activations"] and two.flop == one.flop


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
