"""Rules of the gate after `sft`.

Every pair has its clip, asks for what can be checked, and overlaps no prompt of the benchmark. So
does every conversation of `sft.sources`, as far as its texts go. Few enough clips and rows were
refused.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from inserter.files import count_rows, read_json, read_jsonl
from inserter.params import Params
from inserter.paths import DATA, REPORTS
from inserter.tables import DIALOGUES, PAIRS, UTTERANCES, VERIFIED, Dialogue, Pair, Turn
from stages.check.frames import Picked, Shards, frame, picker
from stages.check.rules import Table, mean_within, one_of, present, rows, unique, within

if TYPE_CHECKING:
    import pandas as pd

CLIPS = DATA / "sft" / "clips"
OWN = DATA / "sft" / "dialogues"
COLUMNS = ["pair_id", "prompt", "response", "instructions", "unknown_types", "clip"]
AGAIN = "Delete data/sft and run `dvc repro sft`"
OVERLAP = "Run `dvc repro sft`, which leaves benchmark prompts out; if that fails, reword inserter/prompts/train.yaml"

Counted: TypeAlias = "int | dict[str, Counted]"


def sft(params: Params) -> list[Table]:
    asked = _benchmark_prompts()
    return [
        *(_generated(params, asked["prompt"]) if params.sft.prompts else []),
        *(_own(params, asked["prompt"]) if params.sft.sources else []),
        Table(
            "benchmark prompts",
            asked,
            "key",
            (
                rows("Run `dvc repro benchmark`: the benchmark has no prompts", low=1),
                present("prompt", "Delete data/benchmark and run `dvc repro benchmark`"),
            ),
        ),
        Table("counts", _counts(params), "report", (present("lost", AGAIN), within("lost", AGAIN, low=0, high=0))),
    ]


def _generated(params: Params, asked: Sequence[str | None]) -> list[Table]:
    """Return the tables of the generated pairs, and of the clips of their prompts."""
    pairs = _pairs()
    return [
        Table(
            "pairs",
            pairs.assign(benchmark_text=_overlapping(pairs["prompt"], asked, params.check.overlap_ngram)),
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
    ]


def _benchmark_prompts() -> "pd.DataFrame":
    """Return the prompts of all tasks and languages, also of items that cannot be used."""
    import pandas as pd

    return pd.DataFrame(read_jsonl(DATA / "benchmark" / "prompts.jsonl"), columns=["key", "prompt"])


def _own(params: Params, asked: Sequence[str | None]) -> list[Table]:
    """Return the tables of the conversations of `sft.sources`, and of all their rows."""
    import pandas as pd

    held = _held(OWN / "recorded") | _held(OWN / "spoken")
    columns = ["dialogue_id", "text", "answered", "clips", "forms", "license"]
    taught = frame(OWN / "dialogues.parquet", DIALOGUES, lambda row: _dialogue(row, held), columns=columns)
    read = pd.concat([_ids("dialogues").assign(quarantined=0), _ids("quarantine").assign(quarantined=1)], ignore_index=True)
    shares = read.groupby("source")["quarantined"].mean().reset_index()
    most = params.check.max_quarantined_dialogues
    return [
        Table(
            "dialogues",
            taught.assign(benchmark_text=_overlapping(taught["text"], asked, params.check.overlap_ngram)),
            "dialogue_id",
            (
                rows("Give more rows in sft.sources", low=params.check.min_rows.pairs),
                present("dialogue_id", AGAIN),
                unique("dialogue_id", AGAIN),
                present("text", AGAIN),
                present("license", "State the license of every source in sft.sources"),
                one_of("answered", [True], AGAIN),
                one_of("clips", [True], AGAIN),
                within("forms", AGAIN, low=1, high=2),
                mean_within("benchmark_text", "Take the rows that overlap out of the source", high=0),
            ),
        ),
        Table(
            "sources",
            shares,
            "source",
            (
                within(
                    "quarantined",
                    "Correct the rows (data/sft/dialogues/quarantine.parquet has the reasons), "
                    "or raise check.max_quarantined_dialogues",
                    high=most,
                ),
            ),
        ),
    ]


def _ids(name: str) -> "pd.DataFrame":
    """Return the id and the source of each row of a table of conversations."""
    columns = ("dialogue_id", "source")
    return frame(OWN / f"{name}.parquet", DIALOGUES, picker(*columns), columns=list(columns))


def _dialogue(row: Dialogue, clips: set[str]) -> Picked:
    turns = row["turns"] or []
    names = [part["utt_id"] for turn in turns for part in turn["parts"] if part["utt_id"]]
    asked = " ".join(_text(turn) for turn in turns if turn["role"] != "assistant")
    answers = [_text(turn) for turn in turns if turn["role"] == "assistant"]
    # What is read needs its words. Speech may have none, if the recogniser hears none.
    return {
        "dialogue_id": row["dialogue_id"],
        "text": asked.strip() or (None if not names or "read" in row["forms"] else ""),
        "answered": bool(answers) and all(map(str.strip, answers)) and turns[-1]["role"] == "assistant",
        "clips": clips.issuperset(names) and bool(names or "heard" not in row["forms"]),
        "forms": len(row["forms"] or []),
        "license": (row["license"] or "").strip() or None,
    }


def _text(turn: Turn) -> str:
    return " ".join(part["text"] for part in turn["parts"])


def _held(folder: Path) -> set[str]:
    """Return the ids of the clips whose bytes are in the shards of `folder`."""
    shards, table = Shards(folder), folder / "clips.parquet"
    clips = frame(table, UTTERANCES, lambda row: {"utt_id": row["utt_id"] if shards.hold(row) else None}, columns=["utt_id"])
    return set(clips["utt_id"].dropna())


def _spoken() -> "pd.DataFrame":
    """Return one row per clip: whether it was refused."""
    import pandas as pd

    clips = frame(CLIPS / "clips.parquet", UTTERANCES, picker("utt_id"), columns=["utt_id"])
    refused = frame(CLIPS / "quarantine.parquet", VERIFIED, picker("utt_id"), columns=["utt_id"])
    return pd.concat([clips.assign(quarantined=0), refused.assign(quarantined=1)], ignore_index=True)


def _pairs() -> "pd.DataFrame":
    held = _held(CLIPS)
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


def _counts(params: Params) -> "pd.DataFrame":
    """Return the number of prompts that are neither paired nor dropped with a reason; must be 0.

    There is a row per source too, for its rows that are neither a conversation nor dropped.
    """
    import pandas as pd

    report = read_json(REPORTS / "sft.json")
    written = count_rows(DATA / "sft" / "pairs.parquet")
    lost = report["prompts"] - _total(report["dropped"]) - written if {"prompts", "dropped"} <= report.keys() else None
    found = [{"report": "reports/sft.json", "lost": lost}]
    if params.sft.sources:
        by_source = _ids("dialogues").value_counts("source")
        for source in params.sft.sources:
            counts = report.get("sources", {}).get(source.name)
            left = counts["rows"] - _total(counts["dropped"]) - int(by_source.get(source.name, 0)) if counts else None
            found.append({"report": f"reports/sft.json: {source.name}", "lost": left})
    return pd.DataFrame(found)


def _total(dropped: Counted) -> int:
    """Return the sum of counts by reason, which may contain counts by reason themselves."""
    return sum(map(_total, dropped.values())) if isinstance(dropped, dict) else dropped
