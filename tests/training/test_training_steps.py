"""A step is rows: what each process does of it, what saves memory, and what is refused before anything is trained."""

import shutil
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from checkout import ROOT
from torch.utils._python_dispatch import TorchDispatchMode
from training_runs import PART, some_examples, states_of
from transformers import MambaConfig, MambaForCausalLM

from inserter.errors import InserterError
from inserter.files import write_table
from inserter.params import checked, load
from inserter.params.training import Recompute
from inserter.run.curve import _steps
from inserter.run.work import WorkFolder
from inserter.tables import VERIFIED
from inserter.training import batches, budget, compiled
from inserter.training.batches import HeardLengths, Packed, clips_needed, hear, packed_phase, places_of
from inserter.training.cliptable import indexed
from inserter.training.examples import Example, chat_example, example
from inserter.training.loop import train
from inserter.training.models import new_model
from inserter.training.states import encoder_digest
from inserter.training.tokens import Tokens
from models import InserterForConditionalGeneration, InserterProcessor


@pytest.fixture
def model(tiny_model):
    return InserterForConditionalGeneration.from_pretrained(tiny_model), InserterProcessor.from_pretrained(tiny_model)


def test_the_pieces_of_all_processes_are_the_step(model):
    examples = Tokens.of(Example((1,) * n, (1,) * n, (), n) for n in (30, 5, 5, 60, 5, 5, 5))
    task = Packed(model[0], examples, [list(range(7))], {}, 20)
    one, three = task.pieces(0, 0, 1), [task.pieces(0, rank, 3) for rank in range(3)]
    assert one == [[0], [1, 2], [3], [4, 5, 6]], "in order, a longer example by itself"
    assert sorted(i for pieces in three for piece in pieces for i in piece) == list(range(7))
    assert len({len(pieces) for pieces in three}) == 1 and [] in three[1], "as many backward passes in each process"
    full = Packed(model[0], examples, [[1, 2, 4, 5, 6, 1, 2, 4, 5]], {}, 20)
    assert full.pieces(0, 0, 1) == [[1, 2, 4, 5], [6, 1, 2, 4], [5]], "each row is filled to the last position"


def test_an_example_of_text_has_as_many_positions_as_tokens(model):
    _, processor = model
    assert (read := example(processor, [PART])).positions == len(read.ids)
    assert (turn := chat_example(processor, "Is it so?", "Yes.", utt_id=None)).positions == len(turn.ids)
    spoken = [chat_example(processor, "Is it so?", "Yes.", utt_id="a", lengths={"a": length}) for length in (20, 50)]
    assert spoken[1].positions - spoken[0].positions == 30, "what is heard counts as long as it is"


def test_a_row_has_the_positions_that_the_lm_sees(model):
    net, processor = model
    examples, clips = some_examples(processor), states_of(["u0", "u1"])
    heard = hear(net, places_of(net, examples[:2]), clips)
    loss, positions = Packed(net, Tokens.of(examples), [[0, 1]], clips, 100).loss([0, 1])
    assert positions == sum(len(item.ids) - 1 for item in examples[:2]) + sum(len(clip) for clip in heard.values())
    assert float(loss.detach()) > 0


def test_an_empty_row_has_no_loss_and_a_gradient_of_zeros(model):
    """A process with fewer rows than another takes part in its passes. The first example's clips are all that it needs."""
    net, processor = model
    loss, positions = Packed(net, Tokens.of(some_examples(processor)), [[0]], states_of(["u0"]), 100).loss([])
    assert (float(loss.detach()), positions) == (0.0, 0)
    loss.backward()
    for part in (net.adapter, net.language_model):
        gradients = [weight.grad for weight in part.parameters() if weight.grad is not None]
        assert gradients and not any(gradient.any() for gradient in gradients)


def test_of_many_processes_one_with_text_alone_hears_and_reads_as_the_others_do(model, monkeypatch):
    """Otherwise the others wait for its part of a sum without end. Its loss is that of the text all the same."""
    net, processor = model
    spoken = some_examples(processor)[0]
    text = example(processor, [PART])
    task = Packed(net, Tokens.of([spoken, text]), [[0, 1]], states_of(["u0"]), 100, Tokens.of([text, text]), 0.5)
    alone = float(task.loss([1])[0])
    passes = []
    net.language_model.register_forward_pre_hook(lambda *_: passes.append("lm"))
    net.adapter.register_forward_pre_hook(lambda *_: passes.append("adapter"))
    monkeypatch.setattr(batches, "world", lambda: 2)
    assert float(task.loss([1])[0]) == pytest.approx(alone, rel=1e-6) and sorted(passes) == ["adapter", "lm", "lm"]


@pytest.mark.parametrize(
    "change", [{"micro_positions": 20}, {"gradient_checkpointing": "full"}, {"gradient_checkpointing": "selective"}]
)
def test_what_saves_memory_changes_no_step(tiny_model, tmp_path, monkeypatch, change):
    """Gradients of many small pieces, and of layers that are computed again, are those of the whole step at once."""
    monkeypatch.chdir(tmp_path)
    processor = InserterProcessor.from_pretrained(tiny_model)
    small = {"steps": 6, "batch_positions": 60, "precision": "fp32", "checkpoint_steps": 100}

    def run(**settings):
        model = InserterForConditionalGeneration.from_pretrained(tiny_model)
        passes = []
        model.language_model.model.layers[0].mlp.register_forward_pre_hook(lambda *_: passes.append(1))
        p = load(ROOT / "params.yaml").pretrain.model_copy(update={**small, **settings})
        phase = packed_phase(
            "p", p, model, examples=Tokens.of(some_examples(processor)), clips=states_of([f"u{i}" for i in range(8)])
        )
        return train(model, phase, WorkFolder("test", settings)).curve, len(passes)

    (whole, once), (saving, more) = run(), run(**change)
    assert once == 6 and more >= 12, "a pass a step, and more than that"
    for a, b in zip(whole, saving, strict=True):
        assert {**a, "loss": 0, "gradient_norm": 0} == {**b, "loss": 0, "gradient_norm": 0}
        assert (a["loss"], a["gradient_norm"]) == pytest.approx((b["loss"], b["gradient_norm"]), rel=1e-4)


def test_compiled_layers_learn_what_plain_ones_learn_and_measure_as_they_do(tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    processor = InserterProcessor.from_pretrained(tiny_model)
    small = {"steps": 6, "batch_positions": 60, "precision": "fp32"}
    ids = torch.arange(1, 9)[None]

    def run(fast):
        model = InserterForConditionalGeneration.from_pretrained(tiny_model)
        p = load(ROOT / "params.yaml").pretrain.model_copy(update={**small, "compile": fast})
        clips = states_of([f"u{i}" for i in range(8)])
        phase = packed_phase("p", p, model, examples=Tokens.of(some_examples(processor)), clips=clips)
        before = model.eval()(ids).logits
        curve = train(model, phase, WorkFolder("test", [fast])).curve
        return curve, before, [name for name in model.state_dict() if "_orig_mod" in name]

    (plain, read, _), (fast, as_read, renamed) = run(False), run(True)
    for a, b in zip(plain, fast, strict=True):
        assert (a["loss"], a["gradient_norm"], a["positions"]) == pytest.approx(
            (b["loss"], b["gradient_norm"], b["positions"]), rel=1e-4
        )
    assert [a["loss"] for a in plain] != [b["loss"] for b in fast], "other kernels round differently: they are in use"
    assert torch.equal(read, as_read) and not renamed


def test_without_a_compiler_compiling_is_refused_in_one_line(tiny_model, monkeypatch):
    monkeypatch.setattr(compiled, "torch", SimpleNamespace(compile=no_compiler, ones=torch.ones))
    model = InserterForConditionalGeneration.from_pretrained(tiny_model)
    with pytest.raises(InserterError, match=r"does not work on this machine: no g\+\+\. .*pretrain.compile"):
        compiled.compile_layers(model.language_model)


def no_compiler(function):
    raise RuntimeError("no g++\nand more")


def test_minutes_are_the_steps_that_fit_and_are_decided_once(tiny_model, tmp_path, monkeypatch):
    """The trial changes no weight, and a resumed run keeps its number whatever the machine does then."""
    monkeypatch.chdir(tmp_path)
    processor = InserterProcessor.from_pretrained(tiny_model)
    small = {"steps": 3, "batch_positions": 60, "precision": "fp32", "checkpoint_steps": 2}

    def run(work, **settings):
        model = InserterForConditionalGeneration.from_pretrained(tiny_model)
        p = load(ROOT / "params.yaml").pretrain.model_copy(update={**small, **settings})
        clips = states_of([f"u{i}" for i in range(8)])
        examples = Tokens.of(some_examples(processor))
        assert settings.get("minutes") is None or clips_needed(examples, p) == set(clips), "it may come to any of them"
        return train(model, packed_phase("p", p, model, examples=examples, clips=clips), WorkFolder(work, {}))

    clock = iter(range(0, 1000, 30))
    monkeypatch.setattr(budget, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    found = run("minutes", minutes=0.9)
    assert found.steps == found.budget.steps == 5 and len(found.curve) == 5, "54 s, where 3 steps took 30 s"
    positions = sum(row["positions"] for row in found.curve[1:4])  # a little more or less as the adapter learns
    assert found.budget.positions_a_second == pytest.approx(positions / 30, rel=0.05)
    assert found.curve == run("steps", steps=5).curve
    monkeypatch.setattr(budget, "time", None)  # a second measurement would fail
    again = run("minutes", minutes=0.9)
    assert again.curve == found.curve and again.budget == found.budget
    (folder,) = (tmp_path / ".work/minutes").iterdir()
    assert _steps(folder, "p") == 5, "what `inserter status` shows"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_selective_recomputation_repeats_no_product_and_no_attention(model, precision):
    """It recomputes the rest, and gradients are those of a pass that keeps everything."""
    net, processor = model
    p = load(ROOT / "params.yaml").pretrain
    examples, clips = Tokens.of(some_examples(processor)), states_of([f"u{i}" for i in range(8)])

    def gradients(how: Recompute) -> tuple[Counter[str], list[torch.Tensor]]:
        settings = p.model_copy(update={"gradient_checkpointing": how, "steps": 1})
        task = packed_phase("p", settings, net, examples=examples, clips=clips).task
        net.train().zero_grad()
        with Counted() as forward, torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss, _ = task.loss([0, 1, 2])
        with Counted() as backward:
            loss.backward()
        net.gradient_checkpointing_disable()
        assert forward.times["attention"] == 3 * net.config.text_config.num_hidden_layers, "one kernel per sequence and layer"
        return backward.times, [w.grad.clone() for w in net.parameters() if w.grad is not None]

    (plain, kept), (some, selective), (whole, full) = (gradients(how) for how in ("none", "selective", "full"))
    assert plain["attention"] == some["attention"] == 0 < whole["attention"]
    assert plain["product"] == some["product"] < whole["product"]
    assert plain["silu"] == 0 < some["silu"] == whole["silu"]
    for a, b, c in zip(kept, selective, full, strict=True):
        assert torch.equal(a, b) and torch.equal(a, c)


class Counted(TorchDispatchMode):
    """Count the kernels of attention's forward pass, products and activation functions."""

    def __enter__(self) -> "Counted":
        self.times: Counter[str] = Counter()
        return super().__enter__()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        kinds = {"mm": "product", "addmm": "product", "silu": "silu"}
        attention = "attention" in name and "backward" not in name
        self.times["attention" if attention else kinds.get(name, "other")] += 1
        return func(*args, **(kwargs or {}))


def test_a_row_of_text_teaches_nothing_where_only_what_hears_learns(tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, processor = InserterForConditionalGeneration.from_pretrained(tiny_model), InserterProcessor.from_pretrained(tiny_model)
    examples = Tokens.of([example(processor, [PART]), *some_examples(processor)])
    p = load(ROOT / "params.yaml").pretrain
    frozen = p.trainable.model_copy(update={"lm": "frozen"})
    settings = {"steps": 4, "batch_positions": 60, "micro_positions": 10, "precision": "fp32", "trainable": frozen}
    before = model.adapter.query.weight.clone()
    phase = packed_phase("p", p.model_copy(update=settings), model, examples=examples, clips=states_of([f"u{i}" for i in range(8)]))
    assert [0] in [piece for step in range(4) for piece in phase.task.pieces(step, 0, 1)], "a row of text alone is among them"
    assert len(train(model, phase, WorkFolder("test", "frozen")).curve) == 4
    assert not torch.equal(model.adapter.query.weight, before)


def test_a_phase_in_which_nothing_learns_is_refused():
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["pretrain"]["trainable"] |= {"adapter": False, "encoder": False, "lm": "frozen"}
    with pytest.raises(InserterError, match=r"pretrain\.trainable: .*no part is trainable"):
        checked(raw, "params.yaml")


@pytest.mark.parametrize("checkpointing", ["selective", "full"])
def test_layers_that_are_compiled_and_computed_again_are_refused(checkpointing):
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["pretrain"] |= {"compile": True, "gradient_checkpointing": checkpointing}
    with pytest.raises(InserterError, match=r"pretrain: .*gradient_checkpointing: none"):
        checked(raw, "params.yaml")


@pytest.mark.parametrize(("kind", "expected"), [("pooling", [50, 50, 51, 49, 6]), ("stacking", [50, 51, 51, 50, 7])])
def test_the_positions_of_a_projected_clip_are_known_before_it_is_heard(tiny_lm, tiny_encoder, model, tmp_path, kind, expected):
    """Half a second of silence follows a clip. An average of fewer frames than four is dropped; a shorter stack is filled up."""
    p = load(ROOT / "params.yaml")
    assets = p.assets.model_copy(update={"lm": str(tiny_lm), "encoder": str(tiny_encoder)})
    net, processor = new_model(assets, p.warmup.adapter.model_copy(update={"kind": kind, "stride": 4}), 0)
    samples = [56_000, 56_001 + 319, 56_000 + 1_280, 56_000 - 320, 400]
    rows = [{"utt_id": str(n), "split": "train", "shard": "s", "n_samples": n} for n in samples]
    write_table(tmp_path / "clips.parquet", rows, VERIFIED)
    clips = indexed(tmp_path / "clips.parquet", VERIFIED, tmp_path / "clips", shards=tmp_path)
    lengths = HeardLengths(net, clips)
    given = processor.features([np.zeros(n, dtype=np.float32) for n in samples])
    with torch.no_grad():
        heard = net.hear(*net.encode(given["input_features"], given["feature_lengths"]), given["clip_windows"])
    assert [len(clip) for clip in heard] == [lengths[str(n)] for n in samples] == expected
    assert lengths.get("400") and lengths.get("401") is None and sorted(lengths) == sorted(map(str, samples))
    assert HeardLengths(model[0], clips) == {}, "a soft token's positions are not known before it is heard"
    parts = [{"text": "a dog", "utt_id": "56000", "loss": False}, PART]
    spoken, read = example(processor, parts, lengths=lengths), example(processor, [parts[1]])
    assert spoken.positions == read.positions + 50 + 2


def test_states_of_another_average_are_never_taken_from_the_cache(tiny_lm, tiny_encoder):
    """The encoder's weights are the same in all of these."""
    p = load(ROOT / "params.yaml")
    assets = p.assets.model_copy(update={"lm": str(tiny_lm), "encoder": str(tiny_encoder)})

    def digest(kind, stride):
        return encoder_digest(new_model(assets, p.warmup.adapter.model_copy(update={"kind": kind, "stride": stride}), 0)[0])

    assert digest("stacking", 2) == digest("stacking", 4) == digest("soft_token", 4), "these read the same states"
    assert len({digest("stacking", 2), digest("pooling", 2), digest("pooling", 4)}) == 3


@pytest.mark.parametrize(
    ("kind", "said"),
    [("no template", "has no chat template"), ("titles", "loses or changes the text"), ("state", "recurrent state")],
)
def test_an_lm_that_cannot_be_trained_here_is_refused_at_once(tiny_lm, tiny_encoder, tmp_path, kind, said):
    folder = tmp_path / "lm"
    shutil.copytree(tiny_lm, folder)
    if kind == "state":
        config = MambaConfig(vocab_size=400, hidden_size=32, num_hidden_layers=1, state_size=4)
        MambaForCausalLM(config).save_pretrained(folder)
    elif kind == "titles":
        template = folder / "chat_template.jinja"
        template.write_text(template.read_text().replace("m['content']", "m['content'] | title"))
    else:
        (folder / "chat_template.jinja").unlink()
    p = load(ROOT / "params.yaml")
    assets = p.assets.model_copy(update={"lm": str(folder), "encoder": str(tiny_encoder)})
    with pytest.raises(InserterError, match=said):
        new_model(assets, p.warmup.adapter, 0)
