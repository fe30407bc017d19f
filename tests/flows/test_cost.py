"""`inserter plan` counts the FLOP that torch counts in a real step: forward, loss and backward of the loop's own task."""

import itertools

import numpy as np
import pytest
import torch
from checkout import ROOT
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM

from flows.cost import Work, count, encoder_flop, lm_cost, step_flop, without_storage
from flows.plan import shapes
from inserter.params import load
from inserter.training.batches import hear, packed_phase, places_of
from inserter.training.examples import example
from inserter.training.models import new_model
from inserter.training.states import Sounds
from inserter.training.tokens import Tokens
from models.attention import PACKED

SECONDS = 1.5  # of the clip, with half a second of silence after it


def wave() -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(int(16_000 * SECONDS))).astype(np.float32)


def step(tiny_lm, tiny_encoder, kind, *, lm="full", encoder=False, checkpointing="none"):
    """Return the FLOP of a step as torch counts it and as the plan does."""
    p = load(ROOT / "params.yaml")
    adapter = p.warmup.adapter.model_copy(update={"kind": kind, "stride": 2, "hidden_size": 32})
    pretrain = p.pretrain.model_copy(
        update={
            "trainable": p.pretrain.trainable.model_copy(update={"lm": lm, "encoder": encoder}),
            "gradient_checkpointing": checkpointing,
            "steps": 1,
            "batch_positions": 1,
            "precision": "fp32",
        }
    )
    assets = p.assets.model_copy(update={"lm": str(tiny_lm), "encoder": str(tiny_encoder)})
    model, processor = new_model(assets, adapter, 0, delimiters="none", languages=["en"])
    frames = int(50 * (SECONDS + 0.5))
    text = "The quick brown fox jumps over the lazy dog, "
    parts = [{"text": text, "utt_id": name, "loss": name is None} for name in (None, "a", None)]
    item = example(processor, parts)
    torch.manual_seed(0)
    if encoder:
        clips = Sounds(processor, [], torch.device("cpu"))
        clips.reader = {"a": wave()}
    elif kind == "decoder":
        clips = {"a": torch.cat([torch.randn(20, 32), torch.zeros(20, 1), torch.arange(20.0)[:, None]], dim=1)}
    else:
        with torch.no_grad():
            given = processor.features([wave()])
            clips = {"a": model.encode(given["input_features"], given["feature_lengths"])[0][0]}
    phase = packed_phase("p", pretrain, model, examples=Tokens.of([item]), clips=clips)
    model.train()
    with torch.no_grad():
        (heard,) = hear(model, places_of(model, [item]), clips).values()
    counter = FlopCounterMode(display=False)
    with counter, sdpa_kernel(SDPBackend.MATH):  # as products of matrices, which the counter knows on a CPU too
        loss, positions = phase.task.loss([0])
        loss.backward()
    work = Work(positions, len(heard), item.learnt, frames, frames)
    fake = shapes(p.model_copy(update={"assets": assets, "warmup": p.warmup.model_copy(update={"adapter": adapter})}))
    packed_phase("p", pretrain, fake, examples=Tokens.of([item]), clips={})
    cost = lm_cost(fake.train(), work, bf16=False, recompute=checkpointing)
    return counter.get_total_flops(), step_flop(fake, work, cost, recompute=checkpointing)


CASES = [
    *itertools.product(("decoder", "pooling", "stacking", "soft_token"), ("full", "lora", "frozen"), ("none",)),
    *itertools.product(("pooling",), ("full", "lora", "frozen"), ("selective", "full")),
]


@pytest.mark.parametrize(("kind", "lm", "checkpointing"), CASES)
def test_the_flop_of_a_step_are_those_that_torch_counts(tiny_lm, tiny_encoder, kind, lm, checkpointing):
    counted, planned = step(tiny_lm, tiny_encoder, kind, lm=lm, checkpointing=checkpointing)
    assert planned == pytest.approx(counted, rel=0.1)


@pytest.mark.parametrize("checkpointing", ["none", "selective", "full"])
def test_an_encoder_that_learns_is_counted_in_every_step(tiny_lm, tiny_encoder, checkpointing):
    counted, planned = step(tiny_lm, tiny_encoder, "pooling", encoder=True, checkpointing=checkpointing)
    assert planned == pytest.approx(counted, rel=0.1)


def test_encoding_a_clip_once_is_what_torch_counts(tiny_lm, tiny_encoder):
    p = load(ROOT / "params.yaml")
    adapter = p.warmup.adapter.model_copy(update={"kind": "pooling"})
    model, _ = new_model(p.assets.model_copy(update={"lm": str(tiny_lm), "encoder": str(tiny_encoder)}), adapter, 0)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        model.encode(torch.randn(1, 80, 400), torch.tensor([400]))
    assert encoder_flop(model, Work(0, 0, 0, 200, 200)) == pytest.approx(counter.get_total_flops(), rel=0.02)


def test_what_the_forward_pass_keeps_is_what_torch_tracks(tiny_lm):
    """A real forward pass: all live tensors that are neither weights nor logits."""
    from torch.distributed._tools.mem_tracker import MemTracker

    lm, positions, learnt = AutoModelForCausalLM.from_pretrained(tiny_lm).train(), 60, 40
    lm.set_attn_implementation(PACKED)
    work = Work(positions, 0, learnt, 0, 0)
    places = torch.arange(positions)[None]
    given = torch.zeros(1, positions, lm.config.hidden_size, requires_grad=True)
    tracker = MemTracker()
    tracker.track_external(lm, given)
    with tracker:
        logits = lm(
            inputs_embeds=given, position_ids=places, use_cache=False, logits_to_keep=places[0, :learnt], lengths=[positions]
        ).logits
        live = next(iter(tracker.get_tracker_snapshot("current").values()))
    tracked = next(size for kind, size in live.items() if getattr(kind, "value", None) == "Activation") - 4 * logits.numel()
    with torch.device("meta"):
        fake = AutoModelForCausalLM.from_config(lm.config)
    fake.set_attn_implementation(PACKED)
    with FakeTensorMode():
        without_storage(fake.train())
        found = count(fake, work, learns=True, bf16=False)
    assert found.kept == pytest.approx(tracked, rel=0.05)
