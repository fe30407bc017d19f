"""Ask a model behind an OpenAI-style chat API, several items at the same time."""

import asyncio
import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tqdm import tqdm

from inserter.answering.items import AskedForm, wav
from inserter.answering.sheet import Sheet
from inserter.chat import ChatClient, ChatSettings, GaveUp, Message, Variables
from inserter.tables import Item

API_KEY = "INSERTER_ANSWER_API_KEY"


@dataclass(frozen=True)
class AnswerSettings(ChatSettings):
    """A model that is measured, and the way it is asked. By default its answers are greedy."""

    who: ClassVar[str] = "model"
    variables: ClassVar[Variables] = Variables("--endpoint", "--model", API_KEY, "the name that the server lists under /models")

    temperature: float | None = 0.0

    def system(self) -> dict[str, object]:
        """Return what decides an answer. The address does not: a server may move."""
        return {"model": self.model, "max_tokens": self.max_tokens, "temperature": self.temperature}


def message(folder: Path, item: Item, form: AskedForm) -> Message:
    """Return the turn of the user: the item's sound, or its words if it is read.

    Raises InserterError if the sound cannot be read.
    """
    if form == "read":
        return {"role": "user", "content": item["prompt"]}
    sound = base64.b64encode(wav(folder, item)).decode()
    return {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": sound, "format": "wav"}}]}


def answer(sheet: Sheet, folder: Path, settings: AnswerSettings) -> None:
    """Ask the model for every waiting item of `sheet`, whose file is open.

    An item that fails is recorded with its reason. The asking stops after `give_up_after` failures
    in a row: the rest is counted as not asked.

    Raises InserterError if the server refuses all requests (key, model, address), or if a clip
    cannot be read. What was answered before stays in the file.
    """
    asyncio.run(_Run(sheet, folder, settings).all())


class _Run:
    def __init__(self, sheet: Sheet, folder: Path, settings: AnswerSettings) -> None:
        self.sheet, self.folder, self.settings = sheet, folder, settings
        self.failed_in_a_row = 0

    async def all(self) -> None:
        waiting = self.sheet.waiting()
        with tqdm(total=len(waiting), desc="answer", unit=" items", disable=None) as self.bar:
            async with ChatClient(self.settings) as self.client:
                queue = iter(waiting)
                workers = [asyncio.create_task(self._work(queue)) for _ in range(self.settings.concurrency)]
                try:
                    await asyncio.gather(*workers)
                finally:  # the first fatal error, or Ctrl-C, ends all workers
                    for worker in workers:
                        worker.cancel()
                    await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, queue: Iterator[Item]) -> None:
        for item in queue:
            if self.sheet.tally.stopped:
                self.sheet.tally.not_asked[self.sheet.tally.stopped] += 1
                continue
            try:
                # The sound takes milliseconds, which would hold up the other requests.
                said = await asyncio.to_thread(message, self.folder, item, self.sheet.form)
                found = (await self.client.ask([said], 1)).replies[0]
            except GaveUp as error:
                self._failed(item, str(error))
            else:
                self.failed_in_a_row = 0
                self.sheet.answer(item, found.text, found.note)
            self.bar.update()

    def _failed(self, item: Item, reason: str) -> None:
        self.sheet.fail(item, reason)
        self.failed_in_a_row += 1
        if self.failed_in_a_row >= self.settings.give_up_after and not self.sheet.tally.stopped:
            self.sheet.tally.stopped = f"the model failed on {self.failed_in_a_row} items in a row"
            self.sheet.tally.remedy = f"Last: {reason}. Mend that, then run the same command again: all answers are kept"
