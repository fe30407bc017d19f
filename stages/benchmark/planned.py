"""One item of our own set: its plan, the job for its voice, and its row in the table."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from inserter.audio.effects import Effect
from inserter.params import Voice
from inserter.prompts import Prompt
from inserter.tables import ISO_639, Item, Utterance
from inserter.text.spoken import spoken_form
from inserter.tts import Job


class Spoken(TypedDict):
    """What an item takes from its utterance."""

    shard: str | None
    offset: int
    size: int
    duration: float
    voice: str | None


NO_CLIP: Spoken = {"shard": None, "offset": 0, "size": 0, "duration": 0.0, "voice": None}


@dataclass(frozen=True)
class Planned:
    """An item before it is spoken."""

    variant: str
    prompt: Prompt

    text: str
    """The text as it is spoken; a disfluent variant differs from the prompt."""

    voice: Voice | None
    """The voice that speaks the item; None if the item is only read."""

    notes: Mapping[str, object]
    """What was drawn for the variant; in the standard variant, the notes of the prompt."""

    effect: Effect | None = None
    """The change made to the finished clip; None if there is none."""

    @property
    def item_id(self) -> str:
        first = self.variant if self.prompt.task == "closed" else self.prompt.task
        return f"{first}-{self.prompt.lang}-{self.prompt.key}"

    def job(self) -> Job:
        """Return the job of an item with a voice. Raises CannotRead."""
        spoken = spoken_form(self.text, ISO_639.get(self.prompt.lang, self.prompt.lang))
        voice = self.voice.name if self.voice else ""
        return Job(self.item_id, self.prompt.key, "benchmark", self.text, spoken, voice, self.effect)

    def row(self, utterance: Spoken | Utterance) -> Item:
        """Return the item with the clip of its utterance, which may be NO_CLIP."""
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
            "shard": utterance["shard"],
            "offset": utterance["offset"],
            "size": utterance["size"],
            "duration": utterance["duration"],
            "voice": utterance["voice"],
        }
