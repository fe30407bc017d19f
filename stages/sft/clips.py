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
from inserter.tables import UTTERANCES, VERIFIED, Pair, Utterance, Verified, known, reason_kind
from inserter.tts import Job, speak_all, usable
from inserter.verification.blocks import judged, listeners_of, measure_blocks
from inserter.verification.norms import Norms

BLOCK = 32  # clips; the default's 150 clips are to be shared by two cores or by eight


def teachers(synthesize: Synthesize) -> list[Voice]:
    """Return the voices that can speak the prompts, which are English.

    Raises InserterError if there is none.
    """
    named = [voice for voice in synthesize.voices if voice.language == "en" and not voice.heldout]
    if not named:
        raise InserterError(
            "sft's prompts are English, and synthesize.voices has no English voice to train on",
            "Add an English voice to synthesize.voices",
        )
    return usable(named)[0]


def spoken(params: Params, pairs: list[Pair], work: WorkFolder) -> tuple[list[Utterance], Counter[str]]:
    """Write the clips' shards below out/clips.

    Return the clips' rows (schema UTTERANCES), and how often each error prevented a clip.
    """
    voices = teachers(params.synthesize)
    jobs = []
    for pair in pairs:
        voice = rng(params.sft.seed, pair["pair_id"], "voice").choices(voices, [v.weight for v in voices])[0]
        jobs.append(Job(pair["utt_id"], pair["pair_id"], "train", pair["prompt"], pair["spoken"], voice.name))
    rows = speak_all(
        jobs,
        voices,
        work / "out" / "clips",
        rows=work / "clip-rows",
        seed=params.sft.seed,
        workers=params.synthesize.workers,
        executor=params.executor,
        fingerprint=work.key,
        label="synthesize prompts",
    )
    return [row for row in rows if not row["error"]], Counter(row["error"] for row in rows if row["error"])


def verified(
    params: Params, clips: list[Utterance], corpus: Iterable[Verified], *, work: WorkFolder
) -> tuple[list[Utterance], Counter[str]]:
    """Write clips.parquet (schema UTTERANCES) and quarantine.parquet (VERIFIED) beside the shards.

    Return the clean clips, and the number of the others by kind of reason.
    corpus: clean clips of the same voices, from which the usual durations are learnt.
    """
    folder = work / "out" / "clips"
    blocks = [clips[start : start + BLOCK] for start in range(0, len(clips), BLOCK)]
    measured = measure_blocks(
        blocks, len(clips), folder, folder=work / "heard", listeners=listeners_of(params), params=params, label="verify prompts"
    )
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
    return clean, Counter(reason_kind(known(row["reason"])) for row in refused)
