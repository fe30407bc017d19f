"""Transcribe clips with the recogniser: the first half of `cascade` and `asr_lm`.

The recogniser is the model's own if its adapter is `decoder`, else `assets.asr`.
"""

from collections.abc import Iterable
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from inserter.paths import DATA
from inserter.run.executor import ordered_map
from inserter.run.work import WorkFolder
from inserter.tables import ISO_639
from inserter.training.processes import main_first, rank
from inserter.verification.asr import BATCH
from models import InserterForConditionalGeneration, InserterProcessor
from models.ear import split_rows
from stages.evaluate.recogniser import Clip, ClipTask, transcribe_clips


def hears_words(model: InserterForConditionalGeneration) -> bool:
    """Return whether the model has a recogniser of its own.

    Then no other recogniser takes part in its cascade.
    """
    return model.config.adapter == "decoder"


def own_words(processor: InserterProcessor, rows: Tensor) -> str:
    """Return what the model's own recogniser wrote.

    rows: a clip as `models.ear.as_rows` returns it.
    """
    return str(processor.tokenizer.decode(split_rows(rows)[1].tolist())).strip()


def transcripts(
    items: Iterable[Clip],
    asr: Path,
    work: WorkFolder,
    *,
    shards: Path = DATA / "benchmark",
    name: str = "transcripts",
    workers: int = 0,
) -> dict[str, str]:
    """Return {item_id: text} of the items that are spoken.

    shards: the folder of the items' clips.
    Each clip is heard by itself. Finished batches are kept in the work folder's `name`, and not
    heard again. Rank 0 hears, with all workers; the other ranks read what it wrote.
    """
    ordered = sorted((item for item in items if item["shard"]), key=lambda item: (item["lang"], item["item_id"]))
    tasks = []
    for lang in sorted({item["lang"] for item in ordered}):
        mine = [item for item in ordered if item["lang"] == lang]
        for start in range(0, len(mine), 4 * BATCH):
            path = work / name / f"{lang}-{start:06d}.json"
            tasks.append(ClipTask(path, mine[start : start + 4 * BATCH], asr, ISO_639.get(lang, lang), shards))
    texts: dict[str, str] = {}
    with main_first(), tqdm(total=len(ordered), desc=name, unit="clip", disable=rank() > 0) as bar:
        for found in ordered_map(transcribe_clips, tasks, workers if rank() == 0 else 1):
            texts |= found
            bar.update(len(found))
    return texts
