"""Report the stage: shares that were reached, switches per document, lengths of spans."""

from itertools import pairwise
from pathlib import Path

from inserter.files import atomic
from stages.segment.document import Counts

BUCKETS = (1, 5, 10, 15, 20, 30, 40)  # fewest words of each bar in the report's histogram


def report(counts: Counts) -> dict[str, object]:
    """Return the content of reports/segment.json.

    For documents and spans, in = kept + the sum over the reasons for dropping.
    """
    levels = sorted(level for _, level in _keys(counts, "words"))
    return {
        "documents": {**_pair(counts, "documents"), "without_span": _named(counts, "without_span")},
        "spans": {**_pair(counts, "spans"), "dropped": _named(counts, "dropped"), "languages": _named(counts, "language")},
        "levels": {str(level): _level(counts, str(level)) for level in levels},
    }


def _level(counts: Counts, level: str) -> dict[str, object]:
    words, chosen = counts["words", level], counts["chosen", level]
    lengths, switches = histogram(counts, "length", level), histogram(counts, "switches", level)
    return {
        "documents": counts["documents", level],
        "spans": sum(lengths.values()),
        "words": words,
        "words_spoken": chosen,
        "share": chosen / words if words else 0.0,
        "switches": {"mean": _mean(switches), "histogram": {f"{number:02d}": switches[number] for number in sorted(switches)}},
        "span_words": {"mean": _mean(lengths), "histogram": _bars(lengths)},
    }


def histogram(counts: Counts, kind: str, level: str) -> dict[int, int]:
    return {int(key[2]): counts[key] for key in _keys(counts, kind) if key[1] == level}


def _keys(counts: Counts, kind: str) -> list[tuple[str | int, ...]]:
    return [key for key in counts if key[0] == kind]


def _pair(counts: Counts, kind: str) -> dict[str, int]:
    return {"in": counts[kind, "in"], "kept": counts[kind, "kept"]}


def _named(counts: Counts, kind: str) -> dict[str, int]:
    return {str(key[1]): counts[key] for key in _keys(counts, kind)}


def _mean(numbers: dict[int, int]) -> float:
    return sum(number * times for number, times in numbers.items()) / max(sum(numbers.values()), 1)


def _bars(lengths: dict[int, int]) -> dict[str, int]:
    bars = {f"{first:02d}-{after - 1}": range(first, after) for first, after in pairwise(BUCKETS)}
    few = {name: sum(lengths.get(number, 0) for number in numbers) for name, numbers in bars.items()}
    return {**few, f"{BUCKETS[-1]}+": sum(times for number, times in lengths.items() if number >= BUCKETS[-1])}


def write_lengths(path: Path, counts: Counts) -> Path:
    """Write a CSV of level, length (words), spans and share of the level's spans.

    The file has one row per level and length that occurs.
    """
    lines = ["level,length,spans,share\n"]
    for level in sorted({str(key[1]) for key in _keys(counts, "length")}):
        lengths = histogram(counts, "length", level)
        every = sum(lengths.values())
        lines += [f"{level},{words},{lengths[words]},{lengths[words] / every:.6f}\n" for words in sorted(lengths)]
    return atomic(path, lambda temporary: temporary.write_text("".join(lines), encoding="utf-8"))
