"""Draw prompts until a new one comes, so that no two prompts are the same."""

from collections.abc import Callable
from random import Random

from inserter.errors import InserterError
from inserter.prompts.prompt import Prompt
from inserter.seeds import rng

ATTEMPTS = 200  # draws without a new prompt after which the templates count as exhausted


class Fresh:
    """Composes only prompts that it has not composed before.

    The generator of each draw is seeded with (seed, names, key, attempt).
    """

    def __init__(self, source: str, seed: int, *names: str) -> None:
        self.source, self.seed, self.names = source, seed, names
        self.seen: set[str] = set()

    def __call__(self, key: str, compose: Callable[[Random], Prompt], kind: str | None = None) -> Prompt:
        """Return a new prompt.

        Raises InserterError when ATTEMPTS draws give no new prompt.
        """
        for attempt in range(ATTEMPTS):
            prompt = compose(rng(self.seed, *self.names, key, attempt))
            if prompt.prompt not in self.seen:
                self.seen.add(prompt.prompt)
                return prompt
        raise InserterError(
            f"{self.source} has no further prompt{f' of type {kind}' if kind else ''} after {len(self.seen)}",
            "Ask for fewer prompts, or add topics to inserter/prompts",
        )
