"""Make one request to a chat completions endpoint.

The request is retried where that helps. Otherwise an error of one line says why.
"""

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from threading import Thread

from tenacity import AsyncRetrying, RetryCallState

from inserter.chat.completions import Completions, body_of, completions
from inserter.chat.form import Form, Message
from inserter.chat.settings import ChatSettings
from inserter.endpoint import Again, Answer, Server, Unreachable, error_of, failure, retries, retry_after
from inserter.errors import InserterError

SHOWN = 200  # characters of a server's message
REFUSALS = (400, 415, 422, 501)  # statuses for which the server's words may name a parameter


class WebPage(Again):
    """The answer is a page for people, from a gateway or from another address than the API's."""


class GaveUp(Exception):
    """The request will have no answer; str() says why."""


class Refused(GaveUp):
    """The server does not take the request as it is. body: the server's answer."""

    def __init__(self, reason: str, body: object) -> None:
        super().__init__(reason)
        self.body = body


class ChatClient:
    """A client of one endpoint, as an async context manager.

    `retries` counts the tries that were made again. `form` is how requests are put.
    """

    def __init__(self, settings: ChatSettings) -> None:
        self.settings = settings
        self.retries = 0
        self.form = Form()
        self._reached = self._completed = False  # whether the server answered; gave a completion
        self._not_before = 0.0  # monotonic time until which the server has asked for quiet

    async def __aenter__(self) -> "ChatClient":
        self._server = Server(self.settings.url, self.settings.key, self.settings.concurrency)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def ask(self, messages: Sequence[Message], n: int) -> Completions:
        """Return 1 to n completions: a server may give fewer than asked.

        A request is retried, after a wait, on 429, 5xx, time-outs, broken connections, and bodies
        that are not a completion. A request that the server refuses by the name of a parameter is
        put in another form.

        Raise GaveUp if neither helped or the server refuses this request. Raise InserterError if
        the server refuses all requests.
        """
        s, form, refusal = self.settings, self.form, None

        async def once() -> Completions:
            nonlocal form, refusal
            while True:
                await self._quiet()
                try:
                    found = await self._try(messages, n, form)
                except Refused as error:
                    refusal, following = refusal or error, form.after(error.body, s, n)
                    if following is None:
                        raise refusal from error  # the first one, of the request as it was meant
                    form, self.retries = following, self.retries + 1
                    continue
                # Only a form that helped is kept for other requests: a server may also refuse a
                # text by such a word.
                if refusal:
                    self.form = form
                return found

        try:
            return await AsyncRetrying(**retries(s.tries, s.backoff, s.max_wait), before_sleep=self._rest)(once)
        except Again as problem:
            if isinstance(problem, WebPage) and not self._completed:
                raise InserterError(f"{s.endpoint} answers with a web page", self._mend()) from problem
            raise GaveUp(f"gave up after {s.tries} tries: {problem}") from problem

    def _rest(self, state: RetryCallState) -> None:
        """Count a retry, and keep the wait that the server asked for: it holds for all requests."""
        problem = failure(state)
        self.retries += 1
        if problem.wait is None:
            return
        if problem.wait > self.settings.max_wait:
            raise GaveUp(f"{problem}: the server asks to wait {problem.wait:.0f} s")
        self._not_before = max(self._not_before, time.monotonic() + problem.wait)

    async def _quiet(self) -> None:
        """Wait until the server takes requests again."""
        # A loop, since the server may have asked for a longer wait meanwhile.
        while (left := self._not_before - time.monotonic()) > 0:
            await asyncio.sleep(left + random.uniform(0.0, self.settings.backoff))

    async def _try(self, messages: Sequence[Message], n: int, form: Form) -> Completions:
        s = self.settings
        try:
            # Also limits the headers, of which the server may send one byte per minute.
            async with asyncio.timeout(s.timeout):
                answer = await _aside(lambda: self._server.post(form.body(s, messages, n), s.timeout))
        except TimeoutError as error:
            raise Again(f"no answer in {s.timeout:g} s") from error
        except Again as error:
            if isinstance(error, Unreachable) and not self._reached:
                remedy = f"Start the server, or correct {s.variables.base_url}"
                raise InserterError(s.redact(f"no {s.who} answers at {s.endpoint} ({error})"), remedy) from error
            raise Again(s.redact(str(error))) from error
        self._reached = True
        if answer.status == 200:
            return self._read(answer, form.asked(n))
        raise self._refused(answer)

    def _read(self, answer: Answer, n: int) -> Completions:
        try:
            body = body_of(answer.content.decode("utf-8-sig", "replace"))
        except ValueError as error:
            if answer.headers.get("content-type", "").lower().startswith("text/html"):
                raise WebPage("the answer is a web page") from error
            raise Again("the answer is not JSON, or cut short") from error
        found = completions(body, n)
        if found is None:
            raise Again(f"the answer has no completion {self._message(body)}".strip())
        self._completed = True
        return replace(found, replies=[replace(reply, text=self.settings.redact(reply.text)) for reply in found.replies])

    def _refused(self, answer: Answer) -> Exception:
        """Return the exception for an answer whose status is not 200."""
        status, body = answer.status, _json(answer)
        message, asked_wait = self._message(body), retry_after(answer.headers.get("retry-after"))
        if status == 429 and "insufficient_quota" in (error_of(body).get("code"), error_of(body).get("type")):
            problem = f"the {self.settings.who}'s account has no credit (429)"
            return InserterError(problem, "Add credit, then run the same command again to resume")
        if status == 429:
            return Again("429: too many requests", asked_wait)
        if status >= 500 and status not in REFUSALS:
            return Again(f"{status}: the server failed {message}".strip(), asked_wait)
        if status == 401:
            variable = self.settings.variables.api_key
            have = f"Check {variable}" if self.settings.key else f"Set {variable}"
            return InserterError(f"{self.settings.endpoint} does not take the key (401)", have)
        if status in (404, 405) or status < 400:
            return InserterError(
                f"{self.settings.endpoint} has no chat completions of a model {self.settings.model} ({status})",
                self._mend(),
            )
        reason = f"{status}: the server refused the request {message}".strip()
        return Refused(reason, body) if status in REFUSALS else GaveUp(reason)

    def _mend(self) -> str:
        names = self.settings.variables
        return f"Check {names.base_url} (most end in /v1) and {names.model}, or {names.options}"

    def _message(self, body: object) -> str:
        message = error_of(body).get("message") or error_of(body).get("detail")
        text = " ".join(self.settings.redact(message).split()) if isinstance(message, str) else ""
        return f"({text[:SHOWN]})" if text else ""


def _json(answer: Answer) -> object:
    """Return the body of an error: its JSON value, or the text itself."""
    try:
        return json.loads(answer.content)
    except (ValueError, RecursionError):
        return answer.content.decode("utf-8", "replace")


async def _aside(call: Callable[[], Answer]) -> Answer:
    """Return `call()`, made in a thread of its own.

    A thread cannot be cancelled. A daemon is abandoned instead; a thread of an executor would hold
    up the end of the process until the server answers.
    """
    future: Future[Answer] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(call())
        except Exception as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(future)
