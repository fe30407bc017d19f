"""What a run of the judge took: requests, tokens, and money where prices are known."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from inserter.scoring.judge.settings import JudgeSettings

MILLION = 1_000_000


@dataclass
class Usage:
    """Counts of one run. records = judged + failed.

    calls: requests that were answered with completions. retries: requests that failed and were made again.
    completions: what the calls gave. cached: completions that an earlier run had paid for. shared: records that took
    the replies of a record with the same content. prompt_tokens, completion_tokens: sums of what the server said;
    calls_without_usage: calls of which it said nothing. reasons: of the failed ones. changes: what the server made us ask
    otherwise. stopped: why the asking ended early, and remedy: what to do; None where it went to the end.
    """

    records: int = 0
    judged: int = 0
    failed: int = 0
    calls: int = 0
    retries: int = 0
    completions: int = 0
    cached: int = 0
    shared: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    calls_without_usage: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    changes: list[str] = field(default_factory=list)
    stopped: str | None = None
    remedy: str | None = None

    def count(self, completions: int, prompt_tokens: int | None, completion_tokens: int | None) -> None:
        """Add one answered call. Tokens: None where the server did not say."""
        self.calls += 1
        self.completions += completions
        self.calls_without_usage += prompt_tokens is None or completion_tokens is None
        self.prompt_tokens += prompt_tokens or 0
        self.completion_tokens += completion_tokens or 0

    def paid(self) -> str:
        """What the calls took, in words."""
        tokens = f" and {self.completion_tokens:,} completion tokens" if self.calls > self.calls_without_usage else ""
        return f"{self.completions} completions{tokens} paid for"

    def cost(self, settings: JudgeSettings) -> float | None:
        """Money, in the unit of the prices. None without prices, or when a call came without its token counts."""
        if settings.price_in is None or settings.price_out is None or self.calls_without_usage:
            return None
        return (self.prompt_tokens * settings.price_in + self.completion_tokens * settings.price_out) / MILLION

    def summary(self, settings: JudgeSettings) -> dict[str, Any]:
        """JSON-able: the counts, the model, the endpoint and the cost (None: not known)."""
        counts = asdict(self) | {"reasons": dict(self.reasons.most_common())}
        return {"model": settings.model, "endpoint": settings.endpoint, **counts, "cost": self.cost(settings)}
