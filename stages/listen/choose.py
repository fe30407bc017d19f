"""Choose what the page shows while the tables stream past.

The order of the rows does not change the choice.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import nsmallest
from pathlib import Path

from inserter.files import read_batches
from inserter.seeds import derive
from inserter.tables import SEQUENCES, VERIFIED, Sequence, Verified, known, reason_kind

EXAMPLES = 5
SEQUENCES_SHOWN = {"interleaved": 2, "transcribe": 1, "continue": 1, "text": 1}
# Interleaved sequences with at least this many spans are preferred: they show what interleaving is.
SPANS = 3


@dataclass
class Clips:
    """The chosen clips, and counts of all clips."""

    best: list[Verified] = field(default_factory=list)
    """The clean clips with the lowest word error rate: the lower of two opinions.

    Ties go to the clip whose duration is closest to what its voice takes for the text.
    """

    worst: list[Verified] = field(default_factory=list)
    """The clean clips with the highest word error rate, again the lower of two opinions.

    Ties go to the clip whose duration is furthest from what its voice takes for the text.
    """

    quarantined: list[Verified] = field(default_factory=list)
    """At most EXAMPLES clips: one per reason, then a second one per reason."""

    wanted: dict[str, Verified] = field(default_factory=dict)
    """The rows that sequences name, by utt_id."""

    counts: dict[str, Counter[str | None]] = field(default_factory=lambda: defaultdict(Counter))
    """{voice: {reason, or None if clean: number of clips}}."""


def sequences(path: Path) -> list[Sequence]:
    """Return rows of SEQUENCES, of the kinds and numbers in SEQUENCES_SHOWN."""
    kept: dict[str, list[Sequence]] = {kind: [] for kind in SEQUENCES_SHOWN}
    for batch in read_batches(path, SEQUENCES):
        for kind, count in SEQUENCES_SHOWN.items():
            kept[kind] = nsmallest(count, kept[kind] + [row for row in batch if row["kind"] == kind], key=_place)
    return [row for rows in kept.values() for row in rows]


def clips(folder: Path, wanted: set[str]) -> Clips:
    """Choose from clean.parquet and quarantine.parquet (schema VERIFIED) in `folder`.

    wanted: the utt_ids that sequences name. Memory does not grow with the tables.
    """
    found = Clips()
    for batch in read_batches(folder / "clean.parquet", VERIFIED):
        found.best = nsmallest(EXAMPLES, found.best + batch, key=_errors)
        found.worst = nsmallest(EXAMPLES, found.worst + batch, key=_fewest)
        found.wanted |= {row["utt_id"]: row for row in batch if row["utt_id"] in wanted}
        _count(batch, found)
    by_reason: dict[str, list[Verified]] = defaultdict(list)
    for batch in read_batches(folder / "quarantine.parquet", VERIFIED):
        for row in batch:
            by_reason[reason_kind(known(row["reason"]))].append(row)
        for reason, rows in by_reason.items():
            by_reason[reason] = nsmallest(EXAMPLES, rows, key=_drawn)
        _count(batch, found)
    found.quarantined = _in_turn(by_reason)
    return found


def _count(rows: Iterable[Verified], found: Clips) -> None:
    for row in rows:
        found.counts[row["voice"]][row["reason"] and reason_kind(row["reason"])] += 1


def _in_turn(by_reason: dict[str, list[Verified]]) -> list[Verified]:
    """Return at most EXAMPLES rows, those with a clip first.

    One row per reason comes before a second row of any reason.
    """
    ranked = [(place, reason, row) for reason, rows in by_reason.items() for place, row in enumerate(rows)]
    ranked.sort(key=lambda item: (item[2]["shard"] is None, item[0], item[1]))
    return [row for *_, row in ranked[:EXAMPLES]]


def _place(row: Sequence) -> tuple[bool, int]:
    """Return a sort key that puts interleaved sequences with few spans last.

    Ties are drawn by a hash of the id, so that the page does not always show the corpus's
    beginning.
    """
    spoken = sum(part["utt_id"] is not None for part in row["parts"])
    return row["kind"] == "interleaved" and spoken < SPANS, derive(0, "listen", row["seq_id"])


def _drawn(row: Verified) -> tuple[bool, int]:
    return row["shard"] is None, derive(0, "listen", row["utt_id"])


def _errors(row: Verified) -> tuple[float, float, int]:
    heard = [wer for wer in (row["wer"], row["second_wer"]) if wer is not None]
    return min(heard), abs(row["duration_z"] or 0.0), _drawn(row)[1]


def _fewest(row: Verified) -> tuple[float, float, int]:
    wer, z, draw = _errors(row)
    return -wer, -z, draw
