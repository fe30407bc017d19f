"""Speak the prompts, and verify their clips as the stage `verify` does the corpus.

A clip that fails is quarantined with its reason.
"""

from collections import Counter
from collections.abc import Iterable
from typing import cast

from inserter.errors import InserterError
from inserter.files import write_table
from inserter.params import Params, Synthesize, Voice
from inserter.run.work import WorkFolder
from inserter.seeds import rng
from inserter.tables import UTTERANCES, VERIFIED, Pair, Utterance, Verified
from inserter.tts import Job, speak_all, usable
from inserter.verification.blocks import judged, listeners_of, measure_blocks
from inserter.verification.norms import Norms

PROMPTS = "clips"  # folder of the generated prompts' clips, below data/sft
BLOCK = 32  # clips; the default's 150 clips are to be shared by two cores or by eight


def teachers(synthesize: Synthesize, language: str = "en", what: str = "sft's prompts") -> list[Voice]:
    """Return the voices that can speak a language in training.

    what: what they speak, for the error. Raises InserterError if there is none.
    """
    named = [voice for voice in synthesize.voices if voice.language == language and not voice.heldout]
    if not named:
        raise InserterError(
            f"the language of {what} is {language}, and synthesize.voices has no voice to train on that speaks it",
            f"Add a voice with `language: {language}` to synthesize.voices",
        )
    return usable(named)[0]


def drawn(voices: list[Voice], seed: int, utt_id: str) -> str:
    """Return the name of the voice that speaks a clip."""
    return rng(seed, utt_id, "voice").choices(voices, [voice.weight for voice in voices])[0].name


def spoken(params: Params, pairs: list[Pair], work: WorkFolder) -> tuple[list[Utterance], Counter[str]]:
    """Write the clips' shards below out/clips.

    Return the clips' rows (schema UTTERANCES), and how often each error prevented a clip.
    """
    voices = teachers(params.synthesize)
    jobs = [
        Job(
            pair["utt_id"],
            pair["pair_id"],
            "train",
            pair["prompt"],
            pair["spoken"],
            drawn(voices, params.sft.seed, pair["pair_id"]),
        )
        for pair in pairs
    ]
    rows = said(params, jobs, voices, work=work)
    return [row for row in rows if not row["error"]], Counter(row["error"] for row in rows if row["error"])


def said(params: Params, jobs: list[Job], voices: list[Voice], *, work: WorkFolder, place: str = PROMPTS) -> list[Utterance]:
    """Speak the jobs into shards below out/`place`; return the rows (schema UTTERANCES)."""
    return speak_all(
        jobs,
        voices,
        work / "out" / place,
        rows=work / place / "clip-rows",
        seed=params.sft.seed,
        workers=params.synthesize.workers,
        executor=params.executor,
        fingerprint=work.key,
        label=f"synthesize {place}",
    )


def verified(
    params: Params, clips: list[Utterance], corpus: Iterable[Verified], *, work: WorkFolder, place: str = PROMPTS
) -> tuple[list[Utterance], list[Verified]]:
    """Write clips.parquet (schema UTTERANCES) and quarantine.parquet (VERIFIED) beside the shards.

    Return the clean clips, and the others, which have a reason.
    corpus: clean clips of the same voices, from which the usual durations are learnt.
    """
    folder = work / "out" / place
    blocks = [clips[start : start + BLOCK] for start in range(0, len(clips), BLOCK)]
    measured = measure_blocks(
        blocks,
        len(clips),
        folder,
        folder=work / place / "heard",
        listeners=listeners_of(params),
        params=params,
        label=f"verify {place}",
    ).paths
    norms = Norms()
    norms.learn(corpus)
    rows = [verdict.row for verdicts in judged(measured, norms, params.verify) for verdict in verdicts]
    columns = UTTERANCES.names
    clean = [
        cast(Utterance, {name: value for name, value in row.items() if name in columns}) for row in rows if row["reason"] is None
    ]
    refused = [row for row in rows if row["reason"] is not None]
    write_table(folder / "clips.parquet", clean, UTTERANCES)
    write_table(folder / "quarantine.parquet", refused, VERIFIED)
    return clean, refused
