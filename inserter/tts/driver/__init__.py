"""The driver: speaks jobs into tar shards, over processes or a Ray cluster. See `inserter.tts` for how to call it."""

from inserter.tts.driver.jobs import Job, content
from inserter.tts.driver.reuse import Earlier
from inserter.tts.driver.shards import Progress, speak_all, speak_shards

__all__ = ["Earlier", "Job", "Progress", "content", "speak_all", "speak_shards"]
