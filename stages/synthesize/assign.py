"""Who speaks a span, and what is done to the clip: from (seed, utterance) alone, so that order and company change nothing."""

import math
from collections.abc import Sequence

from inserter.audio.effects import draw
from inserter.errors import InserterError
from inserter.params import Synthesize, Voice
from inserter.seeds import derive, np_rng
from inserter.tables import UNSEEN
from inserter.tts import Job


def assign(span: dict, spec: Synthesize, voices: Sequence[Voice]) -> list[Job]:
    """The jobs of a row of SPANS: one, and for a held-out context a twin in a held-out voice where there is one of its language.

    `voices`: those of the pool that can be used here. Contexts are spoken without noise or room. Raises InserterError when no voice
    speaks the span's language.
    """
    seen = [voice for voice in voices if voice.language == span["language"] and not voice.heldout]
    if not seen:
        spoken = ", ".join(sorted({voice.language for voice in voices if not voice.heldout})) or "none"
        problem = f"no voice speaks {span['language']!r}, the language of {span['utt_id']} (those that are not held out: {spoken})"
        raise InserterError(problem, "Name one in synthesize.voices, or leave the language out of corpus.languages")
    jobs = [_job(span, span["utt_id"], spec, seen)]
    unseen = [voice for voice in voices if voice.language == span["language"] and voice.heldout]
    if span["level"] == "context" and unseen:
        jobs.append(_job(span, span["utt_id"] + UNSEEN, spec, unseen))
    return jobs


def _job(span: dict, utt_id: str, spec: Synthesize, voices: Sequence[Voice]) -> Job:
    voice = pick(spec.seed, span["utt_id"], voices)
    effect = draw(spec.augmentation, np_rng(spec.seed, "effect", span["utt_id"]), noise=span["level"] != "context")
    return Job(utt_id, span["doc_id"], span["split"], span["written"], span["spoken"], voice.name, effect)


def pick(seed: int, utt_id: str, voices: Sequence[Voice]) -> Voice:
    """One of `voices` by weight: weighted rendezvous hashing (Thaler and Ravishankar, 1998; with weights: Resch, 2015).

    Another weight, or a voice more or less, moves only utterances to or from that voice.
    """

    def score(voice: Voice) -> float:
        uniform = (derive(seed, "voice", utt_id, voice.name) + 1) / 2**63  # (0, 1]
        return -math.log(uniform) / voice.weight

    return min(voices, key=score)
