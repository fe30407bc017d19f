"""One request to a chat completions endpoint: tried again where that helps, and told in one line where it does not."""

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
REFUSALS = (400, 415, 422, 501)  # of which the server's words may name a parameter


MEND = f"Check {BASE_URL} (most end in /v1) and {MODEL}, or --base-url and --model"


class WebPage(Again):
    """A page for people, from a gateway or from another address than the API's."""


class GaveUp(Exception):
    """A request that will have no answer; str() says why."""


class Refused(GaveUp):
    """A request that the server does not take as it is. body: its answer."""

    def __init__(self, reason: str, body: Any) -> None:
        super().__init__(reason)
        self.body = body


class JudgeClient:
    """Asks one endpoint. An async context manager; `retries` counts the tries that were made again, `form` how it is asked."""

    def __init__(self, settings: JudgeSettings) -> None:
        self.settings = settings
        self.retries = 0
        self.form = Form()
        self._reached = self._completed = False  # the server was there; it gave a completion
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

        Tried again, after a wait: 429, 5xx, time-outs, broken connections, bodies that are not a completion. Asked in
        another form: what the server refuses by the name of a parameter. Raises GaveUp when neither helped or the server
        refuses this request, InserterError when it refuses all.
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
                    raise refusal from error  # the first: what was refused as it was meant
                form, self.retries = following, self.retries + 1
            else:
                if refusal:  # kept for the others only now that it helped: a server may refuse a text by such a word
                    self.form = form
                return found

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

    async def _try(self, messages: list[Message], n: int, form: Form) -> Completions:
        s = self.settings
        try:
            async with asyncio.timeout(s.timeout):  # the whole request: httpx would let a byte a minute go on for ever
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
        """What an answer that is not 200 means."""
        status, body = response.status_code, _json(response)
        told, asked_wait = self._message(body), retry_after(response.headers.get("retry-after"))
        if status == 429 and "insufficient_quota" in (error_of(body).get("code"), error_of(body).get("type")):
            return InserterError("the judge's account has no credit (429)", "Top it up, then run again: it goes on")
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
    """The body of an error: JSON, or the text itself."""
    try:
        return response.json()
    except (ValueError, RecursionError):
        return response.text
