"""Post to OpenAI-compatible servers, and read their base URLs, errors and Retry-After headers.

The judge and the speech engine `http` share this module.
"""

import os
import random
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import certifi
from tenacity import RetryCallState, retry_if_exception_type, stop_after_attempt, wait_exponential
from urllib3 import PoolManager, ProxyManager, Timeout, make_headers
from urllib3.exceptions import HTTPError, NewConnectionError, ProxyError, SSLError
from urllib3.exceptions import TimeoutError as TooLate

from inserter.errors import InserterError

PART = 2**16  # bytes of an answer that are read at a time, at most


class Again(Exception):
    """A failed request that may be retried.

    wait: seconds that the server asked the client to wait, or None.
    """

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class Unreachable(Again):
    """No connection could be made."""


@dataclass(frozen=True)
class Answer:
    """What a server answered, with any status."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Server:
    """A server's address, the key to it, and up to `connections` open connections.

    The environment's proxy is used (HTTPS_PROXY, NO_PROXY). Safe for threads.
    """

    def __init__(self, url: str, key: str, connections: int) -> None:
        self.url = url
        context = ssl.create_default_context()  # the system's authorities, and those of SSL_CERT_FILE
        context.load_verify_locations(certifi.where())  # a bare image has no others
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        more: dict[str, Any] = {"maxsize": connections, "headers": headers, "ssl_context": context}
        proxy = _proxy(urlsplit(url))
        self._pool = ProxyManager(proxy, proxy_headers=_credentials(proxy), **more) if proxy else PoolManager(**more)

    def post(self, body: object, timeout: float) -> Answer:
        """Post `body` as JSON and return the answer. No redirect is followed.

        Raise Again if no whole answer comes in `timeout` seconds or the connection breaks. Raise
        Unreachable if there is no connection.
        """
        until, late = time.monotonic() + timeout, Again(f"no answer in {timeout:g} s")
        try:
            response = self._pool.request(
                "POST",
                self.url,
                json=body,
                timeout=Timeout(total=timeout),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            parts = []
            # urllib3 limits the time between two bytes: one byte per minute would go on for ever.
            while part := response.read1(PART):
                parts.append(part)
                if time.monotonic() > until:
                    response.close()
                    raise late
            response.release_conn()
        except (NewConnectionError, ProxyError, SSLError) as error:
            raise Unreachable(_words(error)) from error
        except TooLate as error:
            raise late from error
        except HTTPError as error:
            raise Again(_words(error)) from error
        return Answer(response.status, response.headers, b"".join(parts))

    def close(self) -> None:
        self._pool.clear()


def _words(error: HTTPError) -> str:
    """Return the kind of an error and its cause, without the names of Python's objects."""
    return f"{type(error).__name__} {error.__cause__ or (error.args or [''])[-1]}".strip()


def _proxy(url: SplitResult) -> str:
    """Return the address of the proxy that the environment names for `url`, or ""."""
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all") or ""
    if not proxy or proxy_bypass(url.netloc):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _credentials(proxy: str) -> Mapping[str, str]:
    user, at, _ = urlsplit(proxy).netloc.rpartition("@")
    return make_headers(proxy_basic_auth=unquote(user)) if at else {}


def retries(tries: int, backoff: float, longest: float) -> dict[str, Any]:
    """Return tenacity's arguments: a call that raises Again is made up to `tries` times.

    The first wait has `backoff` seconds. Each later wait is twice as long, up to `longest`. Each is
    cut by up to a half at random, so that requests do not come back in step. There is no such wait
    where the server has asked for one: that wait holds for all requests, so the caller keeps it.
    """
    exponential = wait_exponential(multiplier=backoff, max=longest)

    def wait(state: RetryCallState) -> float:
        return exponential(state) * random.uniform(0.5, 1.0) if failure(state).wait is None else 0.0

    return {"retry": retry_if_exception_type(Again), "stop": stop_after_attempt(tries), "wait": wait, "reraise": True}


def failure(state: RetryCallState) -> Again:
    """Return why the last try failed."""
    problem = state.outcome.exception() if state.outcome else None
    assert isinstance(problem, Again)
    return problem


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
    if not parts.netloc.isascii():
        raise InserterError(f"{whose} base URL has letters that are not ASCII in its host", f"Write {variable} with xn--…")
    if parts.username is not None:
        raise InserterError(f"{whose} base URL has a user name in it", f"Take it out, and put the key in {key_variable}")
    return parts


def check_key(key: str, variable: str) -> str:
    """Return `key`. Raises InserterError if no HTTP header can carry it."""
    if not (key.isascii() and key.isprintable()):
        raise InserterError(f"{variable} has a character that no HTTP header can carry", "Copy the key again")
    return key


def error_of(body: object) -> dict[str, object]:
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
