"""The schemas of what stages exchange. A column is described once, here."""

import pyarrow as pa

S, N, F, B = pa.string(), pa.int64(), pa.float64(), pa.bool_()


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


LEXICON = "lexicon"  # the split, the source and the level of lists of rare words: spoken for the adapter, no part of any sequence

# data/corpus/documents-*.parquet. license and weight are the source's; language: ISO 639-1; split: "train", "heldout" or LEXICON.
DOCUMENTS = _schema(doc_id=S, source=S, license=S, weight=F, language=S, split=S, text=S, n_words=N)

# data/segment/spans.parquet. [start, end) are character offsets into the document's text and written == text[start:end];
# spoken is the same span as a voice reads it. level: "word", "sentence", "context" (held-out documents: the
# span after which the continuation loss is measured), or LEXICON (a line of a list).
SPANS = _schema(utt_id=S, doc_id=S, split=S, level=S, language=S, start=N, end=N, written=S, spoken=S)

# data/synthesize/utterances.parquet; also the utterances that sft and benchmark speak for themselves.
# The clip is bytes [offset, offset + size) of `shard` (a FLAC file, 16 kHz mono, inside a tar).
# license: the voice's. content: a hash of what decides the voice's own samples (text and voice), the same for the same speech
# anywhere; effect: what was done to them, as JSON. The speech as it was before is bytes [original_offset, + original_size) of the
# same shard, which are the clip's own where nothing was done; original_size 0: not kept.
# error: None, or why there is no clip (then shard is None and the numbers are 0).
UTTERANCES = _schema(
    utt_id=S,
    doc_id=S,
    split=S,
    language=S,
    written=S,
    spoken=S,
    engine=S,
    voice=S,
    license=S,
    content=S,
    effect=S,
    shard=S,
    offset=N,
    size=N,
    original_offset=N,
    original_size=N,
    sample_rate=N,
    n_samples=N,
    duration=F,
    error=S,
)

UNSEEN = "-unseen"  # ends the utt_id of a held-out context that is spoken once more, in a voice that training does not hear

# data/synthesize/shards.parquet: the tar files, in order. clips: utterances that are in it; fingerprint: of the parameters, inputs
# and code that it was made from (its `shard.json` has the same).
SHARDS = _schema(shard=S, size=N, sha256=S, clips=N, fingerprint=S)

# data/verify/clean.parquet and quarantine.parquet. reason: None in clean; the other columns are None where a clip could not be
# measured. heard: the words of the fast recogniser. wer: word errors over the words to be said; extra: words heard beyond those;
# ending: how like the last words to be said is what was heard there (0 to 1): the figures that counted, of either recogniser.
# wrote: the text of the fast recogniser as it writes it, None where the
# spoken form has no number that is written otherwise.
# second_*: by the second opinion alone, None where it was not asked. level_db: RMS in dBFS; clipping: share of samples in flat
# tops; silence: longest run 40 dB below the loud frames, seconds; dc: mean of the samples; snr_db: from the quiet frames to the
# loud ones (10th to 95th percentile); tail_db: what the last 30 ms have above that floor, against the loud frames; pace: characters
# of the spoken form a second; duration_z: robust z-score of the duration, given the text, among the voice's clips (None: too few).
_HEARD = {"heard": S, "wer": F, "extra": N, "ending": F, "wrote": S}
_SIGNAL = {"level_db": F, "clipping": F, "silence": F, "dc": F, "snr_db": F, "tail_db": F}
VERIFIED = pa.schema(
    [
        *UTTERANCES,
        *_schema(**_HEARD, **{f"second_{name}": kind for name, kind in _HEARD.items()}),
        *_schema(**_SIGNAL, pace=F, duration_z=F, reason=S),
    ]
)


def reason_kind(reason: str) -> str:
    """What a reason of VERIFIED is counted by: its first word."""
    return reason.split(maxsplit=1)[0].rstrip(":")


# data/interleave/sequences.parquet. kind: "interleaved", "transcribe", "continue" or "text".
# parts in order; text is what stands there in writing, and for a spoken part utt_id names the clip that replaces it.
# Only text parts with loss=True are learnt.
PART = pa.struct([("text", S), ("utt_id", S), ("loss", B)])
SEQUENCES = _schema(seq_id=S, doc_id=S, kind=S, parts=pa.list_(PART), n_words=N)

# data/interleave/heldout.parquet: a context that can be heard (utt_id; unseen_utt_id in a voice that training has not heard, or
# None) or read (context), what follows it, and the other document whose context is the honest baseline.
HELDOUT = _schema(doc_id=S, utt_id=S, unseen_utt_id=S, context=S, continuation=S, other_doc_id=S)

# data/evaluate/losses.parquet: what the continuation of a held-out document costs after each context. voice: "seen" or "unseen", of
# who speaks the context; what is read or absent stands under "seen" alone. context: heard_own, heard_other, cascade_own,
# cascade_other, read_own, read_other, absent, or KL. loss: summed over the tokens, in nats; of KL the divergence of the next-token
# distributions after the heard context from those after the read one. content: a hash of the texts, the same in any run.
LOSSES = _schema(doc_id=S, content=S, voice=S, context=S, loss=F, tokens=N)
KL = "kl_read_heard"

# data/sft/pairs.parquet: an instruction, its spoken clip, and the LM's own answer that passes the checks (ids and kwargs as JSON).
# data/sft/clips: their clips (clips.parquet, UTTERANCES), and those whose prompts make no pair (quarantine.parquet, VERIFIED).
PAIRS = _schema(pair_id=S, prompt=S, spoken=S, utt_id=S, instruction_id_list=pa.list_(S), kwargs=S, response=S)

# data/benchmark/items.parquet. task: "closed", "open" or "adjustment"; key: the item, the same for all its variants;
# prompt: what is spoken (a disfluent variant has its own wording, clean_prompt has not); kwargs: JSON list parallel to
# instruction_id_list (closed; [] elsewhere); questions: what a judge is asked of an answer (open; [] elsewhere). Audio is bytes
# [offset, offset + size) of `shard`; an item that is only read has shard None and numbers 0. notes: its parameters as JSON.
ITEMS = _schema(
    item_id=S,
    key=S,
    task=S,
    lang=S,
    variant=S,
    prompt=S,
    clean_prompt=S,
    instruction_id_list=pa.list_(S),
    kwargs=S,
    questions=pa.list_(S),
    shard=S,
    offset=N,
    size=N,
    duration=F,
    voice=S,
    notes=S,
)
