"""The stage: speak the spans into tar shards and an utterance table.

The stage is resumable, and speech of earlier runs is reused.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from inserter.files import count_rows, read_batches, write_batches
from inserter.params import Params, Synthesize, Voice
from inserter.paths import DATA
from inserter.run.closure import deciding
from inserter.run.executor import Executor
from inserter.run.runner import output, say
from inserter.run.work import WorkFolder
from inserter.tables import SPANS, UTTERANCES, Utterance
from inserter.tts import Earlier, Job, Progress, identity, speak_shards, usable
from stages.synthesize.assign import assign
from stages.synthesize.report import Report

INDEX = "earlier.sqlite"  # index of the speech of earlier runs


def main(params: Params) -> dict[str, object]:
    spec, spans = params.synthesize, DATA / "segment" / "spans.parquet"
    voices, left_out = usable(spec.voices)
    for name, why in left_out.items():
        say(f"synthesize: without the optional voice {name}: {why}")
    total = count_rows(spans) + _twins(spans, voices)
    work = WorkFolder("synthesize", _deciding(spec, voices), [spans, *deciding("stages.synthesize")], keep_older=True)
    report, progress = Report(), Progress()
    shards = _speak(work, spans, spec, voices=voices, total=total, executor=params.executor, progress=progress)
    write_batches(work / "out/utterances.parquet", map(report.add, shards), UTTERANCES)
    work.publish("out", output("synthesize"))
    work.drop_older()
    (work / INDEX).unlink(missing_ok=True)
    seconds = time.monotonic() - progress.start
    say(f"synthesize: {report.hours:.2f} h in {report.clips} clips, {progress.reused} of an earlier run, {seconds:.0f} s")
    return {**report.metrics(), "voices_left_out": len(left_out), "system": progress.figures()}


def _speak(
    work: WorkFolder, spans: Path, spec: Synthesize, *, voices: list[Voice], total: int, executor: Executor, progress: Progress
) -> Iterator[list[Utterance]]:
    earlier = Earlier(work.older, work / INDEX) if work.older else None
    return speak_shards(
        _jobs(spans, spec, voices),
        voices,
        work / "out",
        rows=work / "rows",
        seed=spec.seed,
        workers=spec.workers,
        executor=executor,
        shard_clips=spec.shard_clips,
        fingerprint=work.key,
        keep_originals=spec.keep_originals,
        earlier=earlier,
        label="synthesize",
        total=total,
        progress=progress,
    )


def _deciding(spec: Synthesize, voices: list[Voice]) -> dict[str, object]:
    """Return what the shards depend on, apart from the spans and the code.

    A voice counts by what it is made of, not only by its name.
    """
    described = [voice.model_dump() | {"identity": identity(voice)} for voice in voices]
    return spec.model_dump(exclude={"workers"}) | {"voices": described}


def _jobs(spans: Path, spec: Synthesize, voices: list[Voice]) -> Iterator[Job]:
    for batch in read_batches(spans, SPANS):
        for span in batch:
            yield from assign(span, spec, voices)


def _twins(spans: Path, voices: list[Voice]) -> int:
    """Count the spans that are spoken once more, by a held-out voice."""
    languages = {voice.language for voice in voices if voice.heldout}
    batches = pq.ParquetFile(spans).iter_batches(columns=["level", "language"]) if languages else ()
    return sum(row["level"] == "context" and row["language"] in languages for batch in batches for row in batch.to_pylist())
