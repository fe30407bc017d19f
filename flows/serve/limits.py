"""What one request may take, and how many requests a server has at a time."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The limits of a server. A request beyond a limit is refused alone."""

    batch: int = 32
    """Requests that are answered together. More take more memory, and each waits longer."""

    requests: int = 128
    """Requests that are read, wait or are answered at a time. One more gets HTTP 429."""

    seconds: float = 120.0
    """Seconds from the end of a request's body to the end of its answer. Then: HTTP 504."""

    upload_seconds: float = 30.0
    """Seconds in which the body of a request has to arrive. Then: HTTP 408."""

    body_bytes: int = 32 * 2**20
    """Bytes of a body. In base64 a sound file is a third larger: 24 MiB fill the default."""

    audio_seconds: float = 600.0
    """Seconds of all audio of a request together."""

    tokens: int = 96
    """Tokens of an answer whose request gives no limit."""


BATCH_AUDIO_SECONDS = 600.0  # of all requests of a batch, which bounds its memory
ARRIVE_SECONDS = 0.01  # how long the first request of a batch waits for others to arrive
GATHER_SECONDS = 0.25  # how long it waits, at most, for the sound of those that have arrived
RETRY_SECONDS = 2  # what Retry-After says
GRACE_SECONDS = 10  # how long requests may take to end after SIGTERM
