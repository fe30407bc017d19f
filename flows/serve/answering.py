"""Answer batches of jobs with a model that is loaded."""

import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

from flows.hear import heard_tokens
from flows.serve.batching import Chat, Hearing, Job
from flows.serve.errors import ApiError, failed
from flows.serve.metrics import Metrics
from models import InserterForConditionalGeneration, InserterProcessor
from models.generation import continue_chats
from models.precision import in_bf16
from models.room import TooLong


@dataclass(frozen=True, eq=False)
class Served:
    """A model as it is served.

    name: what the responses call it: NAME/VERSION of the registry, or the folder's name.
    precision: see `models.precision.in_bf16`.
    """

    model: InserterForConditionalGeneration
    processor: InserterProcessor
    name: str
    precision: str = "auto"
    since: float = field(default_factory=time.time)

    @property
    def spells(self) -> bool:
        """Whether the model writes down what it hears."""
        return hasattr(self.model.adapter, "spell")

    @property
    def bf16(self) -> bool:
        """Whether the model computes in bf16."""
        return in_bf16(self.precision, self.model.device)

    @cached_property
    def ends(self) -> set[int]:
        """The tokens that end an answer."""
        found = self.model.generation_config.eos_token_id
        return {found} if isinstance(found, int) else set(found or [])


class Answering:
    """Answers batches with `served`, which may be replaced between batches."""

    def __init__(self, served: Served, metrics: Metrics) -> None:
        self.served, self.metrics = served, metrics

    def __call__(self, batch: list[Job]) -> None:
        """Answer jobs of one key, and end them. Jobs that nobody waits for are left out."""
        served = self.served
        wanted = [job for job in batch if not job.gone]
        if wanted:
            self.metrics.batch.observe(len(wanted))
        for job in wanted:
            job.served = served
        self._chats(served, [job for job in wanted if isinstance(job, Chat)])
        self._hearings(served, [job for job in wanted if isinstance(job, Hearing)])
        for job in batch:
            job.end()

    def _chats(self, served: Served, jobs: list[Chat]) -> None:
        chats = {job: ids for job in jobs if (ids := _ids(served, job)) is not None}
        if chats:
            self._continue(served, chats)
        for job in jobs:
            self.metrics.tokens.labels("prompt").inc(job.positions)
            self.metrics.tokens.labels("completion").inc(len(job.tokens))

    def _continue(self, served: Served, chats: dict[Chat, list[int]]) -> None:
        """Continue chats of one temperature together. Those that fail together are asked alone."""
        rows = list(chats)

        def watch(row: int, token: int, positions: int) -> bool:
            return rows[row].take(token, positions)

        try:
            continue_chats(
                served.model,
                served.processor,
                list(chats.values()),
                audio=[clip for job in rows for clip in job.audio],
                tokens=[job.limit for job in rows],
                bf16=served.bf16,
                temperature=rows[0].temperature,
                watch=watch,
            )
            return
        except TooLong as error:
            for row, why in error.rows.items():
                rows[row].end(ApiError(400, why, "context_length_exceeded", param="messages"))
            again = [[job for job in rows if not job.ended]]
        except Exception as error:  # an error of one chat must not cost the others their answers
            for job in rows:
                if len(rows) == 1 or job.tokens:
                    job.end(failed(error))
            again = [[job] for job in rows if not job.ended]
        for group in filter(None, again):
            self._continue(served, {job: chats[job] for job in group})

    def _hearings(self, served: Served, jobs: list[Hearing]) -> None:
        if not served.spells:
            problem = f"the adapter of this model is `{served.model.config.adapter}`, which writes no transcript"
            for job in jobs:
                job.end(ApiError(400, problem, "unsupported_model", param="model"))
        elif jobs:
            try:
                heard = heard_tokens(served.model, served.processor, [job.audio[0] for job in jobs])
                for job, tokens in zip(jobs, heard, strict=True):
                    job.heard = tokens
            except Exception as error:  # as in `_continue`
                if len(jobs) == 1:
                    jobs[0].end(failed(error))
                else:
                    for job in jobs:
                        self._hearings(served, [job])


def _ids(served: Served, job: Chat) -> list[int] | None:
    """Return the ids of a chat's prompt. A chat without any is ended with the reason."""
    try:
        found = served.processor.apply_chat_template(job.messages, tokenize=True, return_dict=False, add_generation_prompt=True)
    except Exception as error:  # a template may refuse a turn with any error
        job.end(ApiError(400, f"the LM's chat template refuses the messages ({error})", "invalid_value", param="messages"))
        return None
    return cast(list[int], found)
