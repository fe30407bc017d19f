"""The stage: speak the spans into tar shards and an utterance table.

The stage is resumable, and speech of earlier runs is reused.
"""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow.parquet as pq

from inserter.files import count_rows, read_batches, read_jsonl, write_batches
from inserter.params import Params, Synthesize, Voice
from inserter.paths import DATA
from inserter.run.closure import deciding
from inserter.run.executor import Executor
from inserter.run.runner import output, say
from inserter.run.work import WorkFolder
from inserter.tables import SPANS, UTTERANCES, Speaker, Utterance
from inserter.tts import Earlier, Job, Progress, identity, speak_shards, usable
from stages.synthesize.assign import assign
from stages.synthesize.report import Report

SPEAKERS = DATA / "corpus" / "recorded" / "speakers.jsonl"
INDEX = "earlier.sqlite"  # index of the speech of earlier runs


def main(params: Params) -> dict[str, object]:
    spec, spans = params.synthesize, DATA / "segment" / "spans.parquet"
    voices, left_out = usable(spec.voices)
    for name, why in left_out.items():
        say(f"synthesize: without the optional voice {name}: {why}")
    speakers = list(read_jsonl(SPEAKERS)) if SPEAKERS.is_file() else []
    total = count_rows(spans) + _twins(spans, voices)
    voices += usable(recorded(speaker, params) for speaker in speakers)[0] if speakers else []
    spoken_by = {doc_id: speaker["name"] for speaker in speakers for doc_id in speaker["documents"]}
    work = WorkFolder("synthesize", _deciding(spec, voices), [spans, *deciding("stages.synthesize")], keep_older=True)
    report, progress = Report(), Progress()
    shards = _speak(
        work,
        _jobs(spans, spec, voices, spoken_by=spoken_by),
        spec,
        voices=voices,
        total=total,
        executor=params.executor,
        progress=progress,
    )
    write_batches(work / "out/utterances.parquet", map(report.add, shards), UTTERANCES)
    work.publish("out", output("synthesize"))
    work.drop_older()
    (work / INDEX).unlink(missing_ok=True)
    seconds = time.monotonic() - progress.start
    say(f"synthesize: {report.hours:.2f} h in {report.clips} clips, {progress.reused} of an earlier run, {seconds:.0f} s")
    return {**report.metrics(), "voices_left_out": len(left_out), "system": progress.figures()}


def _speak(
    work: WorkFolder,
    jobs: Iterator[Job],
    spec: Synthesize,
    *,
    voices: list[Voice],
    total: int,
    executor: Executor,
    progress: Progress,
) -> Iterator[list[Utterance]]:
    earlier = Earlier(work.older, work / INDEX) if work.older else None
    return speak_shards(
        jobs,
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


def recorded(speaker: Speaker, params: Params) -> Voice:
    """Return the voice that cuts what a speaker says out of the recordings."""
    return Voice(
        name=speaker["name"],
        engine="recorded",
        voice=str(SPEAKERS.parent / speaker["table"]),
        language=speaker["language"],
        model=params.assets.asr,
        license=speaker["license"],
    )


def _jobs(spans: Path, spec: Synthesize, voices: list[Voice], *, spoken_by: Mapping[str, str]) -> Iterator[Job]:
    """Yield the jobs of all spans. spoken_by: by document, the voice that has recordings of it."""
    pool = [voice for voice in voices if voice.engine != "recorded"]
    for batch in read_batches(spans, SPANS):
        for span in batch:
            yield from assign(span, spec, pool, speaker=spoken_by.get(span["doc_id"]))


def _twins(spans: Path, voices: list[Voice]) -> int:
    """Count the spans that are spoken once more, by a held-out voice."""
    languages = {voice.language for voice in voices if voice.heldout}
    batches = pq.ParquetFile(spans).iter_batches(columns=["level", "language"]) if languages else ()
    return sum(row["level"] == "context" and row["language"] in languages for batch in batches for row in batch.to_pylist())
