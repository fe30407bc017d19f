"""Choose the voice of a span and the effect on its clip, from (seed, utterance) alone.

Neither the order of the spans nor the other spans change the choice.
"""

import math
from collections.abc import Sequence

from inserter.audio.effects import draw
from inserter.errors import InserterError
from inserter.params import Synthesize, Voice
from inserter.seeds import derive, np_rng
from inserter.tables import UNSEEN, Span
from inserter.tts import Job


def assign(span: Span, spec: Synthesize, voices: Sequence[Voice], *, speaker: str | None = None) -> list[Job]:
    """Return the jobs of a row of SPANS.

    speaker: the voice with a recording of the span, which is then its only job, as it was recorded.

    Each span has one job. A held-out context has a second job in a held-out voice, if there is such
    a voice in its language. Contexts are spoken without noise and without a room.
    voices: the voices of the pool that can be used on this machine.
    Raises InserterError if no voice speaks the span's language.
    """
    if speaker is not None:
        return [Job(span["utt_id"], span["doc_id"], span["split"], span["written"], span["spoken"], speaker)]
    seen = [voice for voice in voices if voice.language == span["language"] and not voice.heldout]
    if not seen:
        spoken = ", ".join(sorted({voice.language for voice in voices if not voice.heldout})) or "none"
        problem = (
            f"no voice speaks {span['language']!r}, the language of {span['utt_id']} (languages of the training voices: {spoken})"
        )
        raise InserterError(problem, "Add a voice to synthesize.voices, or remove the language from corpus.languages")
    jobs = [_job(span, span["utt_id"], spec, voices=seen)]
    unseen = [voice for voice in voices if voice.language == span["language"] and voice.heldout]
    if span["level"] == "context" and unseen:
        jobs.append(_job(span, span["utt_id"] + UNSEEN, spec, voices=unseen))
    return jobs


def _job(span: Span, utt_id: str, spec: Synthesize, *, voices: Sequence[Voice]) -> Job:
    voice = pick(spec.seed, span["utt_id"], voices)
    effect = draw(spec.augmentation, np_rng(spec.seed, "effect", span["utt_id"]), noise=span["level"] != "context")
    return Job(utt_id, span["doc_id"], span["split"], span["written"], span["spoken"], voice.name, effect)


def pick(seed: int, utt_id: str, voices: Sequence[Voice]) -> Voice:
    """Choose one of `voices` by weight, with weighted rendezvous hashing.

    Sources: Thaler and Ravishankar, 1998; with weights: Resch, 2015. If a weight changes, or a
    voice is added or removed, only utterances to or from that voice move.
    """

    def score(voice: Voice) -> float:
        uniform = (derive(seed, "voice", utt_id, voice.name) + 1) / 2**63  # (0, 1]
        return -math.log(uniform) / voice.weight

    return min(voices, key=score)
