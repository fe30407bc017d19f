"""Write the benchmark's items as a folder that the library `datasets` loads.

The folder has a Parquet file with a row per item, sound included, and a card. Files of sound beside
a table (`audiofolder`) would be simpler, but `datasets` 5.2 loads them only where FFmpeg is.
"""

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from inserter.answering.items import load
from inserter.audio.stored import read_clip_bytes
from inserter.errors import InserterError, refused
from inserter.files import publish
from inserter.page.audio import audio_name
from inserter.tables import ISO_639, ITEMS, Item

CARD = """\
---
configs:
- config_name: default
  data_files:
  - split: test
    path: {file}
license: {license}
language: [{languages}]
task_categories: [audio-text-to-text]
pretty_name: Spoken instructions in the style of SpeechInstructBench
---

# Spoken instructions in the style of SpeechInstructBench

```python
from datasets import load_dataset

items = load_dataset("{name}", split="test")
```

{count} items, {spoken} of them spoken ({hours:.2f} h of FLAC, 16 kHz, mono). An item without sound has null
under `audio`: it is only read.

| task | language | variant | items |
|---|---|---|---|
{table}

| column | meaning |
|---|---|
| `audio` | the spoken instruction; without FFmpeg, `cast_column("audio", Audio(decode=False))` gives its bytes |
| `item_id`, `key` | the item's name, and that of the item in all its variants |
| `task` | closed (code checks the answer), open (a judge answers questions about it), adjustment (corrected in mid-speech) |
| `lang`, `variant`, `voice` | language, manner of speaking, and who speaks |
| `prompt`, `clean_prompt` | the words that are spoken, and the same without disfluencies |
| `instruction_id_list`, `kwargs` | IFEval's checks and, as JSON, their arguments |
| `questions` | what a judge is asked about an answer |
| `duration` | seconds |
| `notes` | the variant's parameters, as JSON |

An answer belongs into a copy of its row, under `response`: `inserter score` and `inserter judge` read such records.

## Licences

{source}

| voice | items | licence |
|---|---|---|
{voices}
"""
FILE, CARD_NAME = Path("data/test-00000-of-00001.parquet"), "README.md"
PLACE = ("shard", "offset", "size")  # where the clip is in data/benchmark
ROWS = 64  # items of a row group
SAMPLE_RATE = 16_000
OURS = "The prompts are Apache-2.0, as the code that generated them. The clips are synthetic."
THEIRS = "These items are a copy of SpeechInstructBench: its own licence holds."
REAL = "SpeechInstructBench"  # the voice of its items, as the stage `benchmark` names it
NOT_STATED = "not stated"


def write(items: Path, out: Path, licences: Mapping[str, str]) -> dict[str, int]:
    """Write the items of the folder `items` to the folder `out`, and return counts.

    licences: by the name of the voice.

    Raises InserterError if `out` holds anything but such a folder, or cannot be written.
    """
    rows = load(items)
    final = out.resolve()  # a link to a folder stays a link
    staged = final.with_name(f".{final.name}.new")
    try:
        if final.exists() and (not final.is_dir() or {path.name for path in final.iterdir()} - {FILE.parts[0], CARD_NAME}):
            raise InserterError(f"{out} has other files", "Give a new folder")
        shutil.rmtree(staged, ignore_errors=True)
        (staged / FILE).parent.mkdir(parents=True)
        _write_rows(rows, items, staged / FILE)
        (staged / CARD_NAME).write_text(card(rows, out.name or final.name, licences), encoding="utf-8")
        publish(staged, final)
    except OSError as error:
        raise refused(error) or InserterError(f"cannot write {out}: {error.strerror}", "Give a new folder") from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return {"items": len(rows), "audio": sum(item["shard"] is not None for item in rows)}


def _write_rows(rows: Sequence[Item], items: Path, path: Path) -> None:
    """Write a row group per ROWS items, so that memory stays flat."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [field for field in ITEMS.schema if field.name not in PLACE]
    audio = pa.field("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    kinds = {"string": {"dtype": "string", "_type": "Value"}, "double": {"dtype": "float64", "_type": "Value"}}
    features: dict[str, object] = {"audio": {"sampling_rate": SAMPLE_RATE, "_type": "Audio"}}
    for field in columns:
        features[field.name] = kinds.get(str(field.type), {"feature": kinds["string"], "_type": "List"})
    note = {"huggingface": json.dumps({"info": {"features": features}})}
    schema = pa.schema([audio, *columns], metadata=note)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, len(rows), ROWS):
            batch = [_row(item, items) for item in rows[start : start + ROWS]]
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))


def card(rows: Sequence[Item], name: str, licences: Mapping[str, str]) -> str:
    """Return README.md of the folder: what is in it, and its licences."""
    ours = all(item["voice"] != REAL for item in rows)
    spoken = [item for item in rows if item["shard"]]
    places = Counter((item["task"], item["lang"], item["variant"]) for item in rows)
    voices = Counter(item["voice"] or "of the source" for item in spoken)
    stated = ((voice, count, licences.get(voice, NOT_STATED)) for voice, count in sorted(voices.items()))
    return CARD.format(
        license="apache-2.0" if ours else "other",
        languages=", ".join(sorted({ISO_639.get(item["lang"], item["lang"]) for item in rows})),
        name=name,
        file=FILE,
        count=f"{len(rows):,}",
        spoken=f"{len(spoken):,}",
        hours=sum(item["duration"] for item in spoken) / 3600,
        table="\n".join(_lines((*place, count) for place, count in places.items())),
        source=OURS if ours else THEIRS,
        voices="\n".join(_lines(stated)),
    )


def _lines(rows: Iterable[tuple[object, ...]]) -> Iterator[str]:
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"


def _row(item: Item, items: Path) -> dict[str, object]:
    sound = {"bytes": read_clip_bytes(items, item), "path": audio_name(item["item_id"])} if item["shard"] else None
    return {"audio": sound, **{name: value for name, value in item.items() if name not in PLACE}}
