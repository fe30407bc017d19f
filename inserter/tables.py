"""The tables that stages exchange. Each column is described once, here."""

from functools import cached_property
from types import UnionType
from typing import TYPE_CHECKING, Generic, TypedDict, TypeVar, get_args, get_origin, get_type_hints, is_typeddict

if TYPE_CHECKING:  # scoring needs the names alone, and installs no pyarrow
    import pyarrow as pa

Row = TypeVar("Row")
Value = TypeVar("Value")
PRIMITIVES: dict[object, str] = {str: "string", int: "int64", float: "float64", bool: "bool"}


class Table(Generic[Row]):
    """A kind of table: the TypedDict of its rows, and their Arrow schema."""

    def __init__(self, row: type[Row]) -> None:
        self.row = row

    @cached_property
    def schema(self) -> "pa.Schema":
        """The Arrow schema of the fields of `row`, in order."""
        import pyarrow as pa

        return pa.schema(_fields(self.row))

    @property
    def names(self) -> list[str]:
        """The names of the columns, in order."""
        return list(self.schema.names)


def _fields(row: object) -> "list[tuple[str, pa.DataType]]":
    return [(name, _arrow(kind)) for name, kind in get_type_hints(row).items()]


def _arrow(kind: object) -> "pa.DataType":
    """Return the Arrow type of a field. Every column may hold None in the file."""
    import pyarrow as pa

    if isinstance(kind, UnionType):
        (kind,) = (one for one in get_args(kind) if one is not type(None))
    if get_origin(kind) is list:
        return pa.list_(_arrow(get_args(kind)[0]))
    return pa.struct(_fields(kind)) if is_typeddict(kind) else pa.type_for_alias(PRIMITIVES[kind])


LEXICON = "lexicon"
"""Split, source and level of the lists of rare words.

The lists are spoken for the adapter and are part of no sequence.
"""

UNSEEN = "-unseen"
"""Suffix of the utt_id of a held-out context's second clip, in a voice unseen in training."""

KL = "kl_read_heard"
"""The `context` of a Loss that is a divergence."""


TASKS = ("closed", "open", "adjustment")
"""The benchmark's tasks, in order."""

VARIANTS = ("standard", "background", "accent", "paralinguistics", "disfluency")
"""The benchmark's variants, in order."""

ISO_639 = {"cn": "zh"}
"""The benchmark's code of a language to ISO 639-1, where they differ."""


class Document(TypedDict):
    """data/corpus/documents-*.parquet: the documents of the corpus."""

    doc_id: str
    source: str
    license: str
    """Of the source."""
    weight: float
    """Of the source: its share of the words, relative to the others."""
    language: str
    """ISO 639-1."""
    split: str
    """"train", "heldout" or LEXICON."""
    text: str
    n_words: int


class Speaker(TypedDict):
    """data/corpus/recorded/speakers.jsonl: the speakers of a source of recordings.

    Each is a voice of the engine `recorded`. Without such a source there is no file.
    """

    name: str
    """Of the voice: the source and the speaker."""
    table: str
    """The speaker's recordings, below data/corpus/recorded: audio and text, as JSON Lines."""
    language: str
    license: str
    documents: list[str]
    """The ids of the documents that have the speaker's words."""


class Span(TypedDict):
    """data/segment/spans.parquet: the spans of documents that become speech."""

    utt_id: str
    doc_id: str
    split: str
    level: str
    """"word", "sentence", "context" or LEXICON.

    "context" is the span of a held-out document after which the continuation loss is measured.
    """
    language: str
    start: int
    """Character offset into the document's text."""
    end: int
    """Character offset behind the last character."""
    written: str
    """The span as text, text[start:end]."""
    spoken: str
    """The same span as a voice reads it."""


class InShard(TypedDict):
    """Where a clip is. A row of Utterance and a row of Item say so, too."""

    shard: str | None
    offset: int
    size: int


class Clip(InShard):
    """What the encoder takes from a row of Utterance."""

    utt_id: str
    duration: float


class Described(TypedDict):
    """What a clip is. In a shard, the file `utt_id.json` of the clip has these fields."""

    utt_id: str
    doc_id: str
    split: str
    language: str
    written: str
    spoken: str
    engine: str
    voice: str
    license: str
    """Of the voice."""
    content: str
    """Hash of the text and the voice, which decide the voice's own samples: the same anywhere."""
    effect: str
    """What was done to the voice's samples, as JSON."""
    sample_rate: int
    n_samples: int
    duration: float
    """Seconds."""


class Utterance(Described):
    """data/synthesize/utterances.parquet, and what sft and benchmark speak themselves.

    Without a clip, `shard` is None, and the offsets, the sizes, n_samples and duration are 0.
    """

    shard: str | None
    """The tar that holds the clip, a FLAC file, 16 kHz mono."""
    offset: int
    """First byte of the clip in `shard`."""
    size: int
    """Bytes of the clip."""
    original_shard: str | None
    """The tar that holds the speech before its effect; None: not kept.

    Without an effect the speech is the clip itself.
    """
    original_offset: int
    """First byte of the speech before its effect."""
    original_size: int
    """Bytes of the speech before its effect; 0: not kept."""
    error: str | None
    """Why there is no clip."""


class Shard(TypedDict):
    """data/synthesize/shards.parquet: the tar files, in order.

    The tar of the originals of a shard, where there is one, follows the tar of its clips.
    """

    shard: str
    size: int
    """Bytes."""
    sha256: str
    clips: int
    """Number of utterances in the tar."""
    fingerprint: str
    """Of the parameters, inputs and code that made the tar."""


class ShardRecord(TypedDict):
    """data/synthesize/shard-00000.json: what a shard is. It is written when its tars are whole."""

    index: int
    fingerprint: str
    """Of the parameters, inputs and code that made the shard."""
    tars: list[Shard]
    """The clips, and the originals where there are any; a tar without a clip is not written."""


class Verified(Utterance):
    """data/verify/clean.parquet and quarantine.parquet: utterances with their measurements.

    The columns beyond Utterance, except reason, are None if the clip could not be measured. wer,
    extra and ending are the figures that counted, of either recogniser.
    """

    heard: str | None
    """The words of the fast recogniser."""
    wer: float | None
    """Word errors over the words to be said."""
    extra: int | None
    """Words heard beyond those to be said."""
    ending: float | None
    """Similarity of the last words to be said to what was heard there, 0 to 1."""
    wrote: str | None
    """The fast recogniser's text as written; None if it writes no number otherwise."""
    second_heard: str | None
    """As `heard`, of the second opinion alone; None if it was not asked. So are the next four."""
    second_wer: float | None
    second_extra: int | None
    second_ending: float | None
    second_wrote: str | None
    level_db: float | None
    """RMS in dBFS."""
    clipping: float | None
    """Share of the samples in flat tops."""
    silence: float | None
    """Longest run of frames 40 dB below the loud ones or within 8 dB of the floor, in seconds."""
    dc: float | None
    """Mean of the samples."""
    snr_db: float | None
    """Range from the quiet frames (10th percentile, the floor) to the loud ones (95th)."""
    tail_db: float | None
    """Level of the last 30 ms above the floor, relative to the loud frames."""
    pace: float | None
    """Characters of the spoken form per second."""
    duration_z: float | None
    """Robust z-score of the duration, given the text, among the voice's clips; None: too few."""
    reason: str | None
    """Why the clip is refused; None in clean.parquet."""


def reason_kind(reason: str) -> str:
    """Return the kind by which a `reason` of Verified is counted: its first word."""
    return reason.split(maxsplit=1)[0].rstrip(":")


def known(value: Value | None) -> Value:
    """Return the value of a column that is None in some rows, but not in this one."""
    assert value is not None
    return value


class Part(TypedDict):
    """One part of a sequence."""

    text: str
    """The part in writing."""
    utt_id: str | None
    """The clip that replaces the text; None for a part that is read."""
    loss: bool
    """Whether the text is learnt. Only text parts are."""


class Sequence(TypedDict):
    """data/interleave/sequences.parquet: the training sequences."""

    seq_id: str
    doc_id: str
    kind: str
    """"interleaved", "transcribe", "continue" or "text"."""
    parts: list[Part]
    """In order."""
    n_words: int


class Context(TypedDict):
    """A context of a held-out document, and what follows it."""

    doc_id: str
    utt_id: str
    """The clip of the context."""
    unseen_utt_id: str | None
    """The clip in a voice that training has not heard."""
    context: str
    """The context in writing."""
    continuation: str
    """The text that follows."""


class HeldOutContext(Context):
    """data/interleave/heldout.parquet: held-out contexts, each with another document."""

    other_doc_id: str
    """The other document, whose context is the honest baseline."""


class Loss(TypedDict):
    """data/evaluate/losses.parquet: the loss of a continuation after each context."""

    doc_id: str
    content: str
    """Hash of the texts, the same in any run."""
    voice: str
    """"seen" or "unseen" by training. Contexts that are read or absent appear as "seen" only."""
    context: str
    """heard_own, heard_other, cascade_own, cascade_other, read_own, read_other, absent or KL."""
    loss: float
    """Summed over the tokens, in nats.

    For KL it is the divergence of the next-token distributions after the heard context from those
    after the read context.
    """
    tokens: int


class Pair(TypedDict):
    """data/sft/pairs.parquet: instructions, each with its clip and an answer of the LM's own.

    data/sft/clips holds the clips of the pairs (clips.parquet, UTTERANCES), and those whose prompts
    make no pair (quarantine.parquet, VERIFIED).
    """

    pair_id: str
    prompt: str
    spoken: str
    utt_id: str
    instruction_id_list: list[str]
    """The checks that the response passes."""
    kwargs: str
    """The arguments of the checks, as JSON."""
    response: str
    """The LM's answer."""


class Turn(TypedDict):
    """One turn of a conversation."""

    role: str
    """"system", "user" or "assistant"."""
    parts: list[Part]
    """In order. `loss` is true for the assistant's.

    The text of a part with a clip is its transcript, or what the recogniser heard.
    """


class Dialogue(TypedDict):
    """data/sft/dialogues/dialogues.parquet and quarantine.parquet: the rows of `sft.sources`.

    The clips are in `recorded`, as the rows have them, and in `spoken`, by voices. Both folders
    have a clips.parquet (UTTERANCES).
    """

    dialogue_id: str
    source: str
    place: str
    """File and number of the row, from 1; for a data set of the hub the number alone."""
    license: str
    """Of the source."""
    language: str
    forms: list[str]
    """"heard", "read" or both: the forms to learn from. Those that are read need no clip."""
    turns: list[Turn]
    """The system's, if there is one; then the user's and the assistant's by turns."""
    reason: str | None
    """Why the row is refused; None in dialogues.parquet."""


class Item(TypedDict):
    """data/benchmark/items.parquet: one row per item and variant."""

    item_id: str
    key: str
    """The item, the same for all its variants."""
    task: str
    """One of TASKS."""
    lang: str
    variant: str
    prompt: str
    """What is spoken. A disfluent variant has a wording of its own."""
    clean_prompt: str
    """The prompt without disfluencies."""
    instruction_id_list: list[str]
    kwargs: str
    """A JSON list parallel to instruction_id_list (closed; [] elsewhere)."""
    questions: list[str]
    """What a judge is asked about an answer (open; [] elsewhere)."""
    shard: str | None
    """The tar that holds the audio. An item that is only read has None, and numbers of 0."""
    offset: int
    size: int
    duration: float
    """Seconds."""
    voice: str | None
    """None for an item that is only read."""
    notes: str
    """The variant's parameters, as JSON."""


DOCUMENTS = Table(Document)
SPANS = Table(Span)
UTTERANCES = Table(Utterance)
SHARDS = Table(Shard)
VERIFIED = Table(Verified)
SEQUENCES = Table(Sequence)
HELDOUT = Table(HeldOutContext)
LOSSES = Table(Loss)
PAIRS = Table(Pair)
DIALOGUES = Table(Dialogue)
ITEMS = Table(Item)
