"""Settings of a judge and of the requests to it.

The key is a secret: it is in no repr, no log, no cache and no error.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult

from inserter.endpoint import check_key, from_environment, split_url
from inserter.errors import InserterError

BASE_URL, MODEL, API_KEY = "INSERTER_JUDGE_BASE_URL", "INSERTER_JUDGE_MODEL", "INSERTER_JUDGE_API_KEY"
FALLBACK_BASE_URL, FALLBACK_API_KEY = "OPENAI_BASE_URL", "OPENAI_API_KEY"
OPENAI_HOST = "api.openai.com"
EXAMPLE = "https://api.openai.com/v1"


class Secret:
    """A text that no repr, log or dict of fields shows."""

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"


@dataclass(frozen=True)
class JudgeSettings:
    """A judge and the way it is asked.

    The sampling defaults are those of SpeechInstructBench's own judge. Raise InserterError for a
    URL, key, count or prices that cannot be used.
    """

    base_url: str
    """`/chat/completions` is appended to this URL; a query (`?api-version=…`) stays."""

    model: str
    api_key: Secret | None = None
    n: int = 4
    """Completions per record."""

    concurrency: int = 8
    """Records that are asked at the same time."""

    temperature: float | None = 0.5
    """None is not sent: the server's own value holds."""

    top_p: float | None = 0.95
    """None is not sent: the server's own value holds."""

    max_tokens: int | None = 1024
    """Tokens of a completion, at most. None is not sent: the server's own value holds."""

    tries: int = 6
    """Tries in all before a request is given up."""

    backoff: float = 1.0
    """Seconds before the second try, doubled each time and cut by up to a half at random."""

    max_wait: float = 120.0
    """Longest wait between two tries, in seconds."""

    timeout: float = 120.0
    """Seconds for a whole request."""

    reask: int = 2
    """How often an unusable completion is asked again, at most; 0 takes replies as they come."""

    give_up_after: int = 10
    """Records in a row without an answer or a readable reply, after which no more are asked."""

    price_in: float | None = None
    """Money per million prompt tokens."""

    price_out: float | None = None
    """Money per million completion tokens."""

    def __post_init__(self) -> None:
        _split(self.base_url)
        check_key(self.key, API_KEY)
        if min(self.n, self.concurrency, self.tries) < 1:
            raise InserterError("n, concurrency and tries of a judge must be 1 or more", "Raise the setting that is below 1")
        if (self.price_in is None) != (self.price_out is None):
            raise InserterError(
                "the cost needs both prices, and one is missing", "Give both --price-in and --price-out, or neither"
            )

    @classmethod
    def from_environment(cls, model: str | None = None, base_url: str | None = None, **changes: Any) -> "JudgeSettings | None":
        """Return the judge that the environment names, or None without a base URL or a model.

        model, base_url: instead of the environment's. changes: other fields.

        The key is INSERTER_JUDGE_API_KEY. OPENAI_API_KEY replaces it only at OPENAI_BASE_URL and at
        OpenAI's own host: no other server may see OPENAI_API_KEY.
        """
        base_url, model = base_url or from_environment(BASE_URL, FALLBACK_BASE_URL), model or from_environment(MODEL)
        if not base_url or not model:
            return None
        key = from_environment(API_KEY)
        if not key and (base_url == from_environment(FALLBACK_BASE_URL) or _split(base_url).hostname == OPENAI_HOST):
            key = from_environment(FALLBACK_API_KEY)
        return cls(base_url, model, Secret(key) if key else None, **changes)

    @property
    def key(self) -> str:
        """The key in the clear, for the request's header alone; empty if there is none."""
        return self.api_key.reveal() if self.api_key else ""

    @property
    def url(self) -> str:
        """The address of the requests."""
        parts = _split(self.base_url)
        return parts._replace(path=f"{_path(parts)}/chat/completions", fragment="").geturl()

    @property
    def endpoint(self) -> str:
        """The base URL without its query, for messages and for the cache's keys."""
        parts = _split(self.base_url)
        return f"{parts.scheme}://{parts.netloc.lower()}{_path(parts)}"

    def redact(self, text: str) -> str:
        """Return `text` without the key, which a server may echo."""
        return text.replace(self.key, "[key]") if self.key else text


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


def _split(base_url: str) -> SplitResult:
    """Return the parts of a base URL. The URL is in no message, since it may hold a secret."""
    return split_url(base_url, "the judge's", BASE_URL, key_variable=API_KEY, example=EXAMPLE)


def _path(parts: SplitResult) -> str:
    return parts.path.rstrip("/").removesuffix("/chat/completions")
