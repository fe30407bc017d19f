"""Schemas of the tables that stages exchange. Each column is described once, here."""

import pyarrow as pa

S, N, F, B = pa.string(), pa.int64(), pa.float64(), pa.bool_()


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


LEXICON = "lexicon"
"""Split, source and level of the lists of rare words.

The lists are spoken for the adapter and are part of no sequence.
"""

DOCUMENTS = _schema(doc_id=S, source=S, license=S, weight=F, language=S, split=S, text=S, n_words=N)
"""data/corpus/documents-*.parquet: the documents of the corpus.

- license, weight: those of the source.
- language: ISO 639-1.
- split: "train", "heldout" or LEXICON.
"""

SPANS = _schema(utt_id=S, doc_id=S, split=S, level=S, language=S, start=N, end=N, written=S, spoken=S)
"""data/segment/spans.parquet: the spans of documents that become speech.

- level: "word", "sentence", "context" or LEXICON. "context" is the span of a held-out document
  after which the continuation loss is measured. LEXICON is a line of a list.
- start, end: character offsets [start, end) into the document's text.
- written: the span as text, text[start:end].
- spoken: the same span as a voice reads it.
"""

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
"""data/synthesize/utterances.parquet, and the utterances that sft and benchmark speak themselves.

- license: that of the voice.
- content: a hash of the text and the voice, which decide the voice's own samples. The same speech
  has the same hash anywhere.
- effect: what was done to the voice's samples, as JSON.
- shard, offset, size: the clip is bytes [offset, offset + size) of the tar `shard`. It is a FLAC
  file, 16 kHz mono.
- original_offset, original_size: the bytes of the speech before its effect, in the same shard.
  Without an effect they are the clip's own bytes. An original_size of 0 means not kept.
- duration: seconds.
- error: None, or why there is no clip. Without a clip, shard is None, and the offsets, the sizes,
  n_samples and duration are 0.
"""

UNSEEN = "-unseen"
"""Suffix of the utt_id of a held-out context's second clip, in a voice unseen in training."""

SHARDS = _schema(shard=S, size=N, sha256=S, clips=N, fingerprint=S)
"""data/synthesize/shards.parquet: the tar files, in order.

- size: bytes.
- clips: number of utterances in the shard.
- fingerprint: of the parameters, inputs and code that made the shard; also in its `shard.json`.
"""

_HEARD = {"heard": S, "wer": F, "extra": N, "ending": F, "wrote": S}
_SIGNAL = {"level_db": F, "clipping": F, "silence": F, "dc": F, "snr_db": F, "tail_db": F}
VERIFIED = pa.schema(
    [
        *UTTERANCES,
        *_schema(**_HEARD, **{f"second_{name}": kind for name, kind in _HEARD.items()}),
        *_schema(**_SIGNAL, pace=F, duration_z=F, reason=S),
    ]
)
"""data/verify/clean.parquet and quarantine.parquet: utterances with their measurements.

The columns beyond UTTERANCES, except reason, are None if the clip could not be measured.

- heard: the words of the fast recogniser.
- wer: word errors over the words to be said.
- extra: words heard beyond those to be said.
- ending: similarity of the last words to be said to what was heard there, 0 to 1.
- wrote: the fast recogniser's text as written. None if the spoken form has no number that the text
  writes otherwise.
- second_*: the same from the second opinion alone; None if it was not asked.
- level_db: RMS in dBFS.
- clipping: share of the samples in flat tops.
- silence: longest run of frames 40 dB below the loud ones, or within 8 dB of the floor, in seconds.
- dc: mean of the samples.
- snr_db: range from the quiet frames (10th percentile, the floor) to the loud ones (95th).
- tail_db: level of the last 30 ms above the floor, relative to the loud frames.
- pace: characters of the spoken form per second.
- duration_z: robust z-score of the duration, given the text, among the voice's clips. None if there
  are too few clips.
- reason: why the clip is refused; None in clean.parquet.

wer, extra and ending are the figures that counted, of either recogniser.
"""


def reason_kind(reason: str) -> str:
    """Return the kind by which a reason of VERIFIED is counted: its first word."""
    return reason.split(maxsplit=1)[0].rstrip(":")


PART = pa.struct([("text", S), ("utt_id", S), ("loss", B)])
"""One part of a sequence.

- text: the part in writing.
- utt_id: the clip that replaces the text; None for a part that is read.
- loss: whether the text is learnt; only text parts are.
"""

SEQUENCES = _schema(seq_id=S, doc_id=S, kind=S, parts=pa.list_(PART), n_words=N)
"""data/interleave/sequences.parquet: the training sequences.

- kind: "interleaved", "transcribe", "continue" or "text".
- parts: in order; see PART.
"""

HELDOUT = _schema(doc_id=S, utt_id=S, unseen_utt_id=S, context=S, continuation=S, other_doc_id=S)
"""data/interleave/heldout.parquet: held-out contexts and what follows them.

- utt_id: the clip of the context.
- unseen_utt_id: the clip in a voice that training has not heard, or None.
- context: the context in writing.
- continuation: the text that follows.
- other_doc_id: the other document whose context is the honest baseline.
"""

LOSSES = _schema(doc_id=S, content=S, voice=S, context=S, loss=F, tokens=N)
"""data/evaluate/losses.parquet: the loss of a held-out document's continuation after each context.

- content: a hash of the texts, the same in any run.
- voice: "seen" or "unseen" by training. Contexts that are read or absent appear as "seen" only.
- context: heard_own, heard_other, cascade_own, cascade_other, read_own, read_other, absent or KL.
- loss: summed over the tokens, in nats. For KL it is the divergence of the next-token distributions
  after the heard context from those after the read context.
"""

KL = "kl_read_heard"

PAIRS = _schema(pair_id=S, prompt=S, spoken=S, utt_id=S, instruction_id_list=pa.list_(S), kwargs=S, response=S)
"""data/sft/pairs.parquet: instructions, each with its clip and an answer of the LM's own.

- response: the LM's answer, which passes the checks.
- instruction_id_list, kwargs: the checks; kwargs is JSON.

data/sft/clips holds the clips of the pairs (clips.parquet, schema UTTERANCES). It also holds the
clips whose prompts make no pair (quarantine.parquet, schema VERIFIED).
"""

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
"""data/benchmark/items.parquet: one row per item and variant.

- key: the item, the same for all its variants.
- task: "closed", "open" or "adjustment".
- prompt: what is spoken. A disfluent variant has a wording of its own.
- clean_prompt: the prompt without disfluencies.
- kwargs: a JSON list parallel to instruction_id_list (closed; [] elsewhere).
- questions: what a judge is asked about an answer (open; [] elsewhere).
- shard, offset, size: the audio is bytes [offset, offset + size) of `shard`. An item that is only
  read has shard None and numbers 0.
- duration: seconds.
- notes: the variant's parameters as JSON.
"""
