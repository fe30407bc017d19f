"""Rules of the gate after `sft`.

Every pair has its clip, asks for what can be checked, and overlaps no prompt of the benchmark.
Few enough clips were refused.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from inserter.files import read_json, read_jsonl
from inserter.params import Params
from inserter.paths import DATA, REPORTS
from inserter.tables import PAIRS, UTTERANCES, VERIFIED, Pair
from stages.check.frames import Picked, Shards, frame, picker
from stages.check.rules import Table, mean_within, one_of, present, rows, unique, within

if TYPE_CHECKING:
    import pandas as pd

CLIPS = DATA / "sft" / "clips"
COLUMNS = ["pair_id", "prompt", "response", "instructions", "unknown_types", "clip"]
AGAIN = "Delete data/sft and run `dvc repro sft`"
OVERLAP = "Run `dvc repro sft`, which leaves benchmark prompts out; if that fails, reword inserter/prompts/train.yaml"

Counted: TypeAlias = "int | dict[str, Counted]"


def sft(params: Params) -> list[Table]:
    asked = _benchmark_prompts()
    pairs = _pairs()
    return [
        Table(
            "pairs",
            pairs.assign(benchmark_text=_overlapping(pairs["prompt"], asked["prompt"], params.check.overlap_ngram)),
            "pair_id",
            (
                rows("Raise sft.prompts, or set assets.lm to a stronger LM", low=params.check.min_rows.pairs),
                present("pair_id", AGAIN),
                unique("pair_id", AGAIN),
                present("prompt", AGAIN),
                present("response", AGAIN),
                one_of("clip", [True], AGAIN),
                within("instructions", AGAIN, low=1),
                within("unknown_types", AGAIN, high=0),
                mean_within("benchmark_text", OVERLAP, high=0),
            ),
        ),
        Table(
            "clips",
            _spoken(),
            "utt_id",
            (
                mean_within(
                    "quarantined",
                    "Correct the voice (data/sft/clips/quarantine.parquet has the reasons), or raise check.max_quarantined_prompts",
                    high=params.check.max_quarantined_prompts,
                ),
            ),
        ),
        Table(
            "benchmark prompts",
            asked,
            "key",
            (
                rows("Run `dvc repro benchmark`: the benchmark has no prompts", low=1),
                present("prompt", "Delete data/benchmark and run `dvc repro benchmark`"),
            ),
        ),
        Table("counts", _counts(len(pairs)), "report", (present("lost", AGAIN), within("lost", AGAIN, low=0, high=0))),
    ]


def _benchmark_prompts() -> "pd.DataFrame":
    """Return the prompts of all tasks and languages, also of items that cannot be used."""
    import pandas as pd

    return pd.DataFrame(read_jsonl(DATA / "benchmark" / "prompts.jsonl"), columns=["key", "prompt"])


def _spoken() -> "pd.DataFrame":
    """Return one row per clip: whether it was refused."""
    import pandas as pd

    clips = frame(CLIPS / "clips.parquet", UTTERANCES, picker("utt_id"), columns=["utt_id"])
    refused = frame(CLIPS / "quarantine.parquet", VERIFIED, picker("utt_id"), columns=["utt_id"])
    return pd.concat([clips.assign(quarantined=0), refused.assign(quarantined=1)], ignore_index=True)


def _pairs() -> "pd.DataFrame":
    shards = Shards(CLIPS)
    path = CLIPS / "clips.parquet"
    clips = frame(path, UTTERANCES, lambda row: {"utt_id": row["utt_id"] if shards.hold(row) else None}, columns=["utt_id"])
    held = set(clips["utt_id"].dropna())
    return frame(DATA / "sft" / "pairs.parquet", PAIRS, lambda row: _pair(row, held), columns=COLUMNS)


def _pair(row: Pair, clips: set[str]) -> Picked:
    from inserter.scoring.ifeval import CHECKS

    ids = row["instruction_id_list"] or []
    return {
        "pair_id": row["pair_id"],
        "prompt": (row["prompt"] or "").strip() or None,
        "response": (row["response"] or "").strip() or None,
        "instructions": len(ids),
        "unknown_types": sum(name not in CHECKS for name in ids),
        "clip": row["utt_id"] in clips,
    }


def _overlapping(prompts: Sequence[str | None], asked: Sequence[str | None], ngram: int) -> list[int]:
    """Return 1 for each prompt that overlaps the benchmark, and 0 for the others.

    A prompt overlaps if it stands in the benchmark word for word, or shares a run of `ngram` words.
    """
    from inserter.prompts import overlap

    found = set(overlap(filter(None, prompts), filter(None, asked), ngram))
    return [int(prompt in found) for prompt in prompts]


def _counts(written: int) -> "pd.DataFrame":
    """Return one row: the number of prompts neither paired nor dropped with a reason; must be 0."""
    import pandas as pd

    report = read_json(REPORTS / "sft.json")
    lost = report["prompts"] - _total(report["dropped"]) - written if {"prompts", "dropped"} <= report.keys() else None
    return pd.DataFrame([{"report": "reports/sft.json", "lost": lost}])


def _total(dropped: Counted) -> int:
    """Return the sum of counts by reason, which may contain counts by reason themselves."""
    return sum(map(_total, dropped.values())) if isinstance(dropped, dict) else dropped
