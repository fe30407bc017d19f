"""The driver: speaks jobs into tar shards, over processes or a Ray cluster. See `stages.common.tts` for how to call it."""

from pathlib import Path

from stages.common import audio
from stages.common.tts.driver.jobs import Job, content
from stages.common.tts.driver.reuse import Earlier
from stages.common.tts.driver.shards import Progress, speak_all, speak_shards
from stages.common.work import code

__all__ = ["Earlier", "Job", "Progress", "content", "speak_all", "speak_shards", "speech_code"]
MODULES = ("audio", "augment", "noise", "rooms", "spectrum", "whispering")


def speech_code() -> list[Path]:
    """The files of code that decide the bytes of shards: half-done work of other code must not be gone on with."""
    common = Path(audio.__file__).parent
    return [*sorted((common / "tts").rglob("*.py")), *(common / f"{name}.py" for name in MODULES), *code("models.sound")]
