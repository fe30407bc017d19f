"""Build reports/listen.html and its audio files from the tables of earlier stages."""

from collections import Counter
from pathlib import Path

from inserter.files import atomic
from inserter.page.audio import publish_files
from inserter.paths import DATA, REPORTS
from inserter.tables import Sequence, Verified
from stages.listen import choose
from stages.listen.cards import Row, card
from stages.listen.page import render


def build(data: Path = DATA, reports: Path = REPORTS) -> dict[str, object]:
    """Write listen.html and the FLAC files of the folder listen/ below `reports`.

    Return the numbers of sequences, clips and sounds that are shown, and counts of all clips. The
    counts satisfy in = clean + the sum over quarantined.

    Raises InserterError if an input is missing or a shard is damaged.
    """
    rows = choose.sequences(data / "interleave" / "sequences.parquet")
    wanted = {part["utt_id"] for row in rows for part in row["parts"] if part["utt_id"]}
    found = choose.clips(data / "verify", wanted)
    sounds: dict[str, bytes] = {}

    def cards(clips: list[Verified]) -> list[Row]:
        return [card(row, data / "synthesize", sounds) for row in clips]

    spoken = {clip["id"]: clip for clip in cards(list(found.wanted.values()))}
    sequences = [_sequence(row, spoken) for row in rows]
    shown = {name: cards(getattr(found, name)) for name in ("best", "worst", "quarantined")}
    html = render(sequences, shown, found.counts)
    publish_files(sorted(sounds.items()), reports / "listen")
    atomic(reports / "listen.html", lambda path: path.write_text(html, encoding="utf-8"))
    return {
        "sequences": len(sequences),
        "clips": {name: len(clips) for name, clips in shown.items()},
        "sounds": len(sounds),
        **_counts(found.counts),
    }


def _sequence(row: Sequence, spoken: dict[str, Row]) -> Row:
    """Return a row of SEQUENCES as the page shows it.

    parts: (text, kind, clip). kind: `heard`, `learnt` (text with a loss) or `given` (text without
    one).
    """
    parts = []
    for part in row["parts"]:
        clip = spoken.get(part["utt_id"]) if part["utt_id"] else None
        parts.append((part["text"], "heard" if part["utt_id"] else "learnt" if part["loss"] else "given", clip))
    return {"id": row["seq_id"], "doc_id": row["doc_id"], "kind": row["kind"], "words": row["n_words"], "parts": parts}


def _counts(counts: dict[str, Counter[str | None]]) -> dict[str, object]:
    total = sum(counts.values(), Counter())
    return {
        "in": total.total(),
        "clean": total[None],
        "quarantined": {reason: count for reason, count in sorted(total.items(), key=str) if reason is not None},
    }
