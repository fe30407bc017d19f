"""Speak with programs of the system.

Each text runs in a process of its own, which keeps GPL programs apart from this process.
"""

import subprocess
import tempfile
from abc import abstractmethod
from pathlib import Path

import numpy as np

from inserter.audio.clips import read
from inserter.errors import InserterError
from inserter.params import Voice
from inserter.tts.base import CannotSpeak, Synthesizer

TIMEOUT = 60.0  # seconds; espeak-ng and flite speak more than 70 times faster than real time


class ProcessVoice(Synthesizer):
    """A program that reads a text file and writes a wav file.

    The text never stands on the command line.
    """

    def __init__(self, voice: str) -> None:
        self.voice = voice

    @abstractmethod
    def command(self, rate: float, text: str, wav: str) -> list[str]:
        """Return the command line that speaks the file `text` into the file `wav`."""

    def synthesize(self, text: str, rate: float) -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            source, wav = Path(folder, "text.txt"), Path(folder, "speech.wav")
            source.write_text(text + "\n", encoding="utf-8")
            command = self.command(rate, str(source), str(wav))
            try:
                subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL)
                return read(wav)
            except subprocess.CalledProcessError as error:
                raise CannotSpeak(f"{command[0]}: {error.stderr.decode(errors='replace').strip()}") from error
            except subprocess.TimeoutExpired as error:
                raise CannotSpeak(f"{command[0]} took more than {TIMEOUT:.0f} s") from error
            except InserterError as error:  # no file, or one without samples
                raise CannotSpeak(f"{command[0]} gave no audio") from error


def version(voice: Voice) -> str:
    """Return the line with the version from what the program prints about itself."""
    run = subprocess.run([voice.engine, "--version"], capture_output=True, text=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL)
    said = (run.stdout + run.stderr).splitlines()
    return next((line.partition("Data at")[0].strip() for line in said if any(c.isdigit() for c in line)), "")
