"""One instruction of any task."""

from dataclasses import dataclass, field
from typing import Any

from inserter.prompts.languages import Lang


@dataclass(frozen=True)
class Prompt:
    """key: unique within a language. kwargs is parallel to instruction_id_list and holds the checker's arguments.

    Open-ended: `questions` that a judge answers with yes or no. Adjustment: notes has `before` and `after`, the instruction as
    it began and as it was meant, and `kind`, what was corrected. Both have no instruction ids.
    """

    key: str
    prompt: str
    instruction_id_list: tuple[str, ...]
    kwargs: tuple[dict[str, Any], ...]
    topic: str
    task: str = "closed"
    lang: Lang = "en"
    questions: tuple[str, ...] = ()
    notes: dict[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """The benchmark's fields, without the topic."""
        record = {
            "key": self.key,
            "task": self.task,
            "lang": self.lang,
            "prompt": self.prompt,
            "instruction_id_list": list(self.instruction_id_list),
            "kwargs": list(self.kwargs),
        }
        return {**record, "decomposed_questions": list(self.questions)} if self.questions else record
