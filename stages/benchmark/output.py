"""Publish the files of data/benchmark in one step and compute the metrics, for both sources."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from inserter.errors import InserterError
from inserter.files import write_jsonl, write_table
from inserter.prompts import INSTRUCTION_TYPES
from inserter.reports import BenchmarkReport
from inserter.run.work import WorkFolder
from inserter.tables import ITEMS, Item


def finish(
    work: WorkFolder,
    target: Path,
    prompts: list[dict[str, object]],
    *,
    rows: list[Item],
    quarantined: Sequence[Mapping[str, object]],
) -> BenchmarkReport:
    """Add the tables to the shards in `work/out`, publish the folder and return the metrics.

    In the metrics, read = items + quarantined. Raises InserterError if there is no item.
    target: the folder that is published. prompts: every prompt, used or not. rows: schema ITEMS.
    """
    reasons = Counter(str(row["reason"]) for row in quarantined)
    if not rows:
        why = ", ".join(f"{reason}: {count}" for reason, count in sorted(reasons.items()))
        raise InserterError(f"the benchmark has no usable item ({why or 'it is empty'})", "Check benchmark.path in params.yaml")
    write_jsonl(work / "out/prompts.jsonl", prompts)
    write_jsonl(work / "out/quarantine.jsonl", quarantined)
    write_table(work / "out/items.parquet", rows, ITEMS)
    work.publish("out", target)
    asked = Counter(kind for row in rows for kind in row["instruction_id_list"])
    return {
        "read": len(rows) + len(quarantined),
        "prompts": len(prompts),
        "items": dict(Counter(f"{row['task']}/{row['lang']}/{row['variant']}" for row in rows)),
        "instructions": sum(asked.values()),
        "instruction_types": {"asked": len(asked), "never": [kind for kind in INSTRUCTION_TYPES if kind not in asked]},
        "hours": sum(row["duration"] for row in rows) / 3600,
        "quarantined": {"total": len(quarantined), **dict(reasons)},
    }
