"""Rules of the gate after `benchmark`.

Tasks are complete, every instruction type is asked for, spoken items can be heard, and variants can
be compared.
"""

import json
from typing import TYPE_CHECKING

from inserter.files import read_json
from inserter.params import Check, Params
from inserter.paths import DATA, REPORTS
from inserter.reports import BenchmarkReport
from inserter.tables import ITEMS, TASKS, VARIANTS, Item
from stages.check.frames import Picked, Shards, frame
from stages.check.rules import Table, one_of, present, rows, unique, within

if TYPE_CHECKING:
    import pandas as pd

LANGUAGES = ["en", "cn"]
COLUMNS = [
    "item_id",
    "key",
    "task",
    "lang",
    "variant",
    "prompt",
    "instruction_id_list",
    "instructions",
    "kwargs_fit",
    "questions",
    "spoken",
    "duration",
    "in_shard",
]
AGAIN = "Delete data/benchmark and run `dvc repro benchmark`"
INCOMPLETE = "Complete the data set (reports/benchmark.json has the reasons), or raise check.max_missing_items"
TYPES = "Raise benchmark.items_per_type or complete the data set, or raise check.max_missing_types"
UNHEARD = "Check benchmark.voices; data/benchmark/quarantine.jsonl says why too few items have audio"
LENGTH = "Listen to these clips with `inserter clip`; correct the data set, or change check.clip_seconds"
MUTE = "Read data/benchmark/quarantine.jsonl: these items lack audio, but other items of the language have it"


def benchmark(params: Params) -> list[Table]:
    shards = Shards(DATA / "benchmark")
    items = frame(DATA / "benchmark" / "items.parquet", ITEMS, lambda row: _item(row, shards), columns=COLUMNS)
    report: BenchmarkReport = read_json(REPORTS / "benchmark.json")
    closed = items[items["task"] == "closed"]
    missing = params.check.max_missing_items
    return [
        Table(
            "items",
            items,
            "item_id",
            (
                rows("Raise benchmark.items_per_type, or check benchmark.path", low=params.check.min_rows.benchmark),
                present("item_id", AGAIN),
                unique("item_id", AGAIN),
                one_of("task", TASKS, AGAIN),
                one_of("variant", VARIANTS, AGAIN),
                one_of("lang", LANGUAGES, AGAIN),
                present("prompt", AGAIN),
            ),
        ),
        Table("closed", closed, "item_id", (within("instructions", AGAIN, low=1), one_of("kwargs_fit", [True], AGAIN))),
        Table("open", items[items["task"] == "open"], "item_id", (within("questions", AGAIN, low=1),)),
        *_sound(items, report, params.check),
        *(_types(closed, lang, params.check.max_missing_types) for lang in sorted(closed["lang"].dropna().unique())),
        Table("variants", _variants(items), "variant", (within("missing_share", INCOMPLETE, high=missing),)),
        Table("absent variants", _absent(closed, report), "variant", (present("reason", AGAIN),)),
        Table("counts", _counts(items, report), "report", (present("lost", AGAIN), within("lost", AGAIN, low=0, high=0))),
        Table("twins", _twins(items), "item_id", (one_of("standard_twin", [True], INCOMPLETE, mostly=1 - missing),)),
    ]


def _item(row: Item, shards: Shards) -> Picked:
    ids = row["instruction_id_list"] or []
    return {
        **row,
        "prompt": (row["prompt"] or "").strip() or None,
        "instruction_id_list": ids,
        "instructions": len(ids),
        "kwargs_fit": _fit(row["kwargs"], ids),
        "questions": sum(bool(question and question.strip()) for question in row["questions"] or []),
        "spoken": row["shard"] is not None,
        "in_shard": shards.hold(row),
    }


def _fit(kwargs: str | None, ids: list[str]) -> bool:
    """Return whether `kwargs` is a JSON list of objects, one per instruction."""
    try:
        value = json.loads(kwargs or "null")
    except json.JSONDecodeError:
        return False
    return isinstance(value, list) and len(value) == len(ids) and all(isinstance(item, dict) for item in value)


def _sound(items: "pd.DataFrame", report: BenchmarkReport, check: Check) -> list[Table]:
    """Return the tables of the spoken items and of the items that are only read.

    Spoken items must be audible. Items may be only read if their language has no audio at all, or
    if the report lists it under text_only.
    """
    shortest, longest = check.clip_seconds
    spoken, silent = items[items["spoken"] == True], items[items["spoken"] == False]  # noqa: E712 (columns)
    written = sorted((set(LANGUAGES) - set(spoken["lang"])) | set(report.get("text_only") or ()))
    return [
        Table(
            "spoken",
            spoken,
            "item_id",
            (
                rows(UNHEARD, low=check.min_rows.spoken),
                within("duration", LENGTH, low=shortest, high=longest),
                one_of("in_shard", [True], AGAIN),
            ),
        ),
        Table("only read", silent, "item_id", (one_of("lang", written, MUTE),)),
    ]


def _types(closed: "pd.DataFrame", lang: str, most: float) -> Table:
    """Return one row per instruction type: whether an item of this language asks for it."""
    import pandas as pd

    from inserter.scoring.ifeval import CHECKS

    asked = set(closed.loc[closed["lang"] == lang, "instruction_id_list"].explode())
    types = pd.DataFrame({"type": sorted(CHECKS), "asked": [name in asked for name in sorted(CHECKS)]})
    return Table(f"instruction types {lang}", types, "type", (one_of("asked", [True], TYPES, mostly=1 - most),))


def _variants(items: "pd.DataFrame") -> "pd.DataFrame":
    """Return one row per task, language and variant: the share of items that the variant lacks.

    The share is of the task's items in this language.
    """
    import pandas as pd

    counts = items.groupby(["task", "lang", "variant"])["key"].nunique()
    missing = 1 - counts / counts.groupby(["task", "lang"]).transform("max")
    return pd.DataFrame({"variant": ["/".join(name) for name in counts.index], "missing_share": missing.to_list()})


def _absent(closed: "pd.DataFrame", report: BenchmarkReport) -> "pd.DataFrame":
    """Return the variants that a language lacks, each with the reason that the stage gave.

    Only spoken closed-ended items count.
    """
    import pandas as pd

    reasons = report.get("absent", {})
    spoken = closed[closed["spoken"] == True]  # noqa: E712 (a column)
    present = set(zip(spoken["lang"], spoken["variant"], strict=True))
    everywhere = {variant for _, variant in present}
    names = [(variant, variant) for variant in VARIANTS if variant not in everywhere]
    for lang in sorted(set(spoken["lang"])):
        names += [(f"{lang}/{name}", name) for name in VARIANTS if name in everywhere and (lang, name) not in present]
    return pd.DataFrame([(name, reasons.get(name, reasons.get(all_of))) for name, all_of in names], columns=["variant", "reason"])


def _counts(items: "pd.DataFrame", report: BenchmarkReport) -> "pd.DataFrame":
    """Return one row: the number of records that are neither items nor quarantined; must be 0."""
    import pandas as pd

    known = "read" in report and "total" in report.get("quarantined", {})
    lost = report["read"] - report["quarantined"]["total"] - len(items) if known else None
    return pd.DataFrame([{"report": "reports/benchmark.json", "lost": lost}])


def _twins(items: "pd.DataFrame") -> "pd.DataFrame":
    """Return the items that are not standard, and whether their key has a standard form."""
    columns = ["task", "lang", "key"]
    keys = set(items.loc[items["variant"] == "standard", columns].itertuples(index=False, name=None))
    others = items[items["variant"] != "standard"]
    found = [name in keys for name in others[columns].itertuples(index=False, name=None)]
    return others[["item_id"]].assign(standard_twin=found)
