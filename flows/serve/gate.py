"""Check the host, the key and a free place of every request, and count the requests."""

import hmac
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flows.serve.errors import ApiError
from flows.serve.limits import RETRY_SECONDS, Limits
from flows.serve.metrics import Metrics

LOOPBACK = ("localhost", "127.0.0.1", "::1")
OPEN = ("/", "/health")  # routes without a key


class Gate:
    """ASGI middleware around the app."""

    def __init__(
        self, app: ASGIApp, *, limits: Limits, metrics: Metrics, routes: Iterable[str], key: str | None, only_local: bool
    ) -> None:
        """Take what is checked.

        routes: the paths by which requests are counted.
        key: what `Authorization: Bearer` has to say. None: no key is needed.
        only_local: whether a request has to name this machine as its host, and come from no web
            page of another host. Otherwise a web page could let its own name resolve to this
            machine, and read the answers, or could send forms here.
        """
        self.app, self.limits, self.metrics, self.key, self.only_local = app, limits, metrics, key, only_local
        self.routes = frozenset(routes)
        self.inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        start, status = time.perf_counter(), 500
        route = scope["path"] if scope["path"] in self.routes else "other"

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        takes = scope["method"] == "POST"
        try:
            try:
                self._check(scope, takes)
            except ApiError as error:
                return await error.response()(scope, receive, noting)
            self.inside += takes
            self.metrics.in_progress.set(self.inside)
            try:
                await self.app(scope, receive, noting)
            finally:
                self.inside -= takes
                self.metrics.in_progress.set(self.inside)
        finally:
            self.metrics.requests.labels(route, str(status)).inc()
            self.metrics.seconds.labels(route).observe(time.perf_counter() - start)

    def _check(self, scope: Scope, takes: bool) -> None:
        headers = Headers(scope=scope)
        if self.only_local and _host(headers.get("host", "")) not in LOOPBACK:
            raise ApiError(403, "this server answers only requests to localhost. Start it with a key to serve other names", "host")
        origin = headers.get("origin")  # browsers send it with every POST
        if self.only_local and origin is not None and _host(origin.partition("://")[2]) not in LOOPBACK:
            raise ApiError(403, "this server answers no web page of another host. Start it with a key to serve others", "origin")
        if self.key and scope["path"] not in OPEN and not self._opens(headers.get("authorization", "")):
            how = {"WWW-Authenticate": "Bearer"}
            raise ApiError(401, "give the server's key as `Authorization: Bearer KEY`", "invalid_api_key", headers=how)
        if takes and self.inside >= self.limits.requests:
            later = {"Retry-After": str(RETRY_SECONDS)}
            raise ApiError(429, f"the server has {self.inside} requests already", "overloaded", headers=later)

    def _opens(self, given: str) -> bool:
        """Return whether the header has the key, in a time that tells nothing about the key."""
        kind, _, key = given.partition(" ")
        return kind.lower() == "bearer" and hmac.compare_digest(key.strip().encode(), (self.key or "").encode())


def _host(header: str) -> str | None:
    try:
        return urlsplit(f"//{header}").hostname
    except ValueError:
        return None
