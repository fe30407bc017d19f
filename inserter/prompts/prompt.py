"""Define a prompt, which is one instruction of any task."""

from dataclasses import dataclass, field
from typing import Any

from inserter.prompts.languages import Lang

Arguments = dict[str, Any]  # of one checker, by name


@dataclass(frozen=True)
class Prompt:
    """One instruction, with what its checker or its judge needs."""

    key: str
    """Unique within a language."""
    prompt: str
    instruction_id_list: tuple[str, ...]
    """Types of the constraints; empty for open-ended and adjustment prompts."""
    kwargs: tuple[Arguments, ...]
    """Arguments of the checker, parallel to `instruction_id_list`."""
    topic: str
    task: str = "closed"
    lang: Lang = "en"
    questions: tuple[str, ...] = ()
    """Open-ended prompts: questions that a judge answers with yes or no."""
    notes: dict[str, str] = field(default_factory=dict)
    """Adjustment prompts: `before`, `after` and `kind`.

    `before` and `after` are the instruction as it began and as it was meant. `kind` says what was
    corrected.
    """

    def record(self) -> dict[str, object]:
        """Return the benchmark's fields, without the topic."""
        record: dict[str, object] = {
            "key": self.key,
            "task": self.task,
            "lang": self.lang,
            "prompt": self.prompt,
            "instruction_id_list": list(self.instruction_id_list),
            "kwargs": list(self.kwargs),
        }
        return {**record, "decomposed_questions": list(self.questions)} if self.questions else record
