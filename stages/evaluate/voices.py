"""Which benchmark items were spoken by a voice that training has heard, and the closed-ended scores of both kinds apart."""

from collections.abc import Callable
from typing import Any

from inserter.params import Params, Voice
from inserter.scoring.scores import Row, closed_table

Seen = Callable[[str], bool]
HEARD_OR_READ = ("heard", "cascade", "asr_lm", "read")


def seen_voices(params: Params) -> Seen:
    """Says of a voice's name in ITEMS whether training has heard the speaker, at whatever rate or pitch.

    What is not a voice of ours, as in a real data set, training has not heard.
    """
    heard = {_speaker(voice) for voice in params.synthesize.voices if not voice.heldout}
    settings = params.benchmark
    ours = [voice for voice in (settings.voices.en, settings.voices.cn, *settings.variants.accents) if voice]
    names = {voice.name for voice in ours if _speaker(voice) in heard}
    return lambda name: any(name == seen or name.startswith(f"{seen} ") for seen in names)  # "heart pitch 0.85" is heart


def _speaker(voice: Voice) -> tuple[str | None, ...]:
    return (voice.engine, voice.voice, voice.speaker, voice.model)


def by_voice(rows: list[Row], seen: Seen) -> dict[str, Any]:
    """{lang: {"seen": {variant: {form: cell}}, "unseen": {...}}}: `closed_table` of the items that have audio, in the forms that
    hear it and in `read`, by whether their voice was seen. A kind that a language has no items of is None."""
    spoken = [row for row in rows if row["voice"] and row["form"] in HEARD_OR_READ]
    kinds = {"seen": True, "unseen": False}
    tables = {kind: closed_table([row for row in spoken if seen(row["voice"]) is is_seen]) for kind, is_seen in kinds.items()}
    return {lang: {kind: tables[kind].get(lang) for kind in kinds} for lang in sorted({row["lang"] for row in spoken})}
