"""The gate after `benchmark`: every instruction type is asked, every item can be heard, the variants compare."""

import json
from typing import TYPE_CHECKING

from stages.check.frames import Row, Shards, frame
from stages.check.rules import Table, above, contains, one_of, present, rows, unique, within
from stages.common.files import read_json
from stages.common.params import Params
from stages.common.paths import DATA, REPORTS
from stages.common.tables import ITEMS

if TYPE_CHECKING:
    import pandas as pd

VARIANTS = ["standard", "background", "accent", "paralinguistics", "disfluency"]
COLUMNS = [
    "item_id",
    "key",
    "task",
    "lang",
    "variant",
    "instruction_id_list",
    "instructions",
    "kwargs_fit",
    "duration",
    "in_shard",
]
AGAIN = "Delete data/benchmark and run `dvc repro benchmark`"
INCOMPLETE = "See why in reports/benchmark.json and mend the data set, or raise check.max_missing_items"


def benchmark(params: Params) -> list[Table]:
    from stages.common.ifeval import CHECKS

    shards = Shards(DATA / "benchmark")
    items = frame(DATA / "benchmark" / "items.parquet", ITEMS, lambda row: _item(row, shards), COLUMNS)
    missing = params.check.max_missing_items
    return [
        Table(
            "items",
            items,
            "item_id",
            (
                rows("Raise benchmark.items_per_type, or check benchmark.path", low=1),
                present("item_id", AGAIN),
                unique("item_id", AGAIN),
                one_of("variant", VARIANTS, AGAIN),
                one_of("lang", ["en", "cn"], AGAIN),
                within("instructions", AGAIN, low=1),
                one_of("kwargs_fit", [True], AGAIN),
                above("duration", 0.0, AGAIN),
                one_of("in_shard", [True], AGAIN),
            ),
        ),
        Table(
            "instructions",
            items.explode("instruction_id_list"),
            "item_id",
            (contains("instruction_id_list", sorted(CHECKS), "Raise benchmark.items_per_type, or complete the data set"),),
        ),
        Table("variants", _variants(items), "variant", (within("missing_share", INCOMPLETE, high=missing),)),
        Table("absent variants", _absent(items), "variant", (present("reason", AGAIN),)),
        Table("counts", _counts(items), "report", (present("lost", AGAIN), within("lost", AGAIN, 0, 0))),
        Table("twins", _twins(items), "item_id", (one_of("standard_twin", [True], INCOMPLETE, mostly=1 - missing),)),
    ]


def _item(row: Row, shards: Shards) -> Row:
    ids = row["instruction_id_list"] or []
    return {
        **row,
        "instruction_id_list": ids,
        "instructions": len(ids),
        "kwargs_fit": _fit(row["kwargs"], ids),
        "in_shard": shards.hold(row),
    }


def _fit(kwargs: str | None, ids: list[str]) -> bool:
    """`kwargs` is a JSON list of objects, one an instruction."""
    try:
        value = json.loads(kwargs or "null")
    except json.JSONDecodeError:
        return False
    return isinstance(value, list) and len(value) == len(ids) and all(isinstance(item, dict) for item in value)


def _variants(items: "pd.DataFrame") -> "pd.DataFrame":
    """One row a language and variant: the share of the language's items that it lacks."""
    import pandas as pd

    counts = items.groupby(["lang", "variant"])["key"].nunique()
    missing = 1 - counts / counts.groupby("lang").transform("max")
    return pd.DataFrame({"variant": [f"{lang}/{name}" for lang, name in counts.index], "missing_share": missing.to_list()})


def _absent(items: "pd.DataFrame") -> "pd.DataFrame":
    """The variants that no item has, with the reason that the stage gave."""
    import pandas as pd

    reasons = read_json(REPORTS / "benchmark.json").get("absent", {})
    names = [name for name in VARIANTS if name not in set(items["variant"])]
    return pd.DataFrame({"variant": names, "reason": [reasons.get(name) for name in names]})


def _counts(items: "pd.DataFrame") -> "pd.DataFrame":
    """One row: the records that are neither items nor in quarantine; must be 0."""
    import pandas as pd

    report = read_json(REPORTS / "benchmark.json")
    known = "read" in report and "total" in report.get("quarantined", {})
    lost = report["read"] - report["quarantined"]["total"] - len(items) if known else None
    return pd.DataFrame([{"report": "reports/benchmark.json", "lost": lost}])


def _twins(items: "pd.DataFrame") -> "pd.DataFrame":
    """The items that are not standard, and whether the same key has a standard form to compare with."""
    standard = items[items["variant"] == "standard"]
    keys = set(zip(standard["lang"], standard["key"], strict=True))
    others = items[items["variant"] != "standard"]
    found = [pair in keys for pair in zip(others["lang"], others["key"], strict=True)]
    return others[["item_id"]].assign(standard_twin=found)
