"""Score closed-ended items separately by whether training has heard their voice."""

from collections.abc import Callable

from inserter.evaluation import Response
from inserter.params import Params, Voice
from inserter.scoring.scores import closed_table
from inserter.tables import known

Seen = Callable[[str], bool]
HEARD_OR_READ = ("heard", "cascade", "asr_lm", "read")


def seen_voices(params: Params) -> Seen:
    """Return a function of a voice's name in ITEMS: whether training has heard the speaker.

    The voice's rate and pitch do not matter. A voice that is not ours, as in a real data set, was
    not heard.
    """
    heard = {_speaker(voice) for voice in params.synthesize.voices if not voice.heldout}
    settings = params.benchmark
    ours = [voice for voice in (settings.voices.en, settings.voices.cn, *settings.variants.accents) if voice]
    names = {voice.name for voice in ours if _speaker(voice) in heard}
    # "heart pitch 0.85" is the voice "heart".
    return lambda name: any(name == seen or name.startswith(f"{seen} ") for seen in names)


def _speaker(voice: Voice) -> tuple[str | None, ...]:
    return (voice.engine, voice.voice, voice.speaker, voice.model)


def by_voice(rows: list[Response], seen: Seen) -> dict[str, object]:
    """Return `closed_table` of the items with audio, separately for seen and unseen voices.

    The shape is {lang: {"seen": {variant: {form: cell}}, "unseen": {...}}}. The forms are those
    that hear the audio, and `read`. A kind without items in a language is None.
    """
    spoken = [row for row in rows if row["voice"] and row["form"] in HEARD_OR_READ]
    kinds = {"seen": True, "unseen": False}
    tables = {
        kind: closed_table([row for row in spoken if seen(known(row["voice"])) is is_seen]) for kind, is_seen in kinds.items()
    }
    return {lang: {kind: tables[kind].get(lang) for kind in kinds} for lang in sorted({row["lang"] for row in spoken})}
