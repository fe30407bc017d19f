"""One item of our own set: before it is spoken, the job for the voice, and its row."""

import json
from dataclasses import dataclass
from typing import Any

from inserter.audio.effects import Effect
from inserter.params import Voice
from inserter.prompts import Prompt
from inserter.text.spoken import spoken_form
from inserter.tts import Job

ISO_639 = {"cn": "zh"}  # the benchmark's name for Chinese
NO_CLIP = {"shard": None, "offset": 0, "size": 0, "duration": 0.0, "voice": None}


@dataclass(frozen=True)
class Planned:
    """text: as it is said. voice None: it is only read."""

    variant: str
    prompt: Prompt
    text: str
    voice: Voice | None
    notes: dict[str, Any]
    effect: Effect | None = None

    @property
    def item_id(self) -> str:
        first = self.variant if self.prompt.task == "closed" else self.prompt.task
        return f"{first}-{self.prompt.lang}-{self.prompt.key}"

    def job(self) -> Job:
        """For an item with a voice. Raises CannotRead."""
        spoken = spoken_form(self.text, ISO_639.get(self.prompt.lang, self.prompt.lang))
        voice = self.voice.name if self.voice else ""
        return Job(self.item_id, self.prompt.key, "benchmark", self.text, spoken, voice, self.effect)

    def row(self, utterance: dict[str, Any]) -> dict[str, Any]:
        """The item (schema ITEMS) with the clip of its utterance."""
        return {
            "item_id": self.item_id,
            "key": self.prompt.key,
            "task": self.prompt.task,
            "lang": self.prompt.lang,
            "variant": self.variant,
            "prompt": self.text,
            "clean_prompt": self.prompt.prompt,
            "instruction_id_list": list(self.prompt.instruction_id_list),
            "kwargs": json.dumps(self.prompt.kwargs, sort_keys=True, ensure_ascii=False),
            "questions": list(self.prompt.questions),
            "notes": json.dumps(self.notes, sort_keys=True, ensure_ascii=False),
            **{name: utterance[name] for name in NO_CLIP},
        }
