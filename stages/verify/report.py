"""The stage's metrics, gathered while the clean table is written."""

import statistics
from collections import Counter
from typing import Any

from stages.verify.check import kind


class Report:
    """Counts clips as they pass. Only one float a clean clip is kept."""

    def __init__(self) -> None:
        self.clips: Counter[str] = Counter()  # by voice
        self.refused: Counter[str] = Counter()  # by voice
        self.reasons: Counter[str] = Counter()
        self.hours = 0.0
        self.wer: list[float] = []

    def add(self, rows: list[dict]) -> None:
        for row in rows:
            self.clips[row["voice"]] += 1
            if row["reason"] is None:
                self.hours += row["duration"] / 3600
                self.wer.append(row["wer"])
            else:
                self.refused[row["voice"]] += 1
                self.reasons[kind(row["reason"])] += 1

    def metrics(self) -> dict[str, Any]:
        """in = clean + the sum over `quarantined`. WER over the clean clips, None when there is none."""
        total = self.clips.total()
        return {
            "in": total,
            "clean": len(self.wer),
            "quarantined": dict(sorted(self.reasons.items())),
            "quarantine_share": self.refused.total() / total if total else 0.0,
            "quarantine_share_by_voice": {voice: self.refused[voice] / n for voice, n in sorted(self.clips.items())},
            "hours_clean": self.hours,
            "wer_mean": statistics.fmean(self.wer) if self.wer else None,
            "wer_median": statistics.median(self.wer) if self.wer else None,
        }
