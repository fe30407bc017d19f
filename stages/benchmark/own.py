"""Our own spoken set: items_per_type items of each of the 25 instruction types, in five variants."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stages.benchmark.output import finish
from stages.benchmark.variants import Planned, plan
from stages.common import augment, tts
from stages.common.params import Benchmark, Voice
from stages.common.prompts import Prompt, generate
from stages.common.runner import say
from stages.common.work import WorkFolder

SHARD_CLIPS = 32  # small shards: 375 clips still make 12 tasks, so that no core waits for the other at the end


def build(settings: Benchmark, target: Path) -> dict[str, Any]:
    """Make the set and publish it as `target`; returns the metrics."""
    return speak(generate("benchmark", settings.seed, per_type=settings.items_per_type), settings, target)


def speak(prompts: list[Prompt], settings: Benchmark, target: Path, workers: int = 0) -> dict[str, Any]:
    """Speak `prompts` in every variant that can be made here. An item that cannot be spoken goes to the quarantine.

    workers: processes, 0 for one a core; the result does not depend on it.
    """
    items, absent, missing = plan(prompts, settings)
    for variant, reason in absent.items():
        say(f"benchmark: no {variant} variant: {reason}")
    voices = _voices(items)
    jobs = [item.job() for item in items]
    speech = [*sorted(Path(tts.__file__).parent.glob("*.py")), Path(augment.__file__)]
    recipe = {"seed": settings.seed, "jobs": [asdict(job) for job in jobs], "voices": [v.model_dump() for v in voices]}
    work = WorkFolder("benchmark", recipe, speech)
    utterances = tts.speak_all(
        jobs, voices, work / "out", work / "rows", settings.seed,
        workers=workers, shard_clips=SHARD_CLIPS, label="benchmark", total=len(jobs),
    )  # fmt: skip
    pairs = list(zip(items, utterances, strict=True))
    rows = [item.row(utterance) for item, utterance in pairs if utterance["error"] is None]
    quarantined = [
        {"item_id": item.item_id, "key": item.prompt.key, "reason": "unspeakable", "detail": utterance["error"]}
        for item, utterance in pairs
        if utterance["error"] is not None
    ]
    accents = Counter(row["voice"] for row in rows if row["variant"] == "accent")
    metrics = finish(work, target, [prompt.record() for prompt in prompts], rows, quarantined)
    return {**metrics, "source": "own", "absent": absent, "accents": {"used": dict(accents), "missing": missing}}


def _voices(items: list[Planned]) -> list[Voice]:
    return list({item.voice.name: item.voice for item in items}.values())
