"""Plan how our own items are spoken: by which voice, and with which change of text or clip.

Closed-ended items come in five variants. Each variant has the text and voice of the standard form;
only accent has another voice, and only disfluency another text. So each variant has a clean twin
with the same key. The changes are drawn from (seed, variant, key). Open-ended and adjustment items
are spoken in the standard form only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from inserter.audio.effects import Effect
from inserter.params import Benchmark, Variants, Voice
from inserter.prompts import Prompt
from inserter.seeds import rng
from inserter.tts import usable
from stages.benchmark.disfluency import disfluent
from stages.benchmark.planned import Planned

ENGLISH_ONLY = ("accent", "disfluency")
NO_CHINESE = "our accent voices and disfluencies are English"


@dataclass(frozen=True)
class Plan:
    """The items to be spoken, and what cannot be spoken."""

    items: list[Planned]

    absent: dict[str, str]
    """{variant: reason}, or {language/variant: reason} if only one language lacks the variant."""

    missing: dict[str, str]
    """{accent voice: reason} of the accent voices that cannot be used."""

    text_only: list[str]
    """Languages that no voice speaks."""


def plan(prompts: list[Prompt], settings: Benchmark) -> Plan:
    """Return the plan for all `prompts`, in their order.

    The items of one prompt are adjacent, standard first, and the items of one language are
    together. Raises InserterError if a main voice, or an accent that is not optional, cannot be
    used.
    """
    main = [voice for voice in (settings.voices.en, settings.voices.cn) if voice]
    found, missing = usable([*main, *settings.variants.accents])
    accents = [voice for voice in found if voice not in main]
    absent = {name: reason for name, reason in _absent(settings, accents, missing).items() if reason}
    chinese = [name for name in ENGLISH_ONLY if name not in absent] if settings.voices.cn else []
    items = [item for prompt in prompts for item in _items(prompt, settings, accents, absent=absent)]
    text_only: list[str] = sorted({item.prompt.lang for item in items if item.voice is None})
    return Plan(items, absent | {f"cn/{name}": NO_CHINESE for name in chinese}, missing, text_only)


def _items(prompt: Prompt, settings: Benchmark, accents: list[Voice], *, absent: dict[str, str]) -> list[Planned]:
    voice: Voice | None = getattr(settings.voices, prompt.lang)
    standard = Planned("standard", prompt, prompt.prompt, voice, prompt.notes)
    if voice is None or prompt.task != "closed":
        return [standard]
    left_out = {*absent, *(ENGLISH_ONLY if prompt.lang != "en" else ())}
    names = [name for name in VARIANTS if name not in left_out]
    draws = [Draw(prompt, voice, settings, accents, rng(settings.seed, name, *_place(prompt))) for name in names]
    return [standard, *(VARIANTS[name](draw) for name, draw in zip(names, draws, strict=True))]


def _place(prompt: Prompt) -> tuple[str, ...]:
    return (prompt.key,) if prompt.lang == "en" else (prompt.lang, prompt.key)


def _absent(settings: Benchmark, accents: list[Voice], missing: dict[str, str]) -> dict[str, str]:
    spec = settings.variants
    none = "; ".join(f"{name}: {reason}" for name, reason in missing.items()) or "benchmark.variants.accents is empty"
    return {
        "background": "" if spec.snr_db and spec.noises else "benchmark.variants.snr_db or noises is empty",
        "accent": "" if accents else f"no accent voice can be used ({none})",
        "paralinguistics": "" if _changes(spec) else "benchmark.variants has no rates, pitches, loudness_db and whisper",
    }


@dataclass(frozen=True)
class Draw:
    """The inputs from which a variant of one prompt is drawn."""

    prompt: Prompt
    voice: Voice
    settings: Benchmark
    accents: list[Voice]
    random: Random


def _background(draw: Draw) -> Planned:
    spec = draw.settings.variants
    snr, noise = draw.random.choice(spec.snr_db), draw.random.choice(spec.noises)
    effect = Effect(noise, snr)
    return Planned("background", draw.prompt, draw.prompt.prompt, draw.voice, {"snr_db": snr, "noise": noise}, effect)


def _accent(draw: Draw) -> Planned:
    voice = draw.random.choice(draw.accents)
    return Planned("accent", draw.prompt, draw.prompt.prompt, voice, {"accent": voice.name, "engine": voice.engine})


def _changes(spec: Variants) -> dict[str, tuple[float, ...]]:
    """Return the kinds of paralinguistic change that are configured, with their values."""
    every = {"rate": spec.rates, "pitch": spec.pitches, "loudness_db": spec.loudness_db, "whisper": (1.0,) * spec.whisper}
    return {name: values for name, values in every.items() if values}


def _paralinguistics(draw: Draw) -> Planned:
    changes, voice, effect = _changes(draw.settings.variants), draw.voice, None
    name = draw.random.choice(list(changes))
    value = draw.random.choice(changes[name])
    if name == "whisper":
        effect = Effect(whisper=True)
    elif name == "loudness_db":
        effect = Effect(loudness_db=value)
    else:
        voice = voice.model_copy(update={"name": f"{voice.name} {name} {value:g}", name: getattr(voice, name) * value})
    notes = {name: True if name == "whisper" else value}
    return Planned("paralinguistics", draw.prompt, draw.prompt.prompt, voice, notes, effect)


def _disfluency(draw: Draw) -> Planned:
    text, kinds = disfluent(draw.prompt.prompt, draw.prompt.kwargs, draw.settings.variants.disfluencies, random=draw.random)
    return Planned("disfluency", draw.prompt, text, draw.voice, {"disfluencies": kinds})


# In the order of speaking. The first two share the text and voice of the standard clip, which are
# then spoken once.
VARIANTS: dict[str, Callable[[Draw], Planned]] = {
    "background": _background,
    "paralinguistics": _paralinguistics,
    "accent": _accent,
    "disfluency": _disfluency,
}
