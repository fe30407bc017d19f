"""Servers with an OpenAI-compatible API: what their addresses, errors and requests to wait mean, for all that ask them."""

import os
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit

from inserter.errors import InserterError


class Again(Exception):
    """A try that failed and may be made again. wait: seconds that the server asked for."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def from_environment(*names: str) -> str:
    """The first of the variables that has a value, else ""."""
    return next((value for name in names if (value := os.environ.get(name, "").strip())), "")


def split_url(base_url: str, whose: str, variable: str, key_variable: str, example: str) -> SplitResult:
    """The parts of a base URL. Its text is in no message: it may hold a secret. whose: "the judge's".

    Raises InserterError when it is no http(s) URL, or has a user name in it.
    """
    try:
        parts = urlsplit(base_url.strip())
        _ = parts.port  # raises for what is no number
    except ValueError as error:
        raise InserterError(f"{whose} base URL cannot be read", f"Write {variable} like {example}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InserterError(f"{whose} base URL is not one of http or https", f"Write {variable} like {example}")
    if parts.username is not None:
        raise InserterError(f"{whose} base URL has a user name in it", f"Take it out, and put the key in {key_variable}")
    return parts


def check_key(key: str, variable: str) -> str:
    """`key`. Raises InserterError when no HTTP header can carry it."""
    if not (key.isascii() and key.isprintable()):
        raise InserterError(f"{variable} has a character that no HTTP header can carry", "Copy the key again")
    return key


def error_of(body: Any) -> dict[str, Any]:
    """The `error` object of a body; servers also send a string, the fields by themselves, or any of it in a list of one."""
    if isinstance(body, list) and len(body) == 1:
        return error_of(body[0])
    error = body.get("error", body) if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {"message": error}


def retry_after(value: str | None) -> float | None:
    """Seconds from a Retry-After header: a number, or a date (RFC 9110, 10.2.3). None where it says nothing."""
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
