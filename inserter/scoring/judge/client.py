"""Make one request to a chat completions endpoint.

The request is retried where that helps. Otherwise an error of one line says why.
"""

import asyncio
import random
import time
from dataclasses import replace
from typing import Any

import httpx

from inserter.endpoint import Again, error_of, retry_after
from inserter.errors import InserterError
from inserter.scoring.judge.completions import Completions, body_of, completions
from inserter.scoring.judge.form import Form
from inserter.scoring.judge.prompts import Message
from inserter.scoring.judge.settings import API_KEY, BASE_URL, MODEL, JudgeSettings

SHOWN = 200  # characters of a server's message
REFUSALS = (400, 415, 422, 501)  # statuses for which the server's words may name a parameter


MEND = f"Check {BASE_URL} (most end in /v1) and {MODEL}, or --base-url and --model"


class WebPage(Again):
    """The answer is a page for people, from a gateway or from another address than the API's."""


class GaveUp(Exception):
    """The request will have no answer; str() says why."""


class Refused(GaveUp):
    """The server does not take the request as it is. body: the server's answer."""

    def __init__(self, reason: str, body: Any) -> None:
        super().__init__(reason)
        self.body = body


class JudgeClient:
    """A client of one endpoint, as an async context manager.

    `retries` counts the tries that were made again. `form` is how requests are put.
    """

    def __init__(self, settings: JudgeSettings) -> None:
        self.settings = settings
        self.retries = 0
        self.form = Form()
        self._reached = self._completed = False  # whether the server answered; gave a completion
        self._not_before = 0.0  # monotonic time until which the server has asked for quiet

    async def __aenter__(self) -> "JudgeClient":
        headers = {"Authorization": f"Bearer {self.settings.key}"} if self.settings.key else {}
        limits = httpx.Limits(max_connections=self.settings.concurrency)
        # `_try` limits the time.
        self._http = httpx.AsyncClient(headers=headers, timeout=None, limits=limits)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def ask(self, messages: list[Message], n: int) -> Completions:
        """Return 1 to n completions: a server may give fewer than asked.

        A request is retried, after a wait, on 429, 5xx, time-outs, broken connections, and bodies
        that are not a completion. A request that the server refuses by the name of a parameter is
        put in another form.

        Raise GaveUp if neither helped or the server refuses this request. Raise InserterError if
        the server refuses all requests.
        """
        form, refusal, number = self.form, None, 1
        while True:
            await self._quiet()
            try:
                found = await self._try(messages, n, form)
            except Again as problem:
                if number == self.settings.tries:
                    if isinstance(problem, WebPage) and not self._completed:
                        raise InserterError(f"{self.settings.endpoint} answers with a web page", MEND) from problem
                    raise GaveUp(f"gave up after {number} tries: {problem}") from problem
                await self._rest(number, problem)
                number += 1
            except Refused as error:
                refusal, following = refusal or error, form.after(error.body, self.settings, n)
                if following is None:
                    raise refusal from error  # the first one, of the request as it was meant
                form, self.retries = following, self.retries + 1
            else:
                # Only a form that helped is kept for other requests: a server may also refuse a
                # text by such a word.
                if refusal:
                    self.form = form
                return found

    async def _rest(self, number: int, problem: Again) -> None:
        self.retries += 1
        if problem.wait is None:
            longest = min(self.settings.max_wait, self.settings.backoff * 2 ** (number - 1))
            # Random, so that requests do not come back in step.
            await asyncio.sleep(longest * random.uniform(0.5, 1.0))
        elif problem.wait > self.settings.max_wait:
            raise GaveUp(f"{problem}: the server asks to wait {problem.wait:.0f} s")
        else:
            # The wait holds for all requests.
            self._not_before = max(self._not_before, time.monotonic() + problem.wait)

    async def _quiet(self) -> None:
        """Wait until the server takes requests again."""
        # A loop, since the server may have asked for a longer wait meanwhile.
        while (left := self._not_before - time.monotonic()) > 0:
            await asyncio.sleep(left + random.uniform(0.0, self.settings.backoff))

    async def _try(self, messages: list[Message], n: int, form: Form) -> Completions:
        s = self.settings
        try:
            # Limits the whole request: httpx would wait for ever for one byte per minute.
            async with asyncio.timeout(s.timeout):
                response = await self._http.post(s.url, json=form.body(s, messages, n))
        except TimeoutError as error:
            raise Again(f"no answer in {s.timeout:g} s") from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            if isinstance(error, httpx.ConnectError) and not self._reached:
                remedy = f"Start it, or mend {BASE_URL} or --base-url"
                raise InserterError(s.redact(f"no judge answers at {s.endpoint} ({error})"), remedy) from error
            raise Again(s.redact(f"{type(error).__name__} {error}".strip())) from error
        self._reached = True
        if response.status_code == 200:
            return self._read(response, form.asked(n))
        raise self._refused(response)

    def _read(self, response: httpx.Response, n: int) -> Completions:
        try:
            body = body_of(response.content.decode("utf-8-sig", "replace"))
        except ValueError as error:
            if response.headers.get("content-type", "").lower().startswith("text/html"):
                raise WebPage("the answer is a web page") from error
            raise Again("the answer is not JSON, or cut short") from error
        found = completions(body, n)
        if found is None:
            raise Again(f"the answer has no completion {self._message(body)}".strip())
        self._completed = True
        return replace(found, replies=[replace(reply, text=self.settings.redact(reply.text)) for reply in found.replies])

    def _refused(self, response: httpx.Response) -> Exception:
        """Return the exception for an answer whose status is not 200."""
        status, body = response.status_code, _json(response)
        told, asked_wait = self._message(body), retry_after(response.headers.get("retry-after"))
        if status == 429 and "insufficient_quota" in (error_of(body).get("code"), error_of(body).get("type")):
            return InserterError("the judge's account has no credit (429)", "Top it up, then run again: it resumes")
        if status == 429:
            return Again("429: too many requests", asked_wait)
        if status >= 500 and status not in REFUSALS:
            return Again(f"{status}: the server failed {told}".strip(), asked_wait)
        if status == 401:
            have = f"Check {API_KEY}" if self.settings.key else f"Set {API_KEY}"
            return InserterError(f"{self.settings.endpoint} does not take the key (401)", have)
        if status in (404, 405) or status < 400:
            return InserterError(
                f"{self.settings.endpoint} has no chat completions of a model {self.settings.model} ({status})",
                MEND,
            )
        reason = f"{status}: the server refused the request {told}".strip()
        return Refused(reason, body) if status in REFUSALS else GaveUp(reason)

    def _message(self, body: Any) -> str:
        message = error_of(body).get("message") or error_of(body).get("detail")
        text = " ".join(self.settings.redact(message).split()) if isinstance(message, str) else ""
        return f"({text[:SHOWN]})" if text else ""


def _json(response: httpx.Response) -> Any:
    """Return the body of an error: its JSON value, or the text itself."""
    try:
        return response.json()
    except (ValueError, RecursionError):
        return response.text
