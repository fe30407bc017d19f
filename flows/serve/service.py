"""The parts of a server, and how its routes wait for the model."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request

from flows.serve.answering import Answering, Served
from flows.serve.batching import Chat, Job, Queue, Worker
from flows.serve.errors import CLIENT_GONE, ApiError, too_slow
from flows.serve.following import Source, follow
from flows.serve.limits import Limits
from flows.serve.metrics import Metrics


class Service:
    """The server's parts, and what its routes share."""

    def __init__(self, source: Source, served: Served, *, limits: Limits, follow_seconds: float) -> None:
        """Start nothing yet. follow_seconds: how often to look at the alias."""
        self.source, self.limits, self.follow_seconds = source, limits, follow_seconds
        self.queue = Queue(limits.batch)
        self.answering = Answering(served, Metrics(lambda: len(self.queue), lambda: self.served.name))
        self.worker = Worker(self.queue, self.answering)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def served(self) -> Served:
        """The model that answers now."""
        return self.answering.served

    @property
    def metrics(self) -> Metrics:
        """The metrics of this server."""
        return self.answering.metrics

    @asynccontextmanager
    async def open(self, app: FastAPI) -> AsyncIterator[None]:
        """Answer requests within the block."""
        self.worker.start()
        following = asyncio.create_task(follow(self.source, self.answering, self.follow_seconds)) if self.source.follows else None
        yield
        if following:
            following.cancel()
        self.queue.close()
        await asyncio.to_thread(self.worker.join, 5.0)

    def check_model(self, name: str | None) -> None:
        """Raise ApiError (404) for a model that is not served."""
        if name not in (None, *self.names()):
            known = ", ".join(self.names())
            raise ApiError(404, f"there is no model {str(name)[:80]!r} here. There is {known}", "model_not_found", param="model")

    def names(self) -> list[str]:
        """Return the names of the served model: its version first, then the alias."""
        return [self.served.name, *(name for name in self.source.names if name != self.served.name)]

    def submit(self, job: Job, request: Request) -> None:
        """Put a job into the queue. If its client goes away, the job loses its place."""
        self.queue.put(job)
        task = asyncio.create_task(self._attend(job, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attend(self, job: Job, request: Request) -> None:
        """Let go of a job once its client is gone, has its whole answer, or the time is up."""
        error = ApiError(CLIENT_GONE, "the client has gone")
        try:
            async with asyncio.timeout(self.limits.seconds):
                while (await request.receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            error = too_slow(self.limits.seconds)
        self._let_go(job, error)

    def _let_go(self, job: Job, error: ApiError) -> None:
        self.queue.drop(job)
        job.end(error)

    async def over(self, job: Job, first: bool = False) -> None:
        """Wait until a job has ended, or with `first` until it has its first token.

        Raises the job's ApiError, if it has one.
        """
        try:
            while not (job.ended or (first and isinstance(job, Chat) and job.tokens)):
                await job.changed.wait()
                job.changed.clear()
        except asyncio.CancelledError:
            self._let_go(job, ApiError(503, "the server is stopping", "stopping"))
            raise
        if job.error:
            raise job.error
