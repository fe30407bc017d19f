"""flite: small English voices of Carnegie Mellon University, a program of the system."""

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
    """Why `voice` cannot be used here, or None. flite itself takes another voice in silence when it lacks one."""
    if not shutil.which("flite"):
        return "flite is not installed. Install it with the system's package manager (apt-get install flite)"
    if Path(voice.voice).is_file():
        return None
    listed = subprocess.run(["flite", "-lv"], capture_output=True, text=True, timeout=TIMEOUT).stdout
    names = listed.partition(":")[2].split()
    if voice.voice not in names:
        return f"flite has no voice {voice.voice!r}. It has {', '.join(names)}, or give a .flitevox file"
    return None


def files(voice: Voice) -> list[Path]:
    """A .flitevox file; flite's own voices are in the program."""
    return [Path(voice.voice)] if Path(voice.voice).is_file() else []
