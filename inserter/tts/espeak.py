"""Speak with espeak-ng, which synthesizes 100 languages by rule.

espeak-ng is licensed under GPL-3.0, so it runs as a program of the system and never inside this
process.
"""

import shutil
import subprocess
from pathlib import Path

from inserter.params import Voice
from inserter.tts.processes import TIMEOUT, ProcessVoice, version

__all__ = ["files", "load", "missing", "version"]


class EspeakVoice(ProcessVoice):
    rates = (0.5, 2.5)  # factors of 175 words per minute, its own pace; it accepts 80 to 450

    def command(self, rate: float, text: str, wav: str) -> list[str]:
        return ["espeak-ng", "-v", self.voice, "-s", str(round(175 * rate)), "-b", "1", "-f", text, "-w", wav]


def load(voice: Voice) -> EspeakVoice:
    return EspeakVoice(voice.voice)


def missing(voice: Voice) -> str | None:
    """Return why `voice` cannot be used here, or None."""
    if not shutil.which("espeak-ng"):
        return "espeak-ng is not installed. Install it with the system's package manager (apt-get install espeak-ng)"
    run = subprocess.run(["espeak-ng", "-q", "-v", voice.voice, "a"], capture_output=True, timeout=TIMEOUT)
    return f"espeak-ng has no voice {voice.voice!r}. Choose one that `espeak-ng --voices` lists" if run.returncode else None


def files(_voice: Voice) -> list[Path]:
    """Return no files, because espeak-ng's voices are part of the program."""
    return []
