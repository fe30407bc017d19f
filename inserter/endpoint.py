"""Read the base URLs, error bodies and Retry-After headers of OpenAI-compatible servers.

The judge and the speech engine `http` share this module.
"""

import os
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit

from inserter.errors import InserterError


class Again(Exception):
    """A failed request that may be retried.

    wait: seconds that the server asked the client to wait, or None.
    """

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def from_environment(*names: str) -> str:
    """Return the value of the first variable in `names` that has one, or "" if none has."""
    return next((value for name in names if (value := os.environ.get(name, "").strip())), "")


def split_url(base_url: str, whose: str, variable: str, *, key_variable: str, example: str) -> SplitResult:
    """Return the parts of a base URL.

    No message quotes the URL, because the URL may hold a secret.
    `whose` names the owner in messages, for example "the judge's".
    Raises InserterError if the text is not an http(s) URL, or if the URL contains a user name.
    """
    try:
        parts = urlsplit(base_url.strip())
        _ = parts.port  # raises ValueError if the port is not a number
    except ValueError as error:
        raise InserterError(f"{whose} base URL cannot be read", f"Write {variable} like {example}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InserterError(f"{whose} base URL is not one of http or https", f"Write {variable} like {example}")
    if parts.username is not None:
        raise InserterError(f"{whose} base URL has a user name in it", f"Take it out, and put the key in {key_variable}")
    return parts


def check_key(key: str, variable: str) -> str:
    """Return `key`. Raises InserterError if no HTTP header can carry it."""
    if not (key.isascii() and key.isprintable()):
        raise InserterError(f"{variable} has a character that no HTTP header can carry", "Copy the key again")
    return key


def error_of(body: Any) -> dict[str, Any]:
    """Return the `error` object of a response body.

    Some servers send a string instead, or the fields without `error`.
    Each of these forms may also come in a list of one.
    """
    if isinstance(body, list) and len(body) == 1:
        return error_of(body[0])
    error = body.get("error", body) if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {"message": error}


def retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header: a number or a date (RFC 9110, 10.2.3).

    Return None if the header is absent or states no usable time.
    """
    if not value:
        return None
    try:
        return max(0.0, float(value)) if float(value) < float("inf") else None
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (when - datetime.now(UTC)).total_seconds()) if when.tzinfo else None
