"""Load the model that is served, and load another version once the alias names it."""

import asyncio
import sys
from pathlib import Path

from flows.ask import default_model, loaded, registered
from flows.serve.answering import Answering, Served
from inserter.errors import InserterError
from inserter.params import Params
from inserter.run.runner import say

REGISTRY = "models:/"


class Source:
    """Where the model comes from: a folder, or a version or an alias in the registry."""

    def __init__(self, where: str | None, params: Params) -> None:
        """where: DIR or models:/NAME@ALIAS (or /VERSION). None: see `flows.ask.default_model`."""
        self.params = params
        self.where = where or default_model(params.register_)

    @property
    def names(self) -> list[str]:
        """The names under which clients may ask for the model, besides that of the version."""
        return [self.where.removeprefix(REGISTRY)] if self.follows else []

    @property
    def follows(self) -> bool:
        """Whether the source is an alias, which may come to name another version."""
        return self.where.startswith(REGISTRY) and "@" in self.where

    def name(self) -> str:
        """Return the name of the model as it is now: NAME/VERSION, or the folder's name.

        Raises InserterError if the registry has no such version, or does not answer.
        """
        if not self.where.startswith(REGISTRY):
            return Path(self.where).resolve().name
        return "/".join(registered(self.where, self.params.register_))

    def load(self) -> Served:
        """Return the model. Raises InserterError if it cannot be loaded."""
        from inserter.training.models import for_answers, placed

        name = self.name()
        model, processor = loaded(REGISTRY + name if self.where.startswith(REGISTRY) else self.where, self.params.register_)
        precision = self.params.evaluate.precision
        return Served(for_answers(placed(model), precision).eval(), processor, name, precision)


async def follow(source: Source, answering: Answering, seconds: float) -> None:
    """Look every `seconds` which version the alias names, and serve it from the next batch on.

    If it cannot be loaded, the old version stays, and the next look tries again.
    """
    while True:
        await asyncio.sleep(seconds)
        try:
            if await asyncio.to_thread(source.name) == answering.served.name:
                continue
            served = await asyncio.to_thread(source.load)
        except Exception as error:  # a registry may fail in any way, and the server goes on
            answering.metrics.reloads.labels("failed").inc()
            line = error if isinstance(error, InserterError) else f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            print(f"inserter serve: {source.where} is not followed now: {line}", file=sys.stderr, flush=True)
            continue
        answering.served = served
        answering.metrics.reloads.labels("done").inc()
        say(f"{source.where} is now {served.name}")
