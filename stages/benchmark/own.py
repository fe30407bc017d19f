"""Make our own set of closed-ended, open-ended and adjustment items.

Closed-ended items cover each of the 25 instruction types, in five variants. English is spoken.
Chinese is spoken if a voice is named for it, and is only read otherwise.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from inserter import tts
from inserter.params import Benchmark, BenchmarkItems, Voice
from inserter.prompts import Lang, Prompt, generate, generate_adjustment, generate_open
from inserter.reports import BenchmarkReport
from inserter.run.closure import deciding
from inserter.run.runner import say
from inserter.run.work import WorkFolder
from inserter.tables import Item
from inserter.text.spoken import CannotRead
from stages.benchmark.output import finish
from stages.benchmark.planned import NO_CLIP, Planned
from stages.benchmark.variants import plan

SHARD_CLIPS = 32  # small, so that no core idles at the end: 2,200 clips make 69 tasks


def build(settings: Benchmark, target: Path) -> BenchmarkReport:
    """Make the set, publish it as `target` and return the metrics."""
    return speak(prompts(settings), settings, target)


def prompts(settings: Benchmark) -> list[Prompt]:
    """Return all prompts, ordered by language and task."""
    counts: dict[Lang, BenchmarkItems] = {"en": settings, "cn": settings.chinese}
    return [prompt for lang, count in counts.items() for prompt in _prompts(count, settings.seed, lang)]


def _prompts(count: BenchmarkItems, seed: int, lang: Lang) -> list[Prompt]:
    closed = generate("benchmark", seed, per_type=count.items_per_type, lang=lang)
    return [*closed, *generate_open(seed, count.open_items, lang), *generate_adjustment(seed, count.adjustment_items, lang)]


def speak(asked: list[Prompt], settings: Benchmark, target: Path, *, workers: int = 0) -> BenchmarkReport:
    """Speak `asked` in every variant that can be made on this machine and return the metrics.

    An item that cannot be spoken goes to the quarantine. target: the folder that is published.
    workers: number of processes; 0 means one per core. The result does not depend on it.
    """
    planned = plan(asked, settings)
    for variant, reason in planned.absent.items():
        say(f"benchmark: no {variant} variant: {reason}")
    jobs, failed = _jobs(planned.items)
    voices = _voices(planned.items)
    recipe = {"seed": settings.seed, "jobs": [asdict(job) for job in jobs], "voices": [v.model_dump() for v in voices]}
    work = WorkFolder("benchmark", recipe, deciding("inserter.tts"))
    utterances = tts.speak_all(
        jobs,
        voices,
        work / "out",
        rows=work / "rows",
        seed=settings.seed,
        workers=workers,
        shard_clips=SHARD_CLIPS,
        fingerprint=work.key,
        label="benchmark",
        total=len(jobs),
    )
    clips = {row["utt_id"]: row for row in utterances}
    failed |= {name: clip["error"] for name, clip in clips.items() if clip["error"]}
    rows = [item.row(clips.get(item.item_id, NO_CLIP)) for item in planned.items if item.item_id not in failed]
    quarantined = [
        {"item_id": item.item_id, "key": item.prompt.key, "reason": "unspeakable", "detail": failed[item.item_id]}
        for item in planned.items
        if item.item_id in failed
    ]
    metrics = finish(work, target, [prompt.record() for prompt in asked], rows=rows, quarantined=quarantined)
    accents = Counter(row["voice"] for row in rows if row["variant"] == "accent")
    return {
        **metrics,
        "source": "own",
        "absent": planned.absent,
        "text_only": planned.text_only,
        "accents": {"used": dict(accents), "missing": planned.missing},
        "drawn": _drawn(rows),
    }


def _jobs(items: list[Planned]) -> tuple[list[tts.Job], dict[str, str]]:
    """Return the jobs of the items with a voice, and {item_id: reason} of unreadable texts."""
    jobs, refused = [], {}
    for item in items:
        try:
            jobs += [item.job()] if item.voice else []
        except CannotRead as error:
            refused[item.item_id] = error.reason
    return jobs, refused


def _drawn(rows: Iterable[Item]) -> dict[str, dict[str, int]]:
    """Count how often each noise, paralinguistic change, disfluency and correction was drawn."""
    notes = [(row["variant"], row["task"], json.loads(row["notes"])) for row in rows]
    kinds = {
        "noises": [note["noise"] for variant, _, note in notes if variant == "background"],
        "paralinguistics": [kind for variant, _, note in notes if variant == "paralinguistics" for kind in note],
        "disfluencies": [kind for variant, _, note in notes if variant == "disfluency" for kind in note["disfluencies"]],
        "corrections": [note["kind"] for _, task, note in notes if task == "adjustment"],
    }
    return {name: dict(sorted(Counter(drawn).items())) for name, drawn in kinds.items()}


def _voices(items: list[Planned]) -> list[Voice]:
    return list({item.voice.name: item.voice for item in items if item.voice}.values())
