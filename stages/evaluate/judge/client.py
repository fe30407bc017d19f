"""One request to a chat completions endpoint: tried again where that helps, and told in one line where it does not."""

import asyncio
import random
import re
import time
from dataclasses import dataclass
from typing import Any

import httpx

from stages.common.endpoint import Again, error_of, retry_after
from stages.common.errors import InserterError
from stages.evaluate.judge.prompts import Message
from stages.evaluate.judge.settings import API_KEY, BASE_URL, MODEL, JudgeSettings

SHOWN = 200  # characters of a server's message


class GaveUp(Exception):
    """A request that will have no answer; str() says why."""


@dataclass(frozen=True)
class Completions:
    """texts: at most as many as were asked. Tokens: as the server counts them, None where it does not say."""

    texts: list[str]
    prompt_tokens: int | None
    completion_tokens: int | None


class JudgeClient:
    """Asks one endpoint. An async context manager; `retries` counts the tries that were made again."""

    def __init__(self, settings: JudgeSettings) -> None:
        self.settings = settings
        self.retries = 0
        self._one_at_a_time = False  # the server has refused n > 1
        self._not_before = 0.0  # the server has asked for quiet until then, on the monotonic clock

    async def __aenter__(self) -> "JudgeClient":
        headers = {"Authorization": f"Bearer {self.settings.key}"} if self.settings.key else {}
        limits = httpx.Limits(max_connections=self.settings.concurrency)
        self._http = httpx.AsyncClient(headers=headers, timeout=None, limits=limits)  # the time limit: see _try
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def ask(self, messages: list[Message], n: int) -> Completions:
        """1 to n completions: a server may give fewer than asked.

        Tried again, after a wait: 429, 5xx, time-outs, broken connections, bodies that are not a completion. Raises
        GaveUp when that did not help or the server refuses this request, InserterError when it refuses all.
        """
        for number in range(1, self.settings.tries + 1):
            await self._quiet()
            try:
                return await self._try(messages, 1 if self._one_at_a_time else n)
            except Again as problem:
                if number == self.settings.tries:
                    raise GaveUp(f"gave up after {number} tries: {problem}") from problem
                await self._rest(number, problem)
        raise AssertionError("tries is at least 1")

    async def _rest(self, number: int, problem: Again) -> None:
        self.retries += 1
        if problem.wait is None:
            longest = min(self.settings.max_wait, self.settings.backoff * 2 ** (number - 1))
            await asyncio.sleep(longest * random.uniform(0.5, 1.0))  # so that requests do not come back in step
        elif problem.wait > self.settings.max_wait:
            raise GaveUp(f"{problem}: the server asks to wait {problem.wait:.0f} s")
        else:
            self._not_before = max(self._not_before, time.monotonic() + problem.wait)  # for all requests

    async def _quiet(self) -> None:
        """Until the server takes requests again."""
        while (left := self._not_before - time.monotonic()) > 0:  # it may have asked for more meanwhile
            await asyncio.sleep(left + random.uniform(0.0, self.settings.backoff))

    async def _try(self, messages: list[Message], n: int) -> Completions:
        s = self.settings
        body = {
            "model": s.model, "messages": messages, "n": n,
            "temperature": s.temperature, "top_p": s.top_p, "max_tokens": s.max_tokens,
        }  # fmt: skip
        try:
            async with asyncio.timeout(s.timeout):  # the whole request: httpx would let a byte a minute go on for ever
                response = await self._http.post(s.url, json=body)
        except TimeoutError as error:
            raise Again(f"no answer in {s.timeout:g} s") from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise Again(s.redact(f"{type(error).__name__} {error}".strip())) from error
        if response.status_code == 200:
            return self._read(response, n)
        raise self._refused(response, n)

    def _read(self, response: httpx.Response, n: int) -> Completions:
        try:
            body = response.json()
        except (ValueError, RecursionError) as error:
            raise Again("the answer is not JSON, or cut short") from error
        choices = body.get("choices") if isinstance(body, dict) else None
        if not isinstance(choices, list) or not choices:
            raise Again(f"the answer has no completion {self._message(body)}".strip())
        usage = body.get("usage") if isinstance(body.get("usage"), dict) else {}
        return Completions(
            [self.settings.redact(_text(choice)) for choice in choices[:n]],
            _whole(usage.get("prompt_tokens")),
            _whole(usage.get("completion_tokens")),
        )

    def _refused(self, response: httpx.Response, n: int) -> Exception:
        """What an answer that is not 200 means."""
        status, body = response.status_code, _json(response)
        told, asked_wait = self._message(body), retry_after(response.headers.get("retry-after"))
        if status == 429 and "insufficient_quota" in (error_of(body).get("code"), error_of(body).get("type")):
            return InserterError("the judge's account has no credit (429)", "Top it up, then run again: it goes on")
        if status == 429:
            return Again("429: too many requests", asked_wait)
        if status >= 500:
            return Again(f"{status}: the server failed {told}".strip(), asked_wait)
        if status == 401:
            have = f"Check {API_KEY}" if self.settings.key else f"Set {API_KEY}"
            return InserterError(f"{self.settings.endpoint} does not take the key (401)", have)
        if status in (404, 405) or status < 400:
            return InserterError(
                f"{self.settings.endpoint} has no chat completions of a model {self.settings.model} ({status})",
                f"Check {BASE_URL} (most end in /v1) and {MODEL}, or --base-url and --model",
            )
        if status in (400, 422) and n > 1 and _is_about_n(error_of(body)):
            self._one_at_a_time = True
            return Again(f"{status}: the server gives one completion a request", 0.0)
        return GaveUp(f"{status}: the server refused the request {told}".strip())

    def _message(self, body: Any) -> str:
        message = error_of(body).get("message")
        text = " ".join(self.settings.redact(message).split()) if isinstance(message, str) else ""
        return f"({text[:SHOWN]})" if text else ""


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _is_about_n(error: dict[str, Any]) -> bool:
    message = error.get("message")
    return error.get("param") == "n" or (isinstance(message, str) and re.search(r"\bn\b", message) is not None)


def _text(choice: Any) -> str:
    """A choice's text; empty for a refusal. JSON may hold half a surrogate pair, files may not."""
    message = choice.get("message") if isinstance(choice, dict) else None
    content = message.get("content") if isinstance(message, dict) else None
    return content.encode("utf-8", "replace").decode() if isinstance(content, str) else ""


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
