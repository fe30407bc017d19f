"""What is shown: chosen while the tables stream past, and the same whatever their order."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import nsmallest
from pathlib import Path
from typing import Any

from inserter.files import read_batches
from inserter.seeds import derive
from inserter.tables import SEQUENCES, VERIFIED, reason_kind

EXAMPLES = 5
SEQUENCES_SHOWN = {"interleaved": 2, "transcribe": 1, "continue": 1, "text": 1}
SPANS = 3  # an interleaved sequence with at least so many is preferred: it shows what interleaving is
Row = dict[str, Any]


@dataclass
class Clips:
    """best, worst: of the clean ones, by word error rate (the lower of two opinions), then by how far the duration is from what
    its voice takes. quarantined: one a reason, then a second one. wanted: the rows that sequences name. counts: {voice: {reason or
    None: clips}}.
    """

    best: list[Row] = field(default_factory=list)
    worst: list[Row] = field(default_factory=list)
    quarantined: list[Row] = field(default_factory=list)
    wanted: dict[str, Row] = field(default_factory=dict)
    counts: dict[str, Counter[str | None]] = field(default_factory=lambda: defaultdict(Counter))


def sequences(path: Path) -> list[Row]:
    """Rows of SEQUENCES, by kind as in SEQUENCES_SHOWN."""
    kept: dict[str, list[Row]] = {kind: [] for kind in SEQUENCES_SHOWN}
    for batch in read_batches(path, SEQUENCES):
        for kind, count in SEQUENCES_SHOWN.items():
            kept[kind] = nsmallest(count, kept[kind] + [row for row in batch if row["kind"] == kind], key=_place)
    return [row for rows in kept.values() for row in rows]


def clips(folder: Path, wanted: set[str]) -> Clips:
    """From clean.parquet and quarantine.parquet (schema VERIFIED) in `folder`. Memory does not grow with them."""
    found = Clips()
    for batch in read_batches(folder / "clean.parquet", VERIFIED):
        found.best = nsmallest(EXAMPLES, found.best + batch, key=_errors)
        found.worst = nsmallest(EXAMPLES, found.worst + batch, key=_fewest)
        found.wanted |= {row["utt_id"]: row for row in batch if row["utt_id"] in wanted}
        _count(batch, found)
    by_reason: dict[str, list[Row]] = defaultdict(list)
    for batch in read_batches(folder / "quarantine.parquet", VERIFIED):
        for row in batch:
            by_reason[reason_kind(row["reason"])].append(row)
        for reason, rows in by_reason.items():
            by_reason[reason] = nsmallest(EXAMPLES, rows, key=_drawn)
        _count(batch, found)
    found.quarantined = _in_turn(by_reason)
    return found


def _count(rows: Iterable[Row], found: Clips) -> None:
    for row in rows:
        found.counts[row["voice"]][row["reason"] and reason_kind(row["reason"])] += 1


def _in_turn(by_reason: dict[str, list[Row]]) -> list[Row]:
    """One of each reason before a second one of any, those with a clip first."""
    ranked = [(place, reason, row) for reason, rows in by_reason.items() for place, row in enumerate(rows)]
    ranked.sort(key=lambda item: (item[2]["shard"] is None, item[0], item[1]))
    return [row for *_, row in ranked[:EXAMPLES]]


def _place(row: Row) -> tuple[bool, int]:
    """Few spans last; among equals a draw from the id, so that it is not always the corpus's beginning."""
    spoken = sum(part["utt_id"] is not None for part in row["parts"])
    return row["kind"] == "interleaved" and spoken < SPANS, derive(0, "listen", row["seq_id"])


def _drawn(row: Row) -> tuple[bool, int]:
    return row["shard"] is None, derive(0, "listen", row["utt_id"])


def _errors(row: Row) -> tuple[float, float, int]:
    heard = [wer for wer in (row["wer"], row["second_wer"]) if wer is not None]
    return min(heard), abs(row["duration_z"] or 0.0), _drawn(row)[1]


def _fewest(row: Row) -> tuple[float, float, int]:
    wer, z, draw = _errors(row)
    return -wer, -z, draw
