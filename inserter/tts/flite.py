"""Speak with flite, a program of the system that has small English voices.

The voices come from Carnegie Mellon University.
"""

import shutil
import subprocess
from pathlib import Path

from inserter.params import Voice
from inserter.tts.processes import TIMEOUT, ProcessVoice, version

__all__ = ["files", "load", "missing", "version"]


class FliteVoice(ProcessVoice):
    rates = (0.5, 2.0)

    def command(self, rate: float, text: str, wav: str) -> list[str]:
        return ["flite", "-voice", self.voice, "--setf", f"duration_stretch={1 / rate:.6f}", "-f", text, "-o", wav]


def load(voice: Voice) -> FliteVoice:
    return FliteVoice(voice.voice)


def missing(voice: Voice) -> str | None:
    """Return why `voice` cannot be used here, or None.

    The check is necessary because flite silently takes another voice when it lacks the named one.
    """
    if not shutil.which("flite"):
        return "flite is not installed. Install it with the system's package manager (apt-get install flite)"
    if Path(voice.voice).is_file():
        return None
    listed = subprocess.run(["flite", "-lv"], capture_output=True, text=True, timeout=TIMEOUT).stdout
    names = listed.partition(":")[2].split()
    if voice.voice not in names:
        return f"flite has no voice {voice.voice!r}. Choose one of {', '.join(names)}, or give a .flitevox file"
    return None


def files(voice: Voice) -> list[Path]:
    """Return the .flitevox file of `voice`; flite's own voices are part of the program."""
    return [Path(voice.voice)] if Path(voice.voice).is_file() else []
