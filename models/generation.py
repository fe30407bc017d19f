"""Batched answers to prompts that are heard, read or both."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from models.decoding import Watch
from models.modeling import InserterForConditionalGeneration
from models.precision import in_bf16
from models.processor import InserterProcessor
from models.room import TooLong
from models.sound import SAMPLE_RATE

COLDEST = 1e-6  # logits over a smaller temperature may be infinite, and the largest wins anyway


@dataclass(frozen=True, eq=False)
class Prompt:
    """What the user says: speech, text, or speech and then text."""

    text: str | None = None
    audio: np.ndarray | None = None
    """(samples,) 16 kHz float32."""
    states: torch.Tensor | None = None
    """(frames, width) the encoder's states of the audio, in place of `audio`, if already known."""

    @property
    def heard(self) -> bool:
        return self.audio is not None or self.states is not None


def generate_answers(
    model: InserterForConditionalGeneration,
    processor: InserterProcessor,
    prompts: list[Prompt],
    *,
    max_new_tokens: int = 96,
    batch_size: int = 8,
    precision: str = "auto",
    progress: Callable[[int], object] | None = None,
    temperature: float = 0.0,
    seed: int = 0,
    refused: dict[int, str] | None = None,
) -> list[str]:
    """Return one answer per prompt, in order. Prompts of similar length share a batch.

    batch_size: prompts per batch.
    precision: bf16, fp32, or auto: what the model's device is known to multiply faster.
    progress: called with the size of each batch that is done.
    temperature: 0 decodes greedily. Above 0, answers are drawn. The same batches with the same seed
        give the same answers.
    refused: receives, by index of the prompt, why a prompt is too long for the model. The answer to
        such a prompt is "". Without `refused`, such a prompt raises TooLong.
    """
    model.eval()
    bf16 = in_bf16(precision, model.device)
    order = sorted(range(len(prompts)), key=lambda i: _length(prompts[i]))
    answers = [""] * len(prompts)

    def ask(batch: list[int], seed: int) -> None:
        with torch.random.fork_rng([model.device] if model.device.type == "cuda" else []):
            torch.manual_seed(seed)
            made = _answer(model, processor, [prompts[i] for i in batch], tokens=max_new_tokens, bf16=bf16, temperature=temperature)
        for i, answer in zip(batch, made, strict=True):
            answers[i] = answer

    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        try:
            ask(batch, seed + start)
        except TooLong as error:
            told = {batch[row]: why for row, why in error.rows.items()}
            if refused is None:
                raise TooLong({i: f"{_about(prompts[i])}: {why}" for i, why in told.items()}) from error
            refused |= told
            if rest := [i for i in batch if i not in told]:
                ask(rest, seed + start)
        if progress:
            progress(len(batch))
    return answers


def _length(prompt: Prompt) -> float:
    """Estimate the number of positions: 4 characters, 0.25 s or 12.5 encoder frames make one."""
    sound = 0.0 if prompt.audio is None else len(prompt.audio) / 4_000
    return len(prompt.text or "") / 4 + (sound if prompt.states is None else len(prompt.states) / 12.5)


def _about(prompt: Prompt) -> str:
    """Describe a prompt by the size of its sound and its first 40 characters."""
    heard = [] if prompt.audio is None else [f"{len(prompt.audio) / SAMPLE_RATE:,.1f} s of sound"]
    heard = heard if prompt.states is None else [f"{len(prompt.states):,} states of sound"]
    return " and ".join([*heard, *([repr(prompt.text[:40])] if prompt.text else [])])


def _answer(
    model: InserterForConditionalGeneration,
    processor: InserterProcessor,
    prompts: list[Prompt],
    *,
    tokens: int,
    bf16: bool,
    temperature: float,
) -> list[str]:
    ids = continue_chats(
        model,
        processor,
        [processor.chat([*([None] if p.heard else []), *([p.text] if p.text else [])]) for p in prompts],
        audio=[p.audio for p in prompts if p.audio is not None],
        states=[p.states for p in prompts if p.states is not None],
        tokens=[tokens] * len(prompts),
        bf16=bf16,
        temperature=temperature,
    )
    return [text.strip() for text in processor.tokenizer.batch_decode(ids, skip_special_tokens=True)]


def continue_chats(
    model: InserterForConditionalGeneration,
    processor: InserterProcessor,
    chats: list[list[int]],
    *,
    audio: list[np.ndarray],
    tokens: list[int],
    bf16: bool,
    states: list[torch.Tensor] | None = None,
    temperature: float = 0.0,
    watch: Watch | None = None,
) -> torch.Tensor:
    """Return the ids (chats, n) that continue chats, padded at the right.

    chats: ids with one placeholder per clip, as `processor.chat` returns them.
    audio: the clips of all chats in order, (samples,) 16 kHz float32 each.
    states: in place of `audio`, the encoder's states of each clip (frames, width).
    tokens: the most tokens that each chat needs room for. Without `watch`, all chats get the
        greatest of them.
    watch: sees each token when it is drawn, and may end a row (see `models.decoding.Watch`).

    Raises TooLong for chats that have no room in the model together with their answers.
    """
    inputs = processor(chats, audio or None, states or None)
    on_device: dict[str, Any] = {k: v.to(model.device) if isinstance(v, torch.Tensor) else v for k, v in inputs.items()}
    with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
        how = {"do_sample": True, "temperature": temperature} if temperature > COLDEST else {"do_sample": False}
        pad = processor.tokenizer.pad_token_id
        ids = model.generate(**on_device, **how, max_new_tokens=max(tokens), row_tokens=tokens, pad_token_id=pad, watch=watch)
    return ids[:, inputs["input_ids"].shape[1] :]
