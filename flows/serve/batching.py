"""Requests that wait for the model, and the one thread that answers them in batches."""

import asyncio
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from itertools import accumulate
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.serve.errors import ApiError, failed
from flows.serve.limits import ARRIVE_SECONDS, BATCH_AUDIO_SECONDS, GATHER_SECONDS
from models.sound import SAMPLE_RATE

if TYPE_CHECKING:
    from flows.serve.answering import Served


class Job:
    """A request from its last byte to its answer. Make it in the event loop that waits for it.

    key: jobs with the same key may share a batch.
    audio: clips (samples,) at 16 kHz.
    ended: whether nothing more will come. Then `error` says what went wrong, if anything did.
    gone: whether nobody waits for the answer any more.
    served: the model that answers, once the job has begun.
    """

    def __init__(self, key: Hashable, audio: list[np.ndarray]) -> None:
        self.key, self.audio = key, audio
        self.ended = self.gone = False
        self.error: ApiError | None = None
        self.served: Served
        self.changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    @property
    def seconds(self) -> float:
        """The seconds of sound."""
        return sum(map(len, self.audio)) / SAMPLE_RATE

    def end(self, error: ApiError | None = None) -> None:
        """End the job, with `error` if it failed. A job that has ended stays as it is."""
        if not self.ended:
            self.error = error
            self.ended = True
            self.wake()

    def wake(self) -> None:
        """Tell the event loop that the job has changed."""
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self.changed.set)


class Chat(Job):
    """A chat to be continued.

    messages: see `InserterProcessor.apply_chat_template`.
    limit: the most tokens of the answer.
    streams: whether each token is awaited.
    positions: the LM positions of the prompt, once it has been read.
    stopped: whether the model ended the answer itself.
    """

    def __init__(
        self, messages: list[dict[str, Any]], audio: list[np.ndarray], limit: int, *, temperature: float, streams: bool
    ) -> None:
        super().__init__(("chat", temperature), audio)
        self.messages, self.limit, self.temperature, self.streams = messages, limit, temperature, streams
        self.tokens: list[int] = []
        self.positions = 0
        self.stopped = False

    def take(self, token: int, positions: int) -> bool:
        """Append a token of the answer, and return whether the answer goes on."""
        if not self.tokens:
            self.positions = positions
        self.tokens.append(token)
        self.stopped = token in self.served.ends
        if self.stopped or self.gone or len(self.tokens) == self.limit:
            self.end()
        elif self.streams:
            self.wake()
        return not self.ended


class Hearing(Job):
    """A clip to be written down. heard: the tokens and their starts in seconds."""

    def __init__(self, clip: np.ndarray) -> None:
        super().__init__("hear", [clip])
        self.heard: list[tuple[int, float]] = []


class Queue:
    """The jobs that wait, in the order in which they came."""

    def __init__(self, most: int) -> None:
        """most: jobs per batch."""
        self.most = most
        self.closed = False
        self._waiting: list[Job] = []
        self._taken: list[Job] = []
        self._coming = 0
        self._news = Condition()

    def __len__(self) -> int:
        return len(self._waiting)

    @contextmanager
    def coming(self) -> Iterator[None]:
        """Announce a job that is put within the block. A batch waits for it (GATHER_SECONDS)."""
        with self._news:
            self._coming += 1
        try:
            yield
        finally:
            with self._news:
                self._coming -= 1
                self._news.notify()

    def put(self, job: Job) -> None:
        """Append a job, and wake the thread that waits for jobs."""
        with self._news:
            self._waiting.append(job)
            self._news.notify()

    def drop(self, job: Job) -> None:
        """Let go of a job: take it out of the queue, or have its answer end with the next token."""
        job.gone = True
        with self._news:
            if job in self._waiting:
                self._waiting.remove(job)

    def close(self) -> None:
        """Have `take` return None, and let go of all jobs."""
        with self._news:
            self.closed = True
            for job in [*self._waiting, *self._taken]:
                job.gone = True
                job.end(ApiError(503, "the server is stopping", "stopping"))
            self._waiting.clear()
            self._news.notify()

    def take(self) -> list[Job] | None:
        """Wait for jobs, and return those with the key of the first. None: the queue is closed.

        The result is empty if the jobs have gone meanwhile.
        """
        with self._news:
            self._taken = []  # a job holds its model, which may be replaced
            self._news.wait_for(lambda: self._waiting or self.closed)
            self._news.wait_for(lambda: self.closed, ARRIVE_SECONDS)
            self._news.wait_for(lambda: self.closed or not self._coming, GATHER_SECONDS)
            if self.closed:
                return None
            self._taken = _together([job for job in self._waiting if job.key == self._waiting[0].key][: self.most])
            self._waiting = [job for job in self._waiting if job not in self._taken]
            return self._taken


def _together(jobs: list[Job]) -> list[Job]:
    """Return the first job, and those after it that BATCH_AUDIO_SECONDS of sound have room for."""
    sums = accumulate(job.seconds for job in jobs)
    return jobs[: max(1, sum(seconds <= BATCH_AUDIO_SECONDS for seconds in sums))]


class Worker(Thread):
    """The thread that owns the model."""

    def __init__(self, queue: Queue, answer: Callable[[list[Job]], None]) -> None:
        """answer: answers a batch, and ends its jobs."""
        super().__init__(name="model", daemon=True)
        self.queue, self.answer = queue, answer

    def run(self) -> None:
        """Answer batches until the queue is closed."""
        while self._next():
            pass

    def _next(self) -> bool:
        """Answer a batch, and return whether there was one before the queue was closed."""
        batch = self.queue.take()
        if batch is None:
            return False
        try:
            self.answer(batch)
        except Exception as error:  # the thread has to outlive any request
            for job in batch:
                job.end(failed(error))
        return True
