"""What the stage `evaluate` writes for others: its report and the answers.

Each key is described once, here.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypedDict, TypeVar

Kind = TypeVar("Kind")
Ends = list[float] | None
"""[low, high] of a 95 % interval; None if there is too little for one."""
Levels = dict[str, float | None]
"""{"prompt" or "instruction": share, 0 to 1, or None if nothing was scored}."""
Form = Literal["heard", "cascade", "read"]
"""How the model gets what the likelihood is measured of."""
Cells = Mapping[str, Mapping[str, Mapping[str, Kind]]]
"""{language: {variant: {form: cell}}}."""


class Figure(TypedDict):
    """A share with its 95 % interval; None: not measured."""

    share: float | None
    """0 to 1, or a gap closed."""
    low: float | None
    high: float | None


class Difference(TypedDict):
    """A paired difference of two shares with its 95 % interval; None: not measured."""

    difference: float | None
    low: float | None
    high: float | None


class Shares(TypedDict):
    """The scores of closed-ended answers."""

    strict: Levels
    loose: Levels
    mean: Levels
    """Of strict and loose."""


class ClosedCell(Shares):
    """The scores of closed-ended answers in one language, variant and form."""

    interval: dict[str, dict[str, Ends]] | None
    """{"strict", "loose" or "mean": {level: ends}}; None for the form "chance"."""
    n_prompts: int
    n_instructions: int
    n_dropped: int
    """Answers without a verdict."""


class JudgedCell(TypedDict, total=False):
    """The scores of judged answers; without a verdict only `judged`, `n` and `reason`."""

    judged: bool
    n: int
    """Answers."""
    reason: str
    """Why there is no verdict."""
    prompt: float | None
    """Of the task "open": the share of answers that meet all questions."""
    instruction: float | None
    """Of the task "open": the share of questions that are met."""
    iar: float | None
    """Of the task "adjustment": the share of corrections that are followed."""
    ecr: float | None
    """Of the task "adjustment": the share of answers that follow what was corrected."""
    interval: dict[str, Ends]
    """{score: ends}."""


Cell = ClosedCell | JudgedCell


class Scores(TypedDict, total=False):
    """The key `speechinstructbench` of reports/evaluate.json: the cells of each task."""

    closed: Cells[ClosedCell]
    open: Cells[JudgedCell]
    adjustment: Cells[JudgedCell]


class Side(TypedDict):
    """One side of a comparison."""

    variant: str
    """"all" for all variants together."""
    form: str


class Comparison(TypedDict):
    """A paired comparison of closed-ended answers to the same items: `a` less `b`."""

    task: str
    lang: str
    metric: str
    a: Side
    b: Side
    difference: float
    interval: Ends
    p_value: float
    """Of a two-sided sign-flip test."""
    n_prompts: int


class Gap(TypedDict):
    """The gap that the cascade closes."""

    gap_closed: float | None
    gap_closed_interval: Ends


class HeldOutFigures(TypedDict, total=False):
    """What was measured on held-out contexts. `cascade` and what follows need transcripts."""

    continuation: dict[str, float]
    """Mean loss by context, in nats per token."""
    gap_closed: float | None
    """0 for a deaf model, 1 if hearing helps as much as reading; None without a gap."""
    gap_closed_interval: Ends
    documents: int
    cascade: Gap
    heard_minus_cascade: Difference
    """Of the gap closed."""
    kl_read_heard: float
    """KL(read || heard) of the next token, in nats."""


class Voices(TypedDict):
    """The figures on the documents that voices seen and unseen by training speak."""

    seen: HeldOutFigures
    unseen: HeldOutFigures | None


class HeldOutReport(HeldOutFigures, total=False):
    """The figures of all held-out documents, and by kind of voice."""

    voices: Voices


class Measure(TypedDict, total=False):
    """One measure by likelihood: counts, a figure per form, and a difference per pair of forms."""

    documents: int
    prompts: int
    pairs: int
    without_answer: int
    """Prompts or pairs left out: a prompt has no passing answer."""
    without_other: int
    """Prompts left out: they have no other prompt."""
    passes_both: int
    """Pairs left out: no answer tells the prompts apart."""
    nats: dict[str, float]
    """Mean loss by context, in nats per token."""
    heard: Figure
    cascade: Figure
    read: Figure
    heard_minus_cascade: Difference
    heard_minus_read: Difference


class Forgetting(TypedDict):
    """What training changed on the held-out text, in nats per token; None without such a text."""

    documents: int
    tokens: int
    kl: float | None
    """KL(base || model)."""
    low: float | None
    """Of the 95 % interval of `kl`."""
    high: float | None
    text_nll_base: float | None
    text_nll_model: float | None
    model_minus_base: Difference


class Likelihood(TypedDict):
    """The key `likelihood` of reports/evaluate.json."""

    topic_cloze: Measure
    instruction_gap: Measure
    minimal_pairs: Measure
    forgetting: Forgetting


class WordErrors(TypedDict):
    """Word errors over the words of the transcripts."""

    errors: int
    share: float
    """Of the words; it may exceed 1."""
    interval: Ends
    """Of the share."""


class ByRecogniser(TypedDict):
    """Word errors by who heard; None: not measured."""

    heard: WordErrors | None
    """Of what the model hears."""
    asr: WordErrors | None
    difference: WordErrors | None
    """heard - asr."""


class Spoken(TypedDict):
    """Totals and word errors of recordings."""

    clips: int
    hours: float
    words: int
    word_errors: ByRecogniser


class Recordings(Spoken):
    """The key `recordings` of reports/evaluate.json: recordings of people."""

    path: str | None
    found: int
    refused: dict[str, int]
    """By reason."""
    languages: dict[str, Spoken]
    answers: Cells[ClosedCell] | None
    """Of recordings that have instructions."""


class Answer(TypedDict):
    """An item's answer in one form, before it is scored."""

    id: str
    """Of the item and the form."""
    item_id: str
    key: str
    task: str
    lang: str
    variant: str
    form: str
    prompt: str
    clean_prompt: str
    instruction_id_list: list[str]
    kwargs: list[dict[str, object] | None]
    """Arguments of the checks, parallel to `instruction_id_list`."""
    questions: list[str]
    """What a judge is asked about the answer."""
    voice: str | None
    """None for an item that is only read."""
    transcript: str | None
    """What the recogniser wrote, for a form that hears."""
    response: str


class Response(Answer):
    """data/evaluate/responses.jsonl: an answer with its verdicts."""

    judged: dict[str, Any] | None
    """The judge's verdict, a row of `inserter score`; None if there is none."""
    strict: list[bool] | None
    """Of a closed-ended item: the verdict on each instruction. So is `loose`."""
    loose: list[bool] | None
    error: str | None
    """Why the answer cannot be scored."""


class Answered(TypedDict):
    """The items that were answered, of all items."""

    answered: int
    of: int


class HearingReport(HeldOutReport, total=False):
    """What reports/evaluate.json says of held-out contexts."""

    text_nll: float
    """Loss per token of the held-out text alone."""


class EvaluateReport(HearingReport, total=False):
    """reports/evaluate.json. An older report lacks keys."""

    likelihood: Likelihood
    precision: str
    speechinstructbench: Scores
    recordings: Recordings | None
    closed_by_voice: Mapping[str, object]
    """{language: {"seen" or "unseen": {variant: {form: cell}}}}."""
    comparisons: list[Comparison]
    items: Answered
    responses: int
    not_scored: int
    """Closed-ended answers without a verdict."""
