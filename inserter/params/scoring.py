"""Parameters of the benchmark, the evaluation and the registry."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from inserter.errors import shown
from inserter.params.section import Distinct, Positive, Precision, Section, Seed, Share
from inserter.params.speech import Voice


def _without_password(address: str) -> str:
    if shown(address) != address:
        raise ValueError("an address here must have no password: git, DVC and MLflow keep it. Set MLFLOW_TRACKING_URI instead")
    return address


class Variants(Section):
    """How the variants of closed-ended items are spoken. Each item draws one value per variant.

    The paralinguistics variant changes rate, pitch or loudness, or whispers.
    """

    noises: tuple[Literal["white", "pink", "babble", "hum", "street", "music"], ...]
    """Noises of the background variant."""
    snr_db: tuple[float, ...]
    """Signal-to-noise ratios of the background variant, in dB."""
    rates: tuple[Annotated[float, Field(ge=0.5, le=2.0)], ...]
    """Paralinguistics: factors of the speed, 0.5 to 2."""
    pitches: tuple[Annotated[float, Field(ge=0.5, le=2.0)], ...]
    """Paralinguistics: factors of the pitch, 0.5 to 2."""
    loudness_db: tuple[Annotated[float, Field(ge=-40, le=12)], ...]
    """Paralinguistics: changes of the level, -40 to 12 dB."""
    whisper: bool
    """Paralinguistics: whether whispered speech is drawn too."""
    accents: Annotated[tuple[Voice, ...], Distinct]
    """Voices of the accent variant. An optional voice is left out if its engine is missing."""
    disfluencies: Positive
    """Disfluencies per prompt of the disfluency variant."""


class BenchmarkVoices(Section):
    """Who speaks each language, in all variants but accent."""

    en: Voice
    cn: Voice | None
    """null: Chinese items are only read."""


class BenchmarkItems(Section):
    """How many items each task has in one language."""

    items_per_type: Annotated[int, Field(ge=0)]
    """Closed-ended items for each of the 25 instruction types."""
    open_items: Annotated[int, Field(ge=0)]
    adjustment_items: Annotated[int, Field(ge=0)]


class Benchmark(BenchmarkItems):
    """A local copy of SpeechInstructBench, or our own set.

    The counts are those of our own set. The inherited counts are for English items.
    """

    seed: Seed
    path: str
    """A local copy of SpeechInstructBench, or `own` for our own set."""
    items_per_type: Positive
    chinese: BenchmarkItems
    """Counts of the Chinese items."""
    voices: BenchmarkVoices
    variants: Variants


class EvaluateItems(Section):
    """How many items are answered; 0 means all."""

    closed_per_type: Annotated[int, Field(ge=0)]
    """Closed-ended items per instruction type and language."""
    open: Annotated[int, Field(ge=0)]
    """Open-ended items per language."""
    adjustment: Annotated[int, Field(ge=0)]
    """Adjustment items per language."""


class JudgeSampling(Section):
    """How the judge samples its answers; null means the server's own value.

    The values in params.yaml are those of SpeechInstructBench's own judge.
    """

    temperature: Annotated[float, Field(ge=0, le=2)] | None
    top_p: Annotated[float, Field(gt=0, le=1)] | None
    max_tokens: Positive | None
    """Longest completion in tokens, thoughts included; a judge that thinks needs more."""


class Evaluate(Section):
    """Which benchmark items are answered, by which model, and how the answers are judged."""

    items: EvaluateItems
    languages: Annotated[tuple[str, ...], Distinct]
    forms: Annotated[tuple[Literal["heard", "read", "cascade", "lm", "asr_lm"], ...], Distinct]
    """Who answers, and what it gets.

    - `heard`, `read`: the trained model hears or reads the instruction.
    - `cascade`: the trained model reads the recogniser's transcript.
    - `lm`: the LM before training reads the clean text.
    - `asr_lm`: the LM before training reads the recogniser's transcript.

    The recogniser is `assets.asr`, or the model's own if its adapter is `decoder`.
    """
    max_new_tokens: Positive
    """Longest answer, in tokens."""
    batch_size: Positive
    """Answers that are generated at a time."""
    precision: Precision
    """Of encoding clips and of answers. Losses and divergences are reported in fp32."""
    judge_model: str | None
    """An OpenAI-compatible model that judges open and adjustment answers (docs/JUDGE.md).

    null: these answers are not judged.
    """
    judge_sampling: JudgeSampling
    recordings: str | None
    """A folder or file of people's speech with transcripts (docs/BENCHMARK.md); null: none.

    The word errors on these recordings are reported apart.
    """


class Register(Section):
    """Where versions are registered, and what a champion must reach.

    A version is registered as `challenger`.
    """

    experiment: str
    """Name of the MLflow experiment."""
    model: str
    """Name of the registered model."""
    tracking_uri: Annotated[str, AfterValidator(_without_password)]
    """sqlite:///FILE.db, or the address of an MLflow server; MLFLOW_TRACKING_URI overrides it.

    An address with a password is refused here, because git, DVC and MLflow keep the parameters.
    """
    min_gap_closed: float
    """For the first champion: least share of reading's benefit that hearing also gives.

    1 means that the model hears as well as it reads.
    """
    max_behind_cascade: Annotated[float, Field(ge=0)]
    """For the first champion: how far hearing may be behind the model's own cascade.

    The unit is points of the instructions followed in clean speech. A version fails only if the
    whole 95 % interval of heard minus cascade lies further below.
    """
    confidence: Share
    """For a later champion: confidence that it is better on paired items."""
    audio_samples: Annotated[int, Field(ge=0)]
    """Benchmark clips that are logged to MLflow with their answers."""
