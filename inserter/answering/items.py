"""Read the benchmark's items and their sound, and choose those that a model is asked."""

import io
from pathlib import Path
from typing import Literal

from inserter.audio.stored import read_clip_bytes
from inserter.errors import InserterError
from inserter.files import read_table
from inserter.tables import ITEMS, TASKS, Item

AskedForm = Literal["heard", "read"]
NAME = "items.parquet"
MAKE = "Run `inserter run benchmark`. For a copy of SpeechInstructBench, first set benchmark.path in params.yaml to it"


def load(folder: Path) -> list[Item]:
    """Return the items of a folder that the stage `benchmark` wrote.

    Raises InserterError for any other folder, and if pyarrow is not installed.
    """
    if not (folder / NAME).is_file():
        raise InserterError(f"{folder} has no {NAME}", MAKE)
    try:
        return read_table(folder / NAME, ITEMS)
    except ModuleNotFoundError as error:
        raise InserterError(f"{folder / NAME}: Parquet needs pyarrow", "Run `pip install 'inserter[answer]'`") from error


def choose(items: list[Item], task: str, limit: int | None = None) -> list[Item]:
    """Return the items of a task, or `limit` of them, in their order.

    The choice depends on the items' names alone. A larger limit chooses the same items and more.

    Raises InserterError if there is no such item.
    """
    from inserter.seeds import derive

    found = [item for item in items if item["task"] == task]
    if not found:
        there = [task for task in TASKS if any(item["task"] == task for item in items)]
        raise InserterError(f"the benchmark has no item of the task {task}", f"Choose from {', '.join(there) or 'nothing'}")
    if limit is None:
        return found
    drawn = sorted(found, key=lambda item: (derive(0, "answer", item["item_id"]), item["item_id"]))
    chosen = {item["item_id"] for item in drawn[:limit]}
    return [item for item in found if item["item_id"] in chosen]


def wav(folder: Path, item: Item) -> bytes:
    """Return the sound of a spoken item as a WAV file: 16 kHz, mono, 16 bits.

    Raises InserterError if the item's shard is absent or damaged.
    """
    import soundfile

    try:
        samples, rate = soundfile.read(io.BytesIO(read_clip_bytes(folder, item)), dtype="int16")
    except soundfile.LibsndfileError as error:
        raise InserterError(f"the clip of {item['item_id']} is damaged ({error})", MAKE) from error
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()
