"""Speak jobs into tar shards, over processes or a Ray cluster. `inserter.tts` shows the calls."""

from inserter.tts.driver.jobs import Job, content
from inserter.tts.driver.reuse import Earlier
from inserter.tts.driver.shards import Progress, speak_all, speak_shards

__all__ = ["Earlier", "Job", "Progress", "content", "speak_all", "speak_shards"]
