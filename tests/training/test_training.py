"""Training: a resume is exact, the order depends on the seed alone, and the gap is the honest one."""

from dataclasses import replace

import pytest
import torch
import yaml
from safetensors.torch import load_file
from training_runs import PART, finish, some_examples, stage, states_of, workspace

from inserter.errors import InserterError
from inserter.files import read_json
from inserter.params import Lora, Optimizer, Trainable
from inserter.run.closure import deciding
from inserter.run.work import WorkFolder
from inserter.training.batches import Packed, hear, places_of, to_sequences
from inserter.training.examples import as_read, example
from inserter.training.gap import gap_closed, mean
from inserter.training.heldout import Subject, context_example, losses, transcript_loss
from inserter.training.loop import Phase, train
from inserter.training.plan import Plan
from inserter.training.states import batch
from inserter.training.tokens import Tokens
from inserter.training.trainable import merge_lora, parts_of, schedule
from models import InserterForConditionalGeneration, InserterProcessor
from stages.interleave.build import speech_task


@pytest.fixture
def model(tiny_model):
    return InserterForConditionalGeneration.from_pretrained(tiny_model), InserterProcessor.from_pretrained(tiny_model)


def test_only_text_is_learnt(model):
    _, processor = model
    prefix = {"text": "Transcribe:", "utt_id": None, "loss": False}
    speech = {"text": "lazy dog", "utt_id": "a", "loss": False}
    item = example(processor, [prefix, speech, PART], end=True)
    learnt = processor.tokenizer.decode([i for i, label in zip(item.ids, item.labels, strict=True) if label != -100])
    assert learnt == "The quick brown fox<|endoftext|>" and item.clips == ("a",)


def test_the_plan_uses_everything_once_per_epoch_and_keeps_the_budget(model):
    _, processor = model
    examples = Tokens.of(example(processor, [{**PART, "text": "word " * n}]) for n in range(1, 40))

    def plan(steps: int, seed: int) -> list[list[int]]:
        return list(Plan(examples.positions, steps, 200, seed=seed))

    steps = plan(60, 3)
    assert steps == plan(60, 3) != plan(60, 4)
    assert steps[:5] == plan(5, 3), "a longer run begins as a shorter one"
    flat = [i for step in steps for i in step]
    assert sorted(flat[: len(examples)]) == list(range(len(examples)))
    assert all(sum(examples[i].positions for i in step) <= 220 for step in steps)


def test_the_gap_of_a_deaf_and_of_a_perfect_model():
    read = {"read_own": 2.0, "read_other": 3.0, "absent": 4.0}
    assert gap_closed({**read, "heard_own": 2.5, "heard_other": 2.5}) == 0.0, "any context helps, none is heard"
    assert gap_closed({**read, "heard_own": 2.1, "heard_other": 3.1}) == pytest.approx(1.0)
    assert gap_closed({**read, "read_other": 2.0, "heard_own": 2.5, "heard_other": 2.6}) is None, "reading does not help"


def test_all_contexts_learn_the_same_tokens(model):
    _, processor = model
    rows = [
        {"doc_id": d, "utt_id": d, "context": f"the {d} dog", "continuation": " jumps over the fox", "other_doc_id": o}
        for d, o in (("a", "b"), ("b", "a"))
    ]
    others = {row["doc_id"]: row for row in rows}
    made = [context_example(processor, rows[0], c, others=others) for c in ("heard_own", "heard_other", "read_own", "read_other")]
    learnt = {tuple(label for label in item.labels if label != -100) for item in made}
    assert len(learnt) == 1
    assert [item.clips for item in made] == [("a",), ("b",), (), ()]


def test_the_transcript_is_measured_as_it_is_taught(model):
    """The loss of exactly the tokens that a transcribe sequence of the same clip teaches, after the same request."""
    net, processor = model
    row = {"doc_id": "a", "utt_id": "a", "context": "the lazy dog", "continuation": " jumps", "other_doc_id": "a"}
    span = {"utt_id": "a", "start": 0, "end": 12, "written": row["context"]}
    task = speech_task({"doc_id": "a", "text": "the lazy dog"}, span, 1, transcribe_share=1.0, words=9)
    taught = example(processor, task["parts"], end=True)
    states = states_of(["a"])
    (expected,) = losses(Subject(net, processor, states, "fp32"), [taught], "taught")
    assert transcript_loss(Subject(net, processor, states, "fp32"), [row]) == pytest.approx(mean([expected]), rel=1e-6)


def test_schedule_warms_up_and_ends_at_a_tenth():
    rates = [schedule(step, 100, 0.1) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == 1.0 and rates[100] == pytest.approx(0.1)


LORA = Lora(rank=8, alpha=8, targets="all-linear", dropout=0.0)


def make_phase(model, processor, steps, lm="full", lora=LORA):
    examples = Tokens.of(some_examples(processor))
    optimizer = Optimizer(adapter_lr=1e-3, encoder_lr=1e-3, lm_lr=1e-3, weight_decay=0.01, clip=1.0, warmup_share=0.1)
    trainable = Trainable(adapter=True, encoder=False, lm=lm, lora=lora)
    task = Packed(model, examples, Plan(examples.positions, steps, 60, seed=1), states_of([f"u{i}" for i in range(8)]), 100)
    return Phase(
        name="p",
        seed=1,
        steps=steps,
        parts=parts_of(model, trainable, optimizer),
        task=task,
        weight_decay=0.01,
        clip=1.0,
        warmup_share=0.1,
        precision="fp32",
        checkpoint_steps=4,
        keep_checkpoints=2,
    )


class Disturbed:
    """A task whose losses are changed by change(step, loss)."""

    def __init__(self, task, change):
        self.task, self.tokens, self.change = task, task.tokens, change

    def pieces(self, step, rank, world):
        return [(step, piece) for piece in self.task.pieces(step, rank, world)]

    def loss(self, piece):
        loss, positions = self.task.loss(piece[1])
        return self.change(piece[0], loss), positions


def test_a_resumed_run_equals_an_undisturbed_one(tiny_model, tmp_path, monkeypatch):
    """Stopped after step 6 (resume point at 4) and begun again in new objects: every later loss is bit-equal, and so is what was
    watched. Watching changes nothing."""
    processor = InserterProcessor.from_pretrained(tiny_model)
    monkeypatch.chdir(tmp_path)

    def run(key, stop=None, watch_steps=3):
        model = InserterForConditionalGeneration.from_pretrained(tiny_model)
        phase = make_phase(model, processor, 10)

        def change(step, loss):
            if step == stop:
                raise KeyboardInterrupt
            return loss

        def weight():
            return {"weight": model.eval().adapter.query.weight.sum().item()}

        phase = replace(phase, task=Disturbed(phase.task, change), watch_steps=watch_steps, watch=weight)
        return train(model, phase, WorkFolder("test", key))

    undisturbed = run("a")
    with pytest.raises(KeyboardInterrupt):
        run("b", stop=6)
    resumed = run("b")
    assert [row["step"] for row in resumed.curve] == list(range(10))
    assert resumed.curve == undisturbed.curve == run("c", watch_steps=0).curve
    assert [row["step"] for row in resumed.watched] == [0, 3, 6, 9] and resumed.watched == undisturbed.watched


def test_a_truncated_checkpoint_is_skipped_for_the_one_before(tiny_model, tmp_path, monkeypatch, capfd):
    processor = InserterProcessor.from_pretrained(tiny_model)
    monkeypatch.chdir(tmp_path)

    def run(key):
        model = InserterForConditionalGeneration.from_pretrained(tiny_model)
        work = WorkFolder("test", key)
        return train(model, make_phase(model, processor, 14), work).curve, work / "p-checkpoints"

    undisturbed, folder = run("a")
    assert [p.name for p in sorted(folder.iterdir())] == ["step-000008", "step-000012"], "the last two are kept"
    data = next((folder / "step-000012").glob("*.distcp"))
    data.write_bytes(data.read_bytes()[:-100])
    assert run("a")[0] == undisturbed
    said = capfd.readouterr()
    assert "step-000012 is incomplete and skipped" in said.err and "resuming at step 8" in said.out


def test_a_loss_that_is_not_finite_is_skipped_then_stops(tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, processor = InserterForConditionalGeneration.from_pretrained(tiny_model), InserterProcessor.from_pretrained(tiny_model)
    phase = make_phase(model, processor, 10)
    task = phase.task
    once = Disturbed(task, lambda step, loss: loss * (float("nan") if step == 2 else 1.0))
    outcome = train(model, replace(phase, task=once), WorkFolder("test", "nan"))
    assert outcome.skipped == 1 and [row["step"] for row in outcome.curve] == [0, 1, 3, 4, 5, 6, 7, 8, 9]
    always = Disturbed(task, lambda step, loss: loss * float("nan"))
    with pytest.raises(InserterError, match="Lower the learning rates"):
        train(model, replace(phase, task=always), WorkFolder("test", "nan2"))


def test_what_is_frozen_stays_and_lora_is_merged_away(tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, processor = InserterForConditionalGeneration.from_pretrained(tiny_model), InserterProcessor.from_pretrained(tiny_model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    train(model, make_phase(model, processor, 6, lm="lora"), WorkFolder("test", "lora"))
    merge_lora(model)
    after = model.state_dict()
    assert set(after) == set(before), "saved like any other model"
    assert all(torch.equal(after[n], v) for n, v in before.items() if n.startswith("encoder."))
    assert any(not torch.equal(after[n], v) for n, v in before.items() if n.startswith("language_model.model.layers"))


def test_lora_is_of_the_given_rank_at_the_given_layers_and_is_merged_exactly(tiny_model, tmp_path, monkeypatch):
    """A merged layer is the old one plus alpha / rank times the matrices' product; every other layer stays."""
    monkeypatch.chdir(tmp_path)
    model, processor = InserterForConditionalGeneration.from_pretrained(tiny_model), InserterProcessor.from_pretrained(tiny_model)
    before = {name: value.clone() for name, value in model.language_model.state_dict().items()}
    lora = Lora(rank=3, alpha=12, targets=["q_proj", "layers.0.mlp.up_proj"], dropout=0.1)
    train(model, make_phase(model, processor, 4, lm="lora", lora=lora), WorkFolder("test", "few"))
    matrices = {n: value for n, value in model.language_model.state_dict().items() if "lora_" in n}
    layers = model.config.text_config.num_hidden_layers
    assert len(matrices) == 2 * (layers + 1) and all(min(value.shape) == 3 for value in matrices.values())
    row = example(processor, [PART])
    model.eval()
    unmerged, _ = model.packed_losses(to_sequences(model, [row], {}))
    merge_lora(model)
    merged, _ = model.packed_losses(to_sequences(model, [row], {}))
    assert torch.allclose(unmerged, merged, atol=1e-5)
    after = model.language_model.state_dict()
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed == {name for name in after if "q_proj.weight" in name or "layers.0.mlp.up_proj.weight" in name}
    for name in changed:
        down, up = (matrices[f"base_model.model.{name.removesuffix('.weight')}.lora_{x}.default.weight"] for x in "AB")
        assert torch.allclose(after[name] - before[name], 12 / 3 * up @ down, atol=1e-6)


@pytest.mark.parametrize("target", ["q_prj", "proj", "lm_head", "self_attn"])
def test_a_target_of_lora_that_is_no_linear_layer_is_refused_in_one_line(model, target):
    """One that fits beside it does not hide it. The head is refused, which shares its weights with the embeddings."""
    lora = LORA.model_copy(update={"targets": ("q_proj", target)})
    with pytest.raises(InserterError, match=rf"'{target}' matches no linear layer of the LM.*all-linear or .*o_proj, q_proj") as e:
        make_phase(*model, 4, lm="lora", lora=lora)
    assert "\n" not in str(e.value)


def test_speech_that_is_heard_has_a_gradient_into_the_adapter(model):
    net, processor = model
    item = example(processor, [{"text": "a dog", "utt_id": "u0", "loss": False}, PART])
    losses, _ = net.packed_losses(to_sequences(net, [item], hear(net, places_of(net, [item]), states_of(["u0"]))))
    losses.sum().backward()
    assert net.adapter(*batch([states_of(["u0"])["u0"]], "cpu"), net.table)[0].shape[0] > 0
    assert net.adapter.query.weight.grad.abs().sum() > 0


def test_what_is_distilled_of_a_clip_is_how_the_same_text_is_read(model):
    """Where what is heard is as the text is read, nothing is left to learn; elsewhere something is. Text has its own loss."""
    net, processor = model
    processor.delimiters = "none"
    parts = [{"text": "a dog", "utt_id": "u0", "loss": False}, PART]
    spoken, read, text = example(processor, parts), example(processor, as_read(parts)), example(processor, [PART])
    assert [t for t in spoken.labels if t >= 0] == [t for t in read.labels if t >= 0], "the same tokens are learnt"
    task = Packed(net, Tokens.of([spoken, text]), [[0, 1]], states_of(["u0"]), 100, Tokens.of([read, text]), 1.0)
    (deaf, _), (alone, _) = task.loss([0]), task.loss([1])
    assert float(deaf) > 0 and float(task.loss([0, 1])[0]) == pytest.approx(float(deaf + alone), rel=1e-5)
    assert float(alone) == pytest.approx(float(Packed(net, Tokens.of([text]), [[0]], {}, 100).loss([0])[0]), rel=1e-6)
    as_text = net.table[torch.tensor(processor.encode("a dog"))]
    net.hear = lambda *_, **__: [as_text]
    assert float(task.loss([0])[0]) == pytest.approx(0.0, abs=1e-4)
    net.zero_grad()
    task.loss([0])[0].backward()
    assert all(p.grad is None or p.grad.abs().max() < 1e-4 for p in net.language_model.parameters())


def test_without_steps_the_model_is_unchanged_and_no_loss_is_reported(tiny_lm, tiny_encoder, tmp_path):
    """The paper's adapter is not warmed up, and 0 steps are no pre-training; the states go where INSERTER_STATES says."""
    folder = workspace(tmp_path / "w", tiny_lm, tiny_encoder, {"kind": "pooling"})
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["pretrain"]["steps"] = 0
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    for name in ("warmup", "pretrain"):
        finish(stage(name, folder, INSERTER_STATES=str(tmp_path / "states")), folder)
    warmup, report = (read_json(folder / f"reports/{name}.json") for name in ("warmup", "pretrain"))
    assert warmup["loss_last"] is report["loss_last"] is warmup["heldout_token_error"] is None
    assert report["text_nll"]["after"] == report["text_nll"]["before"] and report["text_nll"]["drift"] == 0.0
    start = load_file(folder / "data/warmup/adapter.safetensors")
    model = InserterForConditionalGeneration.from_pretrained(folder / "data/pretrain/model")
    assert all(torch.equal(value, start[name]) for name, value in model.adapter.state_dict().items())
    assert list((tmp_path / "states").glob("*/*.f16")) and not (folder / ".work/states").exists()


def test_an_adapter_of_other_parameters_is_refused_in_one_line(tiny_lm, tiny_encoder, tmp_path):
    folder = workspace(tmp_path / "w", tiny_lm, tiny_encoder, {"kind": "stacking"})
    finish(stage("warmup", folder), folder)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["warmup"]["adapter"]["stride"] += 1
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    assert stage("pretrain", folder).wait(300) == 1
    said = (folder / "log").read_text().splitlines()
    assert "data/warmup/adapter.safetensors is not the adapter of these parameters" in said[-1] and "dvc repro" in said[-1]


def test_work_of_older_code_is_never_resumed(tmp_path, monkeypatch):
    """The folder of half-done work belongs to the code as well: a changed file gives another one, and the old one goes."""
    monkeypatch.chdir(tmp_path)
    package = tmp_path / "somewhere"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "part.py").write_text("A = 1")

    def work() -> WorkFolder:
        return WorkFolder("stage", {}, deciding("somewhere", root=tmp_path))

    old = work()
    (package / "part.py").write_text('"""What it is."""\n\nA = 1  # one\n')
    assert work().root == old.root
    (package / "part.py").write_text("A = 2")
    new = work()
    assert new.root != old.root and new.root.exists() and not old.root.exists()
