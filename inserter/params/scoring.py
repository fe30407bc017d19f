"""The benchmark, what is answered of it, and what a version must reach."""

from typing import Annotated, Literal

from pydantic import Field

from inserter.params.section import Distinct, Positive, Precision, Section, Seed, Share
from inserter.params.speech import Voice


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
    accents: Annotated[tuple[Voice, ...], Distinct]
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


class JudgeSampling(Section):
    """How the judge answers; the values of params.yaml are those of SpeechInstructBench's own. null: the server's own value.

    max_tokens: of a completion, thoughts included: a judge that thinks needs more.
    """

    temperature: Annotated[float, Field(ge=0, le=2)] | None
    top_p: Annotated[float, Field(gt=0, le=1)] | None
    max_tokens: Positive | None


class Evaluate(Section):
    """forms: `heard`, `read` and `cascade` by the trained model, which reads the recogniser's (assets.asr) transcript in `cascade`;
    `lm`: the LM before training reads the clean text; `asr_lm`: that LM reads the transcript. batch_size: answers at a time.
    judge_model: an OpenAI-compatible model that judges open and adjustment answers (docs/JUDGE.md); null: they are not judged.
    recordings: a folder or file of people's speech with transcripts, whose word errors are reported apart (docs/BENCHMARK.md);
    null: none."""

    items: EvaluateItems
    languages: Annotated[tuple[str, ...], Distinct]
    forms: Annotated[tuple[Literal["heard", "read", "cascade", "lm", "asr_lm"], ...], Distinct]
    max_new_tokens: Positive
    batch_size: Positive
    precision: Precision
    judge_model: str | None
    judge_sampling: JudgeSampling
    recordings: str | None


class Register(Section):
    """A version is registered as `challenger`. A later champion must be better on paired items with this confidence.

    Asked of the first champion: min_gap_closed, the share of reading's benefit (1: hears as it reads); and max_behind_cascade, in
    points of the instructions followed in clean speech. It fails only where the whole 95 % interval of heard less cascade lies
    further below.
    """

    experiment: str
    model: str
    tracking_uri: str
    min_gap_closed: float
    max_behind_cascade: Annotated[float, Field(ge=0)]
    confidence: Share
    audio_samples: Annotated[int, Field(ge=0)]
