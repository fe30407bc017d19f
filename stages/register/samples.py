"""Log a few benchmark clips with their answers, to be played in MLflow's interface."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from inserter import seeds
from inserter.audio.clips import read_clip_bytes
from inserter.files import read_jsonl, read_table
from inserter.tables import ITEMS, Item
from stages.register.inputs import BENCHMARK, RESPONSES_FILE

if TYPE_CHECKING:
    from mlflow import MlflowClient


def choose(items: list[Item], count: int, seed: int) -> list[Item]:
    """Return `count` items that have audio, from as many variants as possible.

    The order of `items` does not change the choice.
    """
    drawn = sorted((row for row in items if row["shard"]), key=lambda row: seeds.derive(seed, row["item_id"]))
    by_variant: dict[str, list[Item]] = {}
    for row in drawn:
        by_variant.setdefault(row["variant"], []).append(row)
    ranked = sorted((place, v, row["item_id"]) for v, rows in by_variant.items() for place, row in enumerate(rows))
    chosen = {item_id for _, _, item_id in ranked[:count]}
    return sorted((row for row in drawn if row["item_id"] in chosen), key=lambda row: row["item_id"])


def log_samples(client: "MlflowClient", run_id: str, count: int, *, seed: int, root: Path = Path()) -> None:
    """Log audio/ITEM.flac, and a table audio.json of the items with their text and the answer.

    root: the folder of dvc.yaml.
    """
    if not count:
        return
    heard = {r["item_id"]: r["response"] for r in read_jsonl(root / RESPONSES_FILE) if r["form"] == "heard"}
    items = read_table(root / BENCHMARK / "items.parquet", ITEMS)
    rows = choose([row for row in items if row["item_id"] in heard], count, seed)
    if not rows:
        return
    table: dict[str, list[object]] = {name: [] for name in ("item_id", "variant", "voice", "file", "prompt", "answer")}
    with tempfile.TemporaryDirectory() as folder:
        for row in rows:
            name = "".join(c if c.isalnum() or c in "-_." else "_" for c in row["item_id"]) + ".flac"
            (Path(folder) / name).write_bytes(read_clip_bytes(root / BENCHMARK, row))
            client.log_artifact(run_id, str(Path(folder) / name), "audio")
            shown = row | {"file": f"audio/{name}", "answer": heard[row["item_id"]]}
            for column, values in table.items():
                values.append(shown[column])
    client.log_table(run_id, table, "audio.json")
