"""Settings of a model behind a chat API and of the requests to it.

The key is a secret: it is in no repr, no log, no cache and no error.
"""

from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import SplitResult

from inserter.endpoint import check_key, from_environment, split_url
from inserter.errors import InserterError

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
class Variables:
    """How a user names the address, the model and the key: environment variables and options."""

    base_url: str
    model: str
    api_key: str
    options: str
    """The options that replace the first two, in words."""


@dataclass(frozen=True)
class ChatSettings:
    """A model and the way it is asked.

    Raise InserterError for a URL, a key or a count that cannot be used.
    """

    who: ClassVar[str]
    """The model's part, for messages: "judge"."""

    variables: ClassVar[Variables]

    base_url: str
    """`/chat/completions` is appended to this URL; a query (`?api-version=…`) stays."""

    model: str
    api_key: Secret | None = None
    concurrency: int = 8
    """Requests at the same time."""

    temperature: float | None = None
    """None is not sent: the server's own value holds."""

    top_p: float | None = None
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

    give_up_after: int = 10
    """Records in a row without an answer, after which no more are asked."""

    def __post_init__(self) -> None:
        self._split(self.base_url)
        check_key(self.key, self.variables.api_key)
        if min(self.concurrency, self.tries) < 1:
            raise InserterError(f"concurrency and tries of a {self.who} must be 1 or more", "Raise the setting that is below 1")

    @property
    def key(self) -> str:
        """The key in the clear, for the request's header alone; empty if there is none."""
        return self.api_key.reveal() if self.api_key else ""

    @property
    def url(self) -> str:
        """The address of the requests."""
        parts = self._split(self.base_url)
        return parts._replace(path=f"{_path(parts)}/chat/completions", fragment="").geturl()

    @property
    def endpoint(self) -> str:
        """The base URL without its query, for messages and for the cache's keys."""
        parts = self._split(self.base_url)
        return f"{parts.scheme}://{parts.netloc.lower()}{_path(parts)}"

    def redact(self, text: str) -> str:
        """Return `text` without the key, which a server may echo."""
        return text.replace(self.key, "[key]") if self.key else text

    @classmethod
    def key_for(cls, base_url: str) -> Secret | None:
        """Return the key that the environment has for this address, or None.

        OPENAI_API_KEY stands in for the part's own variable only at OPENAI_BASE_URL and at OpenAI's
        own host: no other server may see OPENAI_API_KEY.
        """
        key = from_environment(cls.variables.api_key)
        if not key and (base_url == from_environment(FALLBACK_BASE_URL) or cls._split(base_url).hostname == OPENAI_HOST):
            key = from_environment(FALLBACK_API_KEY)
        return Secret(key) if key else None

    @classmethod
    def _split(cls, base_url: str) -> SplitResult:
        """Return the parts of a base URL. The URL is in no message, since it may hold a secret."""
        names = cls.variables
        return split_url(base_url, f"the {cls.who}'s", names.base_url, key_variable=names.api_key, example=EXAMPLE)


def _path(parts: SplitResult) -> str:
    return parts.path.rstrip("/").removesuffix("/chat/completions")
