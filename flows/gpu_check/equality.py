"""Part 1: the device computes what is expected, however sequences are laid out and runs are cut."""

import base64
import copy
import statistics
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from flows.gpu_check.bundle import Bundle
from flows.gpu_check.padded import padded_batch
from flows.gpu_check.report import Report
from inserter.audio.clips import read_clip, read_clip_bytes
from inserter.run.work import WorkFolder
from inserter.training.batches import hear, packed_phase, places_of, to_sequences
from inserter.training.examples import Example
from inserter.training.loop import train
from inserter.training.models import Pair
from inserter.training.states import States
from models import InserterForConditionalGeneration
from models.attention import packed_sdpa
from models.generation import Prompt, generate_answers
from models.served import read_record

PART = "equality"
EXAMPLES = 8
STEPS, STOPPED, CHECKPOINT = 8, 5, 3
TOKENS = 24  # of an answer
# Largest relative differences of the summed loss and of the gradient's vector. bf16 has 8 bits.
TOLERANCES = {"fp32": (1e-4, 1e-3), "bf16": (1e-2, 1e-1)}
Gradients = dict[str, Tensor]


def equality(bundle: Bundle, report: Report) -> None:
    pair = bundle.model()
    model, _ = pair
    tokens = bundle.examples(bundle.arms[1], pair)
    chosen = [i for i in range(len(tokens)) if tokens.clips_of(i)][:EXAMPLES]
    examples = [tokens[i] for i in chosen]
    report.add(PART, "tolerances", {name: {"loss": loss, "gradient": gradient} for name, (loss, gradient) in TOLERANCES.items()})
    for precision in TOLERANCES:
        states = bundle.states(pair, {clip for item in examples for clip in item.clips}, precision)
        report.measure(PART, f"layouts, {precision}", partial(layouts, model, examples, states, precision=precision))
    report.measure(PART, "varlen kernel and one kernel per sequence", lambda: kernels(model.device))
    report.measure(PART, "stopped and resumed", lambda: resumed(bundle))
    report.measure(PART, "answers on the device and on the CPU", lambda: answers(bundle, pair))
    report.measure(PART, "served answers", lambda: served(bundle, pair))


def layouts(
    model: InserterForConditionalGeneration, examples: list[Example], states: States, *, precision: str
) -> dict[str, object]:
    """Compare one packed row with a padded batch, and with each example alone."""
    model.requires_grad_(True)
    model.encoder.requires_grad_(False)
    count = sum(item.learnt for item in examples)

    def packed(some: list[Example]) -> Tensor:
        heard = hear(model, places_of(model, some), states)
        return model.packed_losses(to_sequences(model, some, heard))[0].sum()

    def padded() -> Tensor:
        return model(**padded_batch(model, examples, states)).loss * count

    whole = _gradients(model, [lambda: packed(examples)], precision)
    alone = _gradients(model, [partial(packed, [item]) for item in examples], precision)
    side = _gradients(model, [padded], precision)
    return {"examples": len(examples), "alone": _compared(alone, whole, precision), "padded": _compared(side, whole, precision)}


def _gradients(
    model: InserterForConditionalGeneration, passes: list[Callable[[], Tensor]], precision: str
) -> tuple[float, Gradients]:
    """Return the loss and the gradients, summed over `passes`."""
    model.zero_grad()
    total = 0.0
    for loss_of in passes:
        with torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16"):
            loss = loss_of()
        loss.backward()
        total += float(loss.detach())
    found = {name: q.grad.clone() for name, q in model.named_parameters() if q.grad is not None}
    model.zero_grad()
    return total, found


def _compared(one: tuple[float, Gradients], other: tuple[float, Gradients], precision: str) -> dict[str, object]:
    apart = sum(float((one[1][name] - gradient).double().square().sum()) for name, gradient in other[1].items()) ** 0.5
    length = sum(float(gradient.double().square().sum()) for gradient in other[1].values()) ** 0.5
    loss, gradient = abs(one[0] - other[0]) / abs(other[0]), apart / length
    most = TOLERANCES[precision]
    return {"loss": loss, "gradient": gradient, "within": loss <= most[0] and gradient <= most[1]}


def kernels(device: torch.device) -> Mapping[str, object]:
    """Compare attention by one kernel for all sequences with one kernel per sequence."""
    if device.type != "cuda":
        return {"not measured": "the kernel needs a GPU"}
    lengths = [5, 130, 1, 700, 64]
    ends = torch.tensor(np.concatenate([[0], np.cumsum(lengths)]), dtype=torch.int32, device=device)
    torch.manual_seed(0)
    given = [
        torch.randn(1, heads, sum(lengths), 64, device=device, dtype=torch.bfloat16, requires_grad=True) for heads in (9, 3, 3)
    ]
    module = torch.nn.Module()
    module.num_key_value_groups, module.is_causal = 3, True  # type: ignore[assignment]
    results, (query, key, value) = [], given
    for where in (ends, None):
        out, _ = packed_sdpa(module, query, key, value, None, lengths=lengths, ends=where)
        gradients = torch.autograd.grad(out.float().square().sum(), given)
        results.append([out, *gradients])
    apart = {
        name: float((a - b).float().norm() / b.float().norm())
        for name, a, b in zip(("output", "query", "key", "value"), *results, strict=True)
    }
    return {**apart, "within": max(apart.values()) <= TOLERANCES["bf16"][0]}


class _Stopped(Exception):
    pass


def resumed(bundle: Bundle) -> dict[str, object]:
    """Compare the curve of a run that stops and resumes with that of an undisturbed one."""

    def run(work: WorkFolder, stop: bool) -> list[dict[str, float]]:
        pair = bundle.model()
        tokens = bundle.examples(bundle.arms[1], pair)
        longest = int(tokens.positions.max())
        small = {"steps": STEPS, "batch_positions": 2 * longest, "micro_positions": longest, "checkpoint_steps": CHECKPOINT}
        settings = bundle.settings.model_copy(update=small)
        phase = packed_phase("resume", settings, pair[0], examples=tokens, clips=bundle.states(pair))
        calls = []

        def watch() -> dict[str, object]:
            calls.append(1)
            if len(calls) > STOPPED:
                raise _Stopped
            return {}

        return train(pair[0], replace(phase, watch_steps=1, watch=watch) if stop else phase, work).curve

    whole = run(WorkFolder("gpu-check-whole", {}), False)
    work = WorkFolder("gpu-check-stopped", {})
    try:
        run(work, True)
    except _Stopped:
        again = run(work, False)
    apart = max(abs(a["loss"] - b["loss"]) / b["loss"] for a, b in zip(again, whole, strict=True))
    most = TOLERANCES[bundle.settings.precision][0]
    return {"steps": STEPS, "stopped at": STOPPED, "loss": apart, "bit for bit": again == whole, "within": apart <= most}


def answers(bundle: Bundle, pair: Pair) -> dict[str, object]:
    """Compare greedy answers of the device with those of the CPU in fp32."""
    model, processor = pair
    prompts = prompts_of(bundle, 6)
    ask = partial(generate_answers, processor=processor, prompts=prompts, max_new_tokens=TOKENS, batch_size=len(prompts))
    host = copy.deepcopy(model)
    host.to(torch.device("cpu"))  # type: ignore[arg-type]  # transformers hides torch's overloads
    expected = ask(host, precision="fp32")
    found = {}
    for precision in TOLERANCES:
        made = ask(model, precision=precision)
        shares = [_agreement(processor.encode(a), processor.encode(b)) for a, b in zip(made, expected, strict=True)]
        found[precision] = {"answers equal": statistics.mean(a == b for a, b in zip(made, expected, strict=True))}
        found[precision]["tokens equal from the first"] = statistics.mean(shares)
    return {"prompts": len(prompts), **found}


def _agreement(one: list[int], other: list[int]) -> float:
    """Return the share of the longer one's tokens before the first difference."""
    first = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return first / max(len(one), len(other)) if one != other else 1.0


def prompts_of(bundle: Bundle, count: int) -> list[Prompt]:
    """Return prompts of which every other one is heard, the others read."""
    rows = [row for row in bundle.heldout if row["utt_id"]] * count
    folder = bundle.folder / "shards"
    heard = [Prompt(audio=read_clip(folder, bundle.clips[row["utt_id"] or ""])) for row in rows[: (count + 1) // 2]]
    read = [Prompt(text=row["context"]) for row in rows[: count // 2]]
    return [*heard, *read]


def served(bundle: Bundle, pair: Pair) -> dict[str, object]:
    """Compare the answer to a record as a server receives it with that to the clip."""
    name = next(row["utt_id"] for row in bundle.heldout if row["utt_id"])
    row, folder = bundle.clips[name], bundle.folder / "shards"
    record: dict[object, object] = {"audio": base64.b64encode(read_clip_bytes(folder, row)).decode(), "text": "What is said?"}
    question = read_record(record)
    clip = read_clip(folder, row)
    direct, through = (
        generate_answers(*pair, [Prompt(text="What is said?", audio=audio)], max_new_tokens=TOKENS, precision="fp32")
        for audio in (clip, question.audio)
    )
    return {"equal": direct == through, "without MLflow": True}
