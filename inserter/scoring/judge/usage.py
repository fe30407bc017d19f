"""Count what a run of the judge took: requests, tokens, and money if prices are known."""

from collections import Counter
from dataclasses import asdict, dataclass, field

from inserter.scoring.judge.settings import JudgeSettings

MILLION = 1_000_000


@dataclass
class Usage:
    """Counts of one run. records = judged + failed."""

    records: int = 0
    judged: int = 0
    failed: int = 0
    calls: int = 0
    """Requests that were answered with completions."""

    retries: int = 0
    """Requests that failed and were made again."""

    completions: int = 0
    """Completions that the calls gave."""

    cached: int = 0
    """Completions that an earlier run had paid for."""

    shared: int = 0
    """Records that took the replies of a record with the same content."""

    prompt_tokens: int = 0
    """Sum of what the server reported."""

    completion_tokens: int = 0
    """Sum of what the server reported."""

    calls_without_usage: int = 0
    """Calls for which the server reported no tokens."""

    reasons: Counter[str] = field(default_factory=Counter)
    """Failed records by reason."""

    changes: list[str] = field(default_factory=list)
    """What the server made us ask otherwise."""

    stopped: str | None = None
    """Why the asking ended early; None if it went to the end."""

    remedy: str | None = None
    """What to do if the asking ended early."""

    def count(self, completions: int, prompt_tokens: int | None, completion_tokens: int | None) -> None:
        """Add one answered call. Tokens are None if the server did not report them."""
        self.calls += 1
        self.completions += completions
        self.calls_without_usage += prompt_tokens is None or completion_tokens is None
        self.prompt_tokens += prompt_tokens or 0
        self.completion_tokens += completion_tokens or 0

    def paid(self) -> str:
        """Return what the calls took, in words."""
        tokens = f" with {self.completion_tokens:,} completion tokens" if self.calls > self.calls_without_usage else ""
        return f"{self.completions} paid completions{tokens}"

    def cost(self, settings: JudgeSettings) -> float | None:
        """Return the cost, in the unit of the prices.

        Return None without prices, or if a call came without its token counts.
        """
        if settings.price_in is None or settings.price_out is None or self.calls_without_usage:
            return None
        return (self.prompt_tokens * settings.price_in + self.completion_tokens * settings.price_out) / MILLION

    def summary(self, settings: JudgeSettings) -> dict[str, object]:
        """Return the counts, the model, the endpoint and the cost (None: not known), JSON-able."""
        counts = asdict(self) | {"reasons": dict(self.reasons.most_common())}
        return {"model": settings.model, "endpoint": settings.endpoint, **counts, "cost": self.cost(settings)}
