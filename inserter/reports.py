"""The reports of stages and gates that are read again. Each key is described once, here."""

from typing import TypedDict

Counted = TypedDict("Counted", {"in": int})
"""How many rows a stage read."""


class SystemReport(TypedDict, total=False):
    """reports/system/STAGE.json. Some stages have more totals."""

    wall_seconds: float
    peak_rss_mb: float
    samples: list[dict[str, float]]
    """One per 2 s: `seconds` since the start, `rss_mb` and `cpu_percent`."""


class BenchmarkReport(TypedDict, total=False):
    """reports/benchmark.json."""

    source: str
    read: int
    """Records, which are items or in quarantine."""
    prompts: int
    items: dict[str, int]
    """By task/language/variant."""
    instructions: int
    instruction_types: dict[str, object]
    """How many are asked for, and the list of those that are not."""
    hours: float
    quarantined: dict[str, int]
    """"total", and by reason."""
    absent: dict[str, str]
    """{variant or language/variant: why there is none}."""
    text_only: list[str]
    """Of our own set: languages without any audio."""
    accents: dict[str, object]
    """Of our own set: the voices that are used, and those that are missing."""
    drawn: dict[str, dict[str, int]]
    """Of our own set: how often each noise, change and correction was drawn."""
    not_read: dict[str, int]
    """Of SpeechInstructBench: records by file, of files with other names than the benchmark's."""
    expected: dict[str, dict[str, dict[str, int]]]
    """Of SpeechInstructBench: {part: {"prompts": {"published", "here"}, ...}}."""


class SynthesizeReport(Counted, total=False):
    """reports/synthesize.json: in = clips + the sum over `failed`."""

    unseen: int
    """The part of `in` that repeats a held-out context in a held-out voice."""
    clips: int
    hours: float
    hours_by_voice: dict[str, float]
    hours_by_language: dict[str, float]
    failed: dict[str, int]
    """The 20 most frequent reasons, and `other`."""
    voices_left_out: int


class VoiceReport(TypedDict):
    """The clips of one voice."""

    clips: int
    quarantine_share: float
    pace: float | None
    """Characters per second."""


class SecondOpinion(TypedDict):
    """The work of the second recogniser."""

    asked: int
    """Clips that it heard."""
    cleared: int
    """Clips that are clean by its opinion alone."""


class VerifyReport(Counted, total=False):
    """reports/verify.json: in = clean + the sum over `quarantined`."""

    clean: int
    quarantined: dict[str, int]
    """By reason."""
    quarantine_share: float
    voices: dict[str, VoiceReport]
    readings_checked: int
    """Clips whose numbers were compared as they are written."""
    second_opinion: SecondOpinion
    hours_clean: float
    wer_mean: float | None
    """Word error rate over the clean clips; None if there is none. So is the median."""
    wer_median: float | None


class Expectation(TypedDict):
    """One rule of a gate, and what was found."""

    table: str
    expectation: str
    """Its name in Great Expectations."""
    column: str | None
    """None if the rule is about the whole table."""
    passed: bool
    observed: object
    """A number, or the first values that break the rule."""
    limit: object
    """The values that are allowed, or {argument: value}; None if there are none."""
    unexpected_count: int
    """Rows that break the rule."""
    first_ids: list[str]
    """The first ones of these rows."""
    remedy: str


class GateReport(TypedDict, total=False):
    """reports/gates/NAME.json."""

    stage: str
    passed: bool
    """Whether all expectations hold."""
    rows: int
    """Rows of the first table."""
    expectations: list[Expectation]
