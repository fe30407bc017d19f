"""Puts records to a judge: what the cache has is not asked again, what cannot be judged is told with its reason."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from stages.evaluate.judge.cache import FOLDER, ReplyCache, key_of
from stages.evaluate.judge.client import GaveUp, JudgeClient
from stages.evaluate.judge.prompts import Message, Task, Unjudgeable, messages
from stages.common.questions import questions_of
from stages.evaluate.judge.replies import chosen, missing
from stages.evaluate.judge.settings import JudgeSettings
from stages.evaluate.judge.usage import Usage

Record = dict[str, Any]
NOT_ASKED = "not asked"


@dataclass(frozen=True)
class Job:
    """What is put to the judge, once for all records with this content. count: its questions; 0 for adjustment."""

    key: str
    messages: list[Message]
    count: int


@dataclass(frozen=True)
class Outcome:
    """The replies kept, or the reason why there are none."""

    replies: list[str]
    error: str | None = None


def judge(
    records: Iterable[Record], task: Task, settings: JudgeSettings, cache_folder: Path | str = FOLDER
) -> tuple[list[Record], Usage]:
    """The records in their order, each with `pred_score`: the raw replies of the judge, n strings.

    A record that could not be judged has `pred_score` [] and `judge_error`, and never ends the run. Replies are in the
    cache as soon as they come, so a run that was killed goes on where it stopped. Raises InserterError when the server
    refuses every request (key, model, address). Not to be called from a running event loop.
    """
    records = list(records)
    jobs: dict[str, Job] = {}
    keys = [_key(record, task, settings, jobs) for record in records]
    usage = Usage(records=len(records), shared=sum(isinstance(key, str) for key in keys) - len(jobs))
    with ReplyCache(cache_folder) as cache:
        outcomes = asyncio.run(_Run(task, settings, cache, usage).all(jobs.values())) if jobs else {}
    judged = []
    for record, key in zip(records, keys, strict=True):
        outcome = outcomes[key] if isinstance(key, str) else Outcome([], str(key))
        usage.judged += outcome.error is None
        if outcome.error is not None:
            usage.failed += 1
            usage.reasons[outcome.error] += 1
        judged.append(_written(record, outcome))
    return judged, usage


def _key(record: Any, task: Task, settings: JudgeSettings, jobs: dict[str, Job]) -> str | Unjudgeable:
    """The key of the record's job, which is added to `jobs`."""
    try:
        said = messages(record, task)
    except Unjudgeable as error:
        return error
    key = key_of(said, settings)
    jobs.setdefault(key, Job(key, said, len(questions_of(record)) if task == "open" else 0))
    return key


def _written(record: Any, outcome: Outcome) -> Record:
    kept = {name: value for name, value in record.items() if name != "judge_error"} if isinstance(record, dict) else {}
    failed = {} if outcome.error is None else {"judge_error": outcome.error}
    return {**kept, "pred_score": outcome.replies, **failed}


class _Run:
    """The jobs of one call, `concurrency` at a time."""

    def __init__(self, task: Task, settings: JudgeSettings, cache: ReplyCache, usage: Usage) -> None:
        self.task, self.settings, self.cache, self.usage = task, settings, cache, usage
        self.outcomes: dict[str, Outcome] = {}
        self.failed_in_a_row = 0

    async def all(self, jobs: Iterable[Job]) -> dict[str, Outcome]:
        waiting = list(jobs)
        with tqdm(total=len(waiting), desc="judge", unit=" records", disable=None) as self.bar:
            async with JudgeClient(self.settings) as self.client:
                queue = iter(waiting)
                workers = [asyncio.create_task(self._work(queue)) for _ in range(self.settings.concurrency)]
                try:
                    await asyncio.gather(*workers)
                finally:  # the first fatal error, or Ctrl-C, ends all of them
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
        rule = (self.task, job.count, self.settings.n, self.settings.reask)
        self.usage.cached += len(chosen(replies, *rule))
        try:
            while number := missing(replies, *rule):
                replies += await self._ask(job, number)
        except GaveUp as error:
            if len(replies) < self.settings.n:
                return Outcome([], str(error))
        return Outcome(chosen(replies, *rule))

    async def _ask(self, job: Job, number: int) -> list[str]:
        if self.failed_in_a_row >= self.settings.give_up_after:
            raise GaveUp(f"{NOT_ASKED}: the judge had failed on {self.settings.give_up_after} records in a row")
        try:
            found = await self.client.ask(job.messages, number)
        except GaveUp:
            self.failed_in_a_row += 1
            raise
        finally:
            self.usage.retries = self.client.retries
        self.cache.add(job.key, found.texts)  # before anything else: it is paid
        self.failed_in_a_row = 0
        self.usage.count(len(found.texts), found.prompt_tokens, found.completion_tokens)
        return found.texts

    def _show(self) -> None:
        cost = self.usage.cost(self.settings)
        shown = {"tokens": f"{self.usage.prompt_tokens:,} + {self.usage.completion_tokens:,}"}
        self.bar.set_postfix(shown | ({} if cost is None else {"cost": f"{cost:.4f}"}), refresh=False)
