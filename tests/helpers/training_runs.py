"""A small workspace for training, and its stages as processes."""

import os
from pathlib import Path

import numpy as np
import torch
import yaml
from checkout import ROOT
from torch.nn import functional as F
from warm import Warm

from inserter.audio.clips import flac, write_shard
from inserter.files import write_table
from inserter.params import load
from inserter.run.work import WorkFolder
from inserter.tables import HELDOUT, SEQUENCES, VERIFIED
from inserter.training.batches import packed_phase
from inserter.training.examples import as_read, example
from inserter.training.loop import train
from inserter.training.tokens import Tokens, tokenise
from models import InserterForConditionalGeneration, InserterProcessor

PART = {"text": "The quick brown fox", "utt_id": None, "loss": True}


def states_of(names):
    return {name: torch.from_numpy(np.random.default_rng(i).standard_normal((40, 32), np.float32)) for i, name in enumerate(names)}


def some_parts() -> list[list[dict]]:
    return [[{"text": "a dog", "utt_id": f"u{i}", "loss": False}, {**PART, "text": f" the fox {i} jumps"}] for i in range(8)]


def some_examples(processor):
    return [example(processor, parts) for parts in some_parts()]


def train_some(precision: str, model: Path, **changes: object) -> list[dict[str, float]]:
    """The curve of six steps in the current folder, by as many ranks as this process has: rows of text and of what is heard,
    in passes of some 30 positions, by distillation, with layers computed again."""
    processor = InserterProcessor.from_pretrained(model)
    net = InserterForConditionalGeneration.from_pretrained(model)
    parts = some_parts() + [[{**PART, "text": f"{PART['text']} {number}"}] for number in range(8)]
    examples = Tokens.of(example(processor, of) for of in parts)
    read = Tokens.of(example(processor, as_read(of)) for of in parts)
    small = {"steps": 6, "batch_positions": 120, "micro_positions": 30, "checkpoint_steps": 3, "gradient_checkpointing": "full"}
    settings = load(ROOT / "params.yaml").pretrain.model_copy(update={**small, "precision": precision, **changes})
    clips = {name: F.pad(states, (0, net.state_width - 32)) for name, states in states_of([f"u{i}" for i in range(8)]).items()}
    phase = packed_phase("some", settings, net, examples=examples, clips=clips, read=read, distill=0.5)
    return train(net, phase, WorkFolder("some", [precision, *changes])).curve


def workspace(folder: Path, lm: Path, encoder: Path, adapter: dict | None = None) -> Path:
    """Tables and clips as the stages before pre-training leave them, and parameters for a run of seconds."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["assets"].update(lm=str(lm), encoder=str(encoder))
    params["pretrain"].update(steps=40, batch_positions=150, precision="fp32", checkpoint_steps=3, gap_steps=40)
    params["pretrain"]["optimizer"].update(adapter_lr=2.0e-4, lm_lr=2.0e-5)  # of the golden curve, whatever the default's are
    params["model"]["delimiters"] = "tokens"  # as well
    params["warmup"].update(lr=1.0e-2, steps=30, batch_seconds=8, negatives=50, precision="fp32", checkpoint_steps=4)
    params["warmup"]["adapter"].update({"kind": "soft_token", "hidden_size": 32, **(adapter or {})})
    folder.mkdir(parents=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    names = [f"u{i}" for i in range(12)]
    waves = {n: np.random.default_rng(i).standard_normal(16_000).astype(np.float32) * 0.1 for i, n in enumerate(names)}
    index = write_shard(folder / "data/synthesize/shard-00000.tar", ((n, flac(w)) for n, w in waves.items()))
    clips = [
        {
            "utt_id": n,
            "doc_id": n,
            "split": "heldout" if i < 4 else "train",
            "language": "en",
            "written": "lazy dog",
            "spoken": "lazy dog",
            "engine": "e",
            "voice": "v",
            "shard": "shard-00000.tar",
            "offset": index[n][0],
            "size": index[n][1],
            "sample_rate": 16_000,
            "n_samples": 16_000,
            "duration": 1.0,
            "error": None,
            "heard": "",
            "wer": 0.0,
            "extra": 0.0,
            "ending": 0.0,
            "level_db": -20.0,
            "clipping": 0.0,
            "silence": 0.0,
            "pace": 8.0,
            "reason": None,
        }
        for i, n in enumerate(names)
    ]
    write_table(folder / "data/verify/clean.parquet", clips, VERIFIED)
    rows = [
        {
            "seq_id": n,
            "doc_id": n,
            "kind": "continue",
            "n_words": 6,
            "parts": [
                {"text": "lazy dog", "utt_id": n, "loss": False},
                {"text": " jumps over the fox", "utt_id": None, "loss": True},
            ],
        }
        for n in names[4:]
    ]
    write_sequences(folder, rows, lm, encoder)
    held = [
        {"doc_id": n, "utt_id": n, "context": f"lazy dog {i}", "continuation": " jumps over", "other_doc_id": names[(i + 1) % 4]}
        for i, n in enumerate(names[:4])
    ]
    write_table(folder / "data/interleave/heldout.parquet", held, HELDOUT)
    return folder


def write_sequences(folder: Path, rows: list[dict], lm: Path, encoder: Path) -> None:
    """The sequences and their tokens, as the stage `interleave` leaves them in the workspace `folder`."""
    write_table(folder / "data/interleave/sequences.parquet", rows, SEQUENCES)
    processor = InserterProcessor.from_parts(str(lm), str(encoder))
    for read, name in ((False, "tokens"), (True, "tokens-read")):
        tokenise(folder / "data/interleave/sequences.parquet", processor, folder / "data/interleave" / name, read=read)


def stage(name: str, folder: Path, **environment: str) -> Warm:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    return Warm(("-m", f"stages.{name}"), folder, environment, folder / "log")


def finish(process: Warm, folder: Path) -> None:
    assert process.wait(300) == 0, (folder / "log").read_text()[-3000:]
