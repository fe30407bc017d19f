"""Part 2: how fast the device trains, encodes and answers, beside transformers' Trainer."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AttentionInterface

import models.attention
from flows.gpu_check.bundle import Bundle, Setup
from flows.gpu_check.equality import prompts_of
from flows.gpu_check.padded import padded_speed
from flows.gpu_check.report import Clock, Report
from inserter.tables import Clip
from inserter.training import states as encoding
from inserter.training.batches import packed_phase
from inserter.training.loop import rate
from inserter.training.models import Pair, for_answers
from models import InserterForConditionalGeneration
from models.attention import PACKED, packed_sdpa
from models.generation import Prompt, generate_answers

PART = "speed"
# Dense bf16 TFLOP/s by the vendors' data sheets. The first name in the device's counts.
PEAKS = {"B200": 2250, "H200": 989, "H100 PCIe": 756, "H100": 989, "A100": 312, "L40S": 362, "L40": 181, "L4": 121, "A10": 125,
         "4090": 165, "3090": 71}  # fmt: skip
MICRO = {"cuda": (16_384, 32_768, 65_536, 131_072), "cpu": (512, 1_024)}
ROWS = {"cuda": (8, 32, 64), "cpu": (8,)}
ANSWERS = {"cuda": 96, "cpu": 6}
ALONE = {"cuda": 8, "cpu": 2}
TOKENS = {"cuda": 64, "cpu": 8}
PRODUCT = {"cuda": 8_192, "cpu": 512}


def speed(bundle: Bundle, report: Report, clock: Clock, *, until: float) -> None:
    """Measure; a figure is left out when fewer than `until` seconds are left of all."""
    pair = bundle.model()
    model, _ = pair
    kind = model.device.type
    on = Setup(model, bundle.examples(bundle.arms[1], pair), bundle.states(pair), bundle.settings)
    best = 0.0

    def figure(name: str, of: Callable[[], object]) -> object:
        if clock.left < until:
            report.add(PART, name, {"not measured": "no time was left"})
            return None
        return report.measure(PART, name, of)

    report.add(PART, "device", torch.cuda.get_device_name() if kind == "cuda" else "CPU")
    peaks = figure("peak, TFLOP/s in bf16", lambda: {"by its name": named_peak(kind), "matrix product": product(model.device)})
    flop = figure("FLOP per position", lambda: flop_a_position(on))
    for micro in MICRO[kind]:
        found = figure(
            f"packed, {micro:,} positions a step",
            partial(packed, on, micro=micro, flop=flop, peaks=peaks),
        )
        if isinstance(found, dict) and found["positions per second"] > best:
            best, chosen = found["positions per second"], micro
    if best:
        name = f"packed and compiled, {chosen:,} positions a step"

        def compiled() -> object:
            with compiled_layers(model):
                packed(on, micro=chosen, flop=flop, peaks=peaks)  # compiles anew as rows differ
                return packed(on, micro=chosen, flop=flop, peaks=peaks)

        found = figure(name, compiled)
        best = max(best, found["positions per second"]) if isinstance(found, dict) else best
    for rows in ROWS[kind]:

        def side(rows: int = rows) -> object:
            with peak_memory(model) as memory:
                speed = padded_speed(on, rows)
            return {"positions per second": speed, "best packed, times as fast": best / speed, **memory}

        figure(f"transformers' Trainer, padded batches of {rows}", side)
    figure("encoder, times real time", lambda: encoder(bundle, pair))
    figure("answers per second", lambda: answers(bundle, pair))


def named_peak(kind: str) -> float | None:
    name = torch.cuda.get_device_name() if kind == "cuda" else ""
    return next((float(peak) for part, peak in PEAKS.items() if part in name), None)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def product(device: torch.device) -> float:
    """Return TFLOP/s of a large product in bf16."""
    n = PRODUCT[device.type]
    a, b = (torch.randn(n, n, device=device, dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        a @ b
    _wait(device)
    start = time.perf_counter()
    for _ in range(10):
        a @ b
    _wait(device)
    return 10 * 2 * n**3 / (time.perf_counter() - start) / 1e12


@contextmanager
def peak_memory(model: InserterForConditionalGeneration) -> Iterator[dict[str, float]]:
    """Fill in the peak of the block in GiB, on a GPU."""
    found: dict[str, float] = {}
    gc.collect()
    if model.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    yield found
    if model.device.type == "cuda":
        found["peak memory, GiB"] = torch.cuda.max_memory_allocated() / 2**30


def flop_a_position(on: Setup) -> float:
    """Count the FLOP of one forward and backward pass, attention included, per position.

    The counter does not know the kernel for packed rows, so each sequence has its own one here.
    """
    model, tokens, states, settings = on
    settings = settings.model_copy(update={"batch_positions": 2_048, "micro_positions": 2_048, "steps": 1})
    task = packed_phase("flop", settings, model, examples=tokens, clips=states).task
    half, models.attention.HALF = models.attention.HALF, ()  # type: ignore[assignment]
    try:
        with FlopCounterMode(display=False) as counter:
            with torch.autocast(model.device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
                loss, positions = task.loss(task.pieces(0, 0, 1)[0])
            loss.backward()
    finally:
        models.attention.HALF = half
        model.zero_grad()
    return counter.get_total_flops() / positions


def packed(on: Setup, *, micro: int, flop: object, peaks: object) -> dict[str, float]:
    """Measure whole steps: forward, backward, clipping and fused AdamW at a rate of 0."""
    model, tokens, states, settings = on
    settings = settings.model_copy(update={"batch_positions": micro, "micro_positions": micro, "steps": 100})
    with peak_memory(model) as memory:
        found = rate(model, packed_phase("speed", settings, model, examples=tokens, clips=states)).positions_a_second
    row = {"positions per second": found}
    if isinstance(flop, float) and isinstance(peaks, dict):
        row |= {f"of peak, {name}": found * flop / (1e12 * peak) for name, peak in peaks.items() if peak}
    return row | memory


@contextmanager
def compiled_layers(model: InserterForConditionalGeneration) -> Iterator[None]:
    """Compile the LM's layers. Attention stays as it is, for its sequences differ in every row."""
    layers = model.language_model.get_decoder().layers
    AttentionInterface.register(PACKED, torch.compiler.disable(packed_sdpa))
    for layer in layers:
        layer.compile(dynamic=True)
    try:
        yield
    finally:
        AttentionInterface.register(PACKED, packed_sdpa)
        for layer in layers:
            layer._compiled_call_impl = None


def encoder(bundle: Bundle, pair: Pair) -> dict[str, float]:
    """Measure clips read, made features of and encoded, and the encoder alone on 30 s windows."""
    model, processor = pair
    rows: list[Clip] = sorted(bundle.clips.values(), key=lambda row: row["duration"])
    groups = encoding._by_seconds(rows)[-3:]
    precision = bundle.settings.precision
    waves = [[encoding.read_clip(bundle.clips.shards, row) for row in group] for group in groups]
    encoding._encoded(model, processor, waves[0], precision=precision)
    _wait(model.device)
    start = time.perf_counter()
    for group in groups:
        encoding._encoded(model, processor, [encoding.read_clip(bundle.clips.shards, row) for row in group], precision=precision)
    _wait(model.device)
    whole = sum(row["duration"] for group in groups for row in group) / (time.perf_counter() - start)
    count = 64 if model.device.type == "cuda" else 1
    window = processor.features([np.zeros(30 * 16_000, np.float32) for _ in range(count)])
    features, lengths = window["input_features"].to(model.device), window["feature_lengths"].to(model.device)
    with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16"):
        model.encode(features, lengths)
        _wait(model.device)
        start = time.perf_counter()
        model.encode(features, lengths)
        _wait(model.device)
    return {"from files": whole, "encoder alone": 30 * len(lengths) / (time.perf_counter() - start)}


def answers(bundle: Bundle, pair: Pair) -> dict[str, float]:
    """Measure answers in batches, one by one, and one by one in transformers' own loop."""
    model, processor = pair
    kind, precision = model.device.type, bundle.settings.precision
    for_answers(model, precision)
    prompts, tokens = prompts_of(bundle, ANSWERS[kind]), TOKENS[kind]

    def timed(some: list[Prompt], size: int) -> float:
        generate_answers(model, processor, some[:2], max_new_tokens=2, batch_size=size, precision=precision)
        _wait(model.device)
        start = time.perf_counter()
        generate_answers(model, processor, some, max_new_tokens=tokens, batch_size=size, precision=precision)
        _wait(model.device)
        return len(some) / (time.perf_counter() - start)

    def loop(some: list[Prompt]) -> float:
        start = time.perf_counter()
        for prompt in some:
            audio = None if prompt.audio is None else [prompt.audio]
            inputs = processor([processor.chat([prompt.text if audio is None else None])], audio, None)
            given = {key: value.to(model.device) if isinstance(value, torch.Tensor) else value for key, value in inputs.items()}
            with torch.no_grad(), torch.autocast(kind, torch.bfloat16, enabled=precision == "bf16"):
                pad = processor.tokenizer.pad_token_id
                model.generate(**given, do_sample=False, max_new_tokens=tokens, pad_token_id=pad, custom_generate=None)
        _wait(model.device)
        return len(some) / (time.perf_counter() - start)

    few = prompts[:: max(1, len(prompts) // ALONE[kind])][: ALONE[kind]]
    found = {"in batches": timed(prompts, len(prompts)), "one by one": timed(few, 1), "transformers' loop, one by one": loop(few)}
    return found | {"batches, times as fast as transformers' loop": found["in batches"] / found["transformers' loop, one by one"]}
