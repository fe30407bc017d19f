"""Collect the stage's metrics while the tables are written."""

import math
from collections import Counter, defaultdict

from inserter.reports import VerifyReport, VoiceReport
from inserter.tables import known, reason_kind
from inserter.verification.verdict import Verdict


class Report:
    """Counter of the clips as they pass.

    Memory does not grow with the clips: word error rates are fractions of few words, and repeat.
    """

    def __init__(self) -> None:
        self.clips: Counter[str] = Counter()  # per voice
        self.refused: Counter[str] = Counter()  # per voice
        self.seconds: defaultdict[str, float] = defaultdict(float)  # per voice, of measured clips
        self.characters: Counter[str] = Counter()  # per voice, of measured clips
        self.reasons: Counter[str] = Counter()
        self.asked = self.cleared = self.readings = 0
        self.hours = 0.0
        self.wer: Counter[float] = Counter()  # word error rates of clean clips

    def add(self, verdict: Verdict) -> None:
        row = verdict.row
        voice = row["voice"]
        self.clips[voice] += 1
        if row["pace"] is not None:
            self.seconds[voice] += row["duration"]
            self.characters[voice] += len(row["spoken"])
        self.asked += row["second_wer"] is not None
        self.cleared += verdict.cleared
        self.readings += row["wrote"] is not None
        if row["reason"] is None:
            self.hours += row["duration"] / 3600
            self.wer[known(row["wer"])] += 1
        else:
            self.refused[voice] += 1
            self.reasons[reason_kind(row["reason"])] += 1

    def metrics(self) -> VerifyReport:
        """Return the metrics."""
        total = self.clips.total()
        return {
            "in": total,
            "clean": self.wer.total(),
            "quarantined": dict(sorted(self.reasons.items())),
            "quarantine_share": self.refused.total() / total if total else 0.0,
            "voices": {voice: self._voice(voice) for voice in sorted(self.clips)},
            "readings_checked": self.readings,
            "second_opinion": {"asked": self.asked, "cleared": self.cleared},
            "hours_clean": self.hours,
            "wer_mean": math.fsum(wer * count for wer, count in sorted(self.wer.items())) / self.wer.total() if self.wer else None,
            "wer_median": _median(self.wer),
        }

    def _voice(self, voice: str) -> VoiceReport:
        clips, seconds = self.clips[voice], self.seconds[voice]
        pace = self.characters[voice] / seconds if seconds else None
        return {"clips": clips, "quarantine_share": self.refused[voice] / clips, "pace": pace}


def _median(counts: Counter[float]) -> float | None:
    """Return the middle value; of an even number of values, the lower middle value."""
    seen, half = 0, counts.total() / 2
    for value, count in sorted(counts.items()):
        seen += count
        if seen >= half:
            return value
    return None
