"""Measure the model on held-out contexts beside its own cascade.

In the cascade, the same model reads the recogniser's transcript.
"""

import hashlib
from collections.abc import Iterator, Sequence

from inserter.assets import asr_folder
from inserter.evaluation import HearingReport
from inserter.files import read_table
from inserter.params import Params
from inserter.paths import DATA
from inserter.run.work import WorkFolder
from inserter.tables import HELDOUT, KL, VERIFIED, HeldOutContext, Loss, Verified
from inserter.training.gap import HeldOut, Measured, figures
from inserter.training.heldout import REPORTED_IN, SEEN_CLIP, UNSEEN_CLIP, Subject, measure, text_loss
from inserter.training.states import States, encode_clips
from models import InserterForConditionalGeneration, InserterProcessor
from stages.evaluate.recogniser import Clip
from stages.evaluate.transcripts import hears_words, own_words, transcripts

HELDOUT_FILE = DATA / "interleave" / "heldout.parquet"
CLEAN_FILE = DATA / "verify" / "clean.parquet"


def heldout_clips(
    model: InserterForConditionalGeneration, processor: InserterProcessor, precision: str
) -> tuple[list[HeldOutContext], list[Verified], States]:
    """Return the held-out rows, the rows of that split's clips, and the states of these clips."""
    heldout = read_table(HELDOUT_FILE, HELDOUT)
    clips = read_table(CLEAN_FILE, VERIFIED, where={"split": ["heldout"]})
    return heldout, clips, encode_clips(model, processor, clips, shards=DATA / "synthesize", precision=precision)


def hearing(
    params: Params, model: InserterForConditionalGeneration, processor: InserterProcessor, *, work: WorkFolder
) -> tuple[HearingReport, list[Loss]]:
    """Return what the report says of held-out contexts, and the rows of LOSSES.

    The report has `figures` and the loss of the text alone.
    """
    heldout, clips, states = heldout_clips(model, processor, params.evaluate.precision)
    used = {row[clip] for row in heldout for clip in (SEEN_CLIP, UNSEEN_CLIP)}
    if hears_words(model):
        written = {name: own_words(processor, states[name]) for name in used if name}
    else:
        items: list[Clip] = [
            {
                "item_id": row["utt_id"],
                "lang": row["language"],
                "shard": row["shard"],
                "offset": row["offset"],
                "size": row["size"],
            }
            for row in clips
            if row["utt_id"] in used
        ]
        written = transcripts(
            items, asr_folder(params.assets.asr), work, shards=DATA / "synthesize", name="transcripts of contexts"
        )
    subject = Subject(model, processor, states, REPORTED_IN, shared=True)
    found = measure(subject, heldout, written)
    return {**figures(found), "text_nll": text_loss(subject, heldout)}, list(loss_rows(found))


def loss_rows(found: HeldOut) -> Iterator[Loss]:
    """Yield the rows of LOSSES."""
    contexts = {row["doc_id"]: row["context"] for row in found.documents}
    contents = [
        hashlib.blake2b(
            "\x1f".join((row["context"], row["continuation"], contexts[row["other_doc_id"]])).encode(), digest_size=8
        ).hexdigest()
        for row in found.documents
    ]
    every = range(len(found.documents))
    voices: list[tuple[str, Sequence[int], Measured]] = [("seen", every, found.seen), ("unseen", found.both, found.unseen or {})]
    for voice, places, measured in voices:
        kl = {KL: found.kl[voice]} if voice in found.kl else {}
        for context, pairs in {**measured, **kl}.items():
            for place, (loss, tokens) in zip(places, pairs, strict=True):
                yield {
                    "doc_id": found.documents[place]["doc_id"],
                    "content": contents[place],
                    "voice": voice,
                    "context": context,
                    "loss": loss,
                    "tokens": tokens,
                }
