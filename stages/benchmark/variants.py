"""The five variants of our own items: what is said, by which voice, and what is done to it.

All are spoken from the same text by the same voice as the standard form (accent: another voice; disfluency: another
text), so that each has a clean twin of its key. Drawn from (seed, variant, key).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stages.benchmark.disfluency import disfluent
from stages.common.augment import NOISES, Effect
from stages.common.params import Benchmark, Voice
from stages.common.prompts import Prompt
from stages.common.seeds import rng
from stages.common.spoken import spoken_form
from stages.common.tts import Job, usable

LANG = "en"


@dataclass(frozen=True)
class Planned:
    """An item before it is spoken."""

    variant: str
    prompt: Prompt
    text: str  # as it is said
    voice: Voice
    notes: dict[str, Any]
    effect: Effect | None = None

    @property
    def item_id(self) -> str:
        return f"{self.variant}-{LANG}-{self.prompt.key}"

    def job(self) -> Job:
        spoken = spoken_form(self.text)
        return Job(self.item_id, self.prompt.key, "benchmark", self.text, spoken, self.voice.name, self.effect)

    def row(self, utterance: dict[str, Any]) -> dict[str, Any]:
        """The item (schema ITEMS) with the clip of its utterance."""
        place = {name: utterance[name] for name in ("shard", "offset", "size", "duration", "voice")}
        return {
            "item_id": self.item_id, "key": self.prompt.key, "task": "closed", "lang": LANG, "variant": self.variant,
            "prompt": self.text, "clean_prompt": self.prompt.prompt,
            "instruction_id_list": list(self.prompt.instruction_id_list),
            "kwargs": json.dumps(self.prompt.kwargs, sort_keys=True, ensure_ascii=False),
            "notes": json.dumps(self.notes, sort_keys=True), **place,
        }  # fmt: skip


def plan(prompts: list[Prompt], settings: Benchmark) -> tuple[list[Planned], dict[str, str], dict[str, str]]:
    """(items, why a variant is absent, why an accent's voice is missing).

    Raises InserterError when the main voice, or an accent that is not optional, cannot be used.
    """
    (_, *accents), missing = usable([settings.voice, *settings.variants.accents])
    absent = {name: reason for name, reason in _absent(settings, accents, missing).items() if reason}
    variants = {name: make for name, make in VARIANTS.items() if name not in absent}
    return [make(prompt, settings, accents) for make in variants.values() for prompt in prompts], absent, missing


def _absent(settings: Benchmark, accents: list[Voice], missing: dict[str, str]) -> dict[str, str]:
    spec = settings.variants
    none = "; ".join(f"{name}: {reason}" for name, reason in missing.items()) or "benchmark.variants.accents is empty"
    return {
        "background": "" if spec.snr_db else "benchmark.variants.snr_db is empty",
        "accent": "" if accents else f"no accent voice can be used ({none})",
        "paralinguistics": "" if spec.rates or spec.pitches else "benchmark.variants.rates and pitches are empty",
    }


def _standard(prompt: Prompt, settings: Benchmark, accents: list[Voice]) -> Planned:
    return Planned("standard", prompt, prompt.prompt, settings.voice, {})


def _background(prompt: Prompt, settings: Benchmark, accents: list[Voice]) -> Planned:
    random = rng(settings.seed, "background", prompt.key)
    snr, noise = random.choice(settings.variants.snr_db), random.choice(NOISES)
    notes = {"snr_db": snr, "noise": noise}
    return Planned("background", prompt, prompt.prompt, settings.voice, notes, Effect(noise, snr))


def _accent(prompt: Prompt, settings: Benchmark, accents: list[Voice]) -> Planned:
    voice = rng(settings.seed, "accent", prompt.key).choice(accents)
    return Planned("accent", prompt, prompt.prompt, voice, {"accent": voice.name, "engine": voice.engine})


def _paralinguistics(prompt: Prompt, settings: Benchmark, accents: list[Voice]) -> Planned:
    spec, voice = settings.variants, settings.voice
    changes = [("rate", value) for value in spec.rates] + [("pitch", value) for value in spec.pitches]
    name, factor = rng(settings.seed, "paralinguistics", prompt.key).choice(changes)
    changed = voice.model_copy(update={"name": f"{voice.name} {name} {factor:g}", name: getattr(voice, name) * factor})
    return Planned("paralinguistics", prompt, prompt.prompt, changed, {name: factor})


def _disfluency(prompt: Prompt, settings: Benchmark, accents: list[Voice]) -> Planned:
    random = rng(settings.seed, "disfluency", prompt.key)
    text, kinds = disfluent(prompt.prompt, prompt.kwargs, settings.variants.disfluencies, random)
    return Planned("disfluency", prompt, text, settings.voice, {"disfluencies": kinds})


VARIANTS: dict[str, Callable[[Prompt, Benchmark, list[Voice]], Planned]] = {
    "standard": _standard,
    "background": _background,
    "accent": _accent,
    "paralinguistics": _paralinguistics,
    "disfluency": _disfluency,
}
