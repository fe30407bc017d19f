"""Put records to a judge.

What the cache has is not asked again. What cannot be judged is reported with its reason.
"""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from inserter.chat.client import ChatClient, GaveUp
from inserter.chat.completions import Reply
from inserter.scoring.judge.cache import FOLDER, ReplyCache, key_of
from inserter.scoring.judge.prompts import Message, Task, Unjudgeable, messages
from inserter.scoring.judge.replies import NO_VERDICT, WHY, chosen, counted, missing, vote, why_not
from inserter.scoring.judge.settings import JudgeSettings
from inserter.scoring.judge.usage import Usage
from inserter.scoring.questions import questions_of
from inserter.tables import TASKS

Record = dict[str, Any]
NOT_ASKED = "not asked"
AGAIN = "Check the judge's endpoint, then run again: all replies are kept"
# Asking stops if no reply to this many records in a row, with this many completions, can be read.
# Once a reply could be read, `give_up_after` replaces the number of records.
UNREAD_RECORDS, UNREAD_REPLIES = 3, 12


@dataclass(frozen=True)
class Job:
    """What is put to the judge, once for all records with this content."""

    key: str
    messages: list[Message]
    count: int
    """Number of questions; 0 for adjustment."""


@dataclass(frozen=True)
class Outcome:
    """What the judge said of a job."""

    votes: list[str]
    """The texts of the replies that are kept."""

    error: str | None = None
    """Why there is no verdict; None if there is one."""


def judge(
    records: Iterable[object], task: Task, settings: JudgeSettings, *, cache_folder: Path | str = FOLDER
) -> tuple[list[Record], Usage]:
    """Return the records in their order, each with `pred_score`, and the usage.

    `pred_score` has the raw replies of the judge, n strings. A record that was not judged has
    `judge_error` and never ends the run. The `pred_score` of such a record is [], or replies
    without a verdict.

    Replies are in the cache as soon as they come, so a killed run resumes where it stopped. If the
    judge fails on many records in a row, or its replies cannot be read, no more records are asked
    (`Usage.stopped`). Raise InserterError if the server refuses every request (key, model,
    address). Do not call this function from a running event loop.
    """
    records = list(records)
    jobs: dict[str, Job] = {}
    keys = [_key(record, task, settings, jobs=jobs) for record in records]
    usage = Usage(records=len(records), shared=sum(isinstance(key, str) for key in keys) - len(jobs))
    with ReplyCache(cache_folder) as cache:
        outcomes = asyncio.run(_Run(task, settings, cache, usage=usage).all(jobs.values())) if jobs else {}
    judged = []
    for record, key in zip(records, keys, strict=True):
        outcome = outcomes[key] if isinstance(key, str) else Outcome([], str(key))
        usage.judged += outcome.error is None
        if outcome.error is not None:
            usage.failed += 1
            usage.reasons[outcome.error] += 1
        judged.append(_written(record, outcome))
    return judged, usage


def _key(record: object, task: Task, settings: JudgeSettings, *, jobs: dict[str, Job]) -> str | Unjudgeable:
    """Return the key of the record's job, and add the job to `jobs`.

    Return Unjudgeable if the record cannot be put to the judge.
    """
    of = record.get("task") if isinstance(record, dict) else None
    if of in TASKS and of != task:
        return Unjudgeable(f"a record of task {of}")
    try:
        said = messages(record, task)
    except Unjudgeable as error:
        return error
    key = key_of(said, settings)
    count = len(questions_of(record)) if task == "open" and isinstance(record, dict) else 0
    jobs.setdefault(key, Job(key, said, count))
    return key


def _written(record: object, outcome: Outcome) -> Record:
    kept = {name: value for name, value in record.items() if name != "judge_error"} if isinstance(record, dict) else {}
    failed = {} if outcome.error is None else {"judge_error": outcome.error}
    return {**kept, "pred_score": outcome.votes, **failed}


class _Run:
    """The jobs of one call of `judge`, `concurrency` at a time."""

    def __init__(self, task: Task, settings: JudgeSettings, cache: ReplyCache, *, usage: Usage) -> None:
        self.task, self.settings, self.cache, self.usage = task, settings, cache, usage
        self.outcomes: dict[str, Outcome] = {}
        self.failed_in_a_row = 0
        # By job, the replies to the last records in a row of which no reply could be read.
        self.unread: dict[str, list[Reply]] = {}
        self.read_any = False

    async def all(self, jobs: Iterable[Job]) -> dict[str, Outcome]:
        waiting = list(jobs)
        with tqdm(total=len(waiting), desc="judge", unit=" records", disable=None) as self.bar:
            async with ChatClient(self.settings) as self.client:
                queue = iter(waiting)
                workers = [asyncio.create_task(self._work(queue)) for _ in range(self.settings.concurrency)]
                try:
                    await asyncio.gather(*workers)
                finally:  # the first fatal error, or Ctrl-C, ends all workers
                    for worker in workers:
                        worker.cancel()
                    await asyncio.gather(*workers, return_exceptions=True)
        return self.outcomes

    async def _work(self, queue: Iterator[Job]) -> None:
        for job in queue:
            self.outcomes[job.key] = await self._one(job)
            self.bar.update()
            self._show()

    async def _one(self, job: Job) -> Outcome:
        replies = self.cache.replies(job.key)
        limits = {"n": self.settings.n, "reask": self.settings.reask}
        self.usage.cached += len(chosen(replies, self.task, job.count, **limits))
        self._look(job, replies)
        try:
            while number := missing(replies, self.task, job.count, **limits):
                replies += await self._ask(job, number)
                self._look(job, replies)
        except GaveUp as error:
            if len(replies) < self.settings.n:
                return Outcome([], str(error))
        votes = [vote(reply, self.task, job.count) for reply in chosen(replies, self.task, job.count, **limits)]
        if counted(votes, self.task, job.count, as_they_come=self.settings.reask == 0):
            return Outcome(votes)
        return Outcome(votes, f"{NO_VERDICT}: {WHY[why_not(replies)][0]}")

    async def _ask(self, job: Job, number: int) -> list[Reply]:
        if self.usage.stopped:
            raise GaveUp(f"{NOT_ASKED}: {self.usage.stopped}")
        try:
            found = await self.client.ask(job.messages, number)
        except GaveUp as error:
            self._failed(error)
            raise
        finally:
            self.usage.retries, self.usage.changes = self.client.retries, self.client.form.notes()
        self.cache.add(job.key, found.replies)  # before anything else, since they are paid for
        self.failed_in_a_row = 0
        self.usage.count(len(found.replies), found.prompt_tokens, found.completion_tokens)
        return found.replies

    def _failed(self, error: GaveUp) -> None:
        self.failed_in_a_row += 1
        if self.failed_in_a_row >= self.settings.give_up_after and not self.usage.stopped:
            self._stop(f"the judge failed on {self.failed_in_a_row} records in a row", f"{error}. {AGAIN}")

    def _look(self, job: Job, replies: list[Reply]) -> None:
        """Stop asking if the replies cannot be read, so that nobody pays for a thousand records."""
        if any(counted([vote(reply, self.task, job.count)], self.task, job.count) for reply in replies):
            self.unread, self.read_any = {}, True
        elif replies:
            self.unread[job.key] = replies
        records, unread = len(self.unread), [reply for found in self.unread.values() for reply in found]
        enough = self.settings.give_up_after if self.read_any else UNREAD_RECORDS
        if records >= enough and len(unread) >= UNREAD_REPLIES and not self.usage.stopped:
            words, remedy = WHY[why_not(unread)]
            problem = f"the judge's replies to {records} records in a row hold no verdict: {words}"
            self._stop(problem, remedy.format(max_tokens=self.settings.max_tokens) + ". Finished judgements are kept")

    def _stop(self, problem: str, remedy: str) -> None:
        self.usage.stopped, self.usage.remedy = problem, remedy

    def _show(self) -> None:
        cost = self.usage.cost(self.settings)
        shown = {"tokens": f"{self.usage.prompt_tokens:,} + {self.usage.completion_tokens:,}"}
        self.bar.set_postfix(shown | ({} if cost is None else {"cost": f"{cost:.4f}"}), refresh=False)
