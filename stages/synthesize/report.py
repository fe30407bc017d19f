"""Collect the stage's metrics while the table is written."""

from collections import Counter, defaultdict

from inserter.reports import SynthesizeReport
from inserter.tables import UNSEEN, Utterance


class Report:
    """Counter of the rows as they pass."""

    def __init__(self) -> None:
        self.clips, self.hours, self.unseen = 0, 0.0, 0
        self.hours_by_voice: defaultdict[str, float] = defaultdict(float)
        self.hours_by_language: defaultdict[str, float] = defaultdict(float)
        self.failed: Counter[str] = Counter()

    def add(self, rows: list[Utterance]) -> list[Utterance]:
        for row in rows:
            self.unseen += row["utt_id"].endswith(UNSEEN)
            if row["error"] is not None:
                self.failed[row["error"]] += 1
                continue
            hours = row["duration"] / 3600
            self.clips += 1
            self.hours += hours
            self.hours_by_voice[row["voice"]] += hours
            self.hours_by_language[row["language"]] += hours
        return rows

    def metrics(self) -> SynthesizeReport:
        """Return the metrics."""
        common = dict(self.failed.most_common(20))
        other = self.failed.total() - sum(common.values())
        return {
            "in": self.clips + self.failed.total(),
            "unseen": self.unseen,
            "clips": self.clips,
            "hours": self.hours,
            "hours_by_voice": dict(sorted(self.hours_by_voice.items())),
            "hours_by_language": dict(sorted(self.hours_by_language.items())),
            "failed": common | ({"other": other} if other else {}),
        }
