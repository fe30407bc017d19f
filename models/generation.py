"""Batched greedy answers to prompts that are heard, read or both."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from models.modeling import InserterForConditionalGeneration
from models.processor import InserterProcessor


@dataclass(frozen=True, eq=False)
class Prompt:
    """What the user says: `audio` (samples,) 16 kHz float32, `text`, or the one and then the other."""

    text: str | None = None
    audio: np.ndarray | None = None


def generate_answers(
    model: InserterForConditionalGeneration,
    processor: InserterProcessor,
    prompts: list[Prompt],
    max_new_tokens: int = 96,
    batch_size: int = 8,
    precision: str = "bf16",
    progress: Callable[[int], object] | None = None,
) -> list[str]:
    """One answer a prompt, in order. Prompts of like length share a batch; `progress` gets the size of each batch."""
    model.eval()
    order = sorted(range(len(prompts)), key=lambda i: _length(prompts[i]))
    answers = [""] * len(prompts)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        made = _answer(model, processor, [prompts[i] for i in batch], max_new_tokens, precision)
        for i, answer in zip(batch, made, strict=True):
            answers[i] = answer
        if progress:
            progress(len(batch))
    return answers


def _length(prompt: Prompt) -> float:
    """About the number of positions: 4 characters or 0.25 s make one."""
    seconds = 0.0 if prompt.audio is None else len(prompt.audio) / 16_000
    return len(prompt.text or "") / 4 + seconds * 4


def _answer(
    model: InserterForConditionalGeneration, processor: InserterProcessor, prompts: list[Prompt], tokens: int, precision: str
) -> list[str]:
    texts, audio = [], []
    for prompt in prompts:
        parts: list[str | None] = [] if prompt.audio is None else [None]
        if prompt.audio is not None:
            audio.append(prompt.audio)
        if prompt.text:
            parts.append(prompt.text)
        texts.append(processor.chat(parts))
    inputs = processor(texts, audio)
    on_device = {k: v.to(model.device) if isinstance(v, torch.Tensor) else v for k, v in inputs.items()}
    with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16"):
        ids = model.generate(
            **on_device, max_new_tokens=tokens, do_sample=False, pad_token_id=processor.tokenizer.pad_token_id
        )
    return [text.strip() for text in processor.tokenizer.batch_decode(ids, skip_special_tokens=True)]
