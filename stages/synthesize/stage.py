"""The stage: spans in, tar shards and an utterance table out, resumable shard by shard."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.common import augment, noise, tts
from stages.common.augment import draw
from stages.common.files import count_rows, read_batches, write_batches
from stages.common.params import Params, Synthesize, Voice
from stages.common.paths import DATA
from stages.common.runner import output, say
from stages.common.seeds import np_rng, rng
from stages.common.tables import SPANS, UTTERANCES
from stages.common.tts import Job, speak_shards, usable
from stages.common.work import WorkFolder


def main(params: Params) -> dict[str, Any]:
    spec, spans = params.synthesize, DATA / "segment" / "spans.parquet"
    voices, left_out = usable(spec.voices)
    for name, why in left_out.items():
        say(f"synthesize: without the optional voice {name}: {why}")
    deciding = spec.model_dump(exclude={"workers"}) | {"voices": [voice.model_dump() for voice in voices]}
    code = [*sorted(Path(tts.__file__).parent.glob("*.py")), Path(augment.__file__), Path(noise.__file__), Path(__file__)]
    work = WorkFolder("synthesize", deciding, [spans, *code])  # shards of other code are not this one's
    start, report = time.monotonic(), _Report()
    shards = speak_shards(
        _jobs(spans, spec, voices), voices, work / "out", work / "rows", spec.seed, spec.workers, spec.shard_clips,
        label="synthesize", total=count_rows(spans),
    )  # fmt: skip
    write_batches(work / "out/utterances.parquet", map(report.add, shards), UTTERANCES)
    work.publish("out", output("synthesize"))
    say(f"synthesize: {report.hours:.2f} h in {report.clips} clips, {time.monotonic() - start:.0f} s")
    return {**report.metrics(), "voices_left_out": len(left_out)}


def _jobs(spans: Path, spec: Synthesize, voices: list[Voice]) -> Iterator[Job]:
    for batch in read_batches(spans, SPANS):
        for span in batch:
            yield assign(span, spec, voices)


def assign(span: dict, spec: Synthesize, voices: list[Voice]) -> Job:
    """The job of a row of SPANS: voice and effect from (seed, utt_id). A held-out context is spoken without noise."""
    utt_id = span["utt_id"]
    (voice,) = rng(spec.seed, "voice", utt_id).choices(voices, [voice.weight for voice in voices])
    effect = draw(spec.augmentation, np_rng(spec.seed, "effect", utt_id), noise=span["level"] != "context")
    return Job(utt_id, span["doc_id"], span["split"], span["written"], span["spoken"], voice.name, effect)


class _Report:
    """Counts rows as they pass."""

    def __init__(self) -> None:
        self.clips, self.hours = 0, 0.0
        self.hours_by_voice: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()

    def add(self, rows: list[dict]) -> list[dict]:
        for row in rows:
            if row["error"] is not None:
                self.failed[row["error"]] += 1
                continue
            self.clips += 1
            self.hours += row["duration"] / 3600
            self.hours_by_voice[row["voice"]] += row["duration"] / 3600
        return rows

    def metrics(self) -> dict[str, Any]:
        """in = clips + the sum over `failed`, which has the commonest 20 reasons and `other`."""
        common = dict(self.failed.most_common(20))
        other = self.failed.total() - sum(common.values())
        return {
            "in": self.clips + self.failed.total(),
            "clips": self.clips,
            "hours": self.hours,
            "hours_by_voice": dict(sorted(self.hours_by_voice.items())),
            "failed": common | ({"other": other} if other else {}),
        }
