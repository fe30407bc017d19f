"""Settings of a judge and of the requests to it."""

from dataclasses import dataclass
from typing import Any, ClassVar

from inserter.chat.settings import EXAMPLE, FALLBACK_BASE_URL, ChatSettings, Variables
from inserter.endpoint import from_environment
from inserter.errors import InserterError

BASE_URL, MODEL, API_KEY = "INSERTER_JUDGE_BASE_URL", "INSERTER_JUDGE_MODEL", "INSERTER_JUDGE_API_KEY"


@dataclass(frozen=True)
class JudgeSettings(ChatSettings):
    """A judge and the way it is asked.

    The sampling defaults are those of SpeechInstructBench's own judge. Raise InserterError for a
    URL, key, count or prices that cannot be used.
    """

    who: ClassVar[str] = "judge"
    variables: ClassVar[Variables] = Variables(BASE_URL, MODEL, API_KEY, "--base-url and --model")

    temperature: float | None = 0.5
    """None is not sent: the server's own value holds."""

    top_p: float | None = 0.95
    """None is not sent: the server's own value holds."""

    n: int = 4
    """Completions per record."""

    reask: int = 2
    """How often an unusable completion is asked again, at most; 0 takes replies as they come."""

    price_in: float | None = None
    """Money per million prompt tokens."""

    price_out: float | None = None
    """Money per million completion tokens."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n < 1:
            raise InserterError("n of a judge must be 1 or more", "Raise n")
        if (self.price_in is None) != (self.price_out is None):
            raise InserterError(
                "the cost needs both prices, and one is missing", "Give both --price-in and --price-out, or neither"
            )

    @classmethod
    def from_environment(cls, model: str | None = None, base_url: str | None = None, **changes: Any) -> "JudgeSettings | None":
        """Return the judge that the environment names, or None without a base URL or a model.

        model, base_url: instead of the environment's. changes: other fields. The key: `key_for`.
        """
        base_url, model = base_url or from_environment(BASE_URL, FALLBACK_BASE_URL), model or from_environment(MODEL)
        if not base_url or not model:
            return None
        return cls(base_url, model, cls.key_for(base_url), **changes)


def missing(model: str | None = None, base_url: str | None = None) -> str:
    """Return one line for a user without a judge, which names the variables to set.

    model, base_url: what an option gave already.
    """
    wanted = [
        "" if base_url or from_environment(BASE_URL, FALLBACK_BASE_URL) else f"{BASE_URL} (for example {EXAMPLE})",
        "" if model or from_environment(MODEL) else f"{MODEL} (or --model)",
        "" if from_environment(API_KEY) else f"{API_KEY} if the server needs a key",
    ]
    return "Set " + ", ".join(filter(None, wanted))
