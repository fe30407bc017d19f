"""espeak-ng and flite: programs of the system, each sentence in a process of its own."""

import shutil
import subprocess
import tempfile
from abc import abstractmethod
from pathlib import Path

import numpy as np

from stages.common.audio import read
from stages.common.errors import InserterError
from stages.common.tts.base import CannotSpeak, Synthesizer

TIMEOUT = 60.0  # seconds; both speak more than 70 times faster than real time


class ProcessVoice(Synthesizer):
    """A program that reads a text file and writes a wav file. The text never stands on the command line."""

    def __init__(self, voice: str) -> None:
        self.voice = voice

    @abstractmethod
    def command(self, rate: float, text: str, wav: str) -> list[str]:
        """The call that speaks the file `text` into the file `wav`."""

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
                raise CannotSpeak(f"{command[0]} gave no sound") from error


class EspeakVoice(ProcessVoice):
    rates = (0.5, 2.5)  # 80 to 450 words a minute; 175 is its own pace

    def command(self, rate: float, text: str, wav: str) -> list[str]:
        return ["espeak-ng", "-v", self.voice, "-s", str(round(175 * rate)), "-b", "1", "-f", text, "-w", wav]


class FliteVoice(ProcessVoice):
    rates = (0.5, 2.0)

    def command(self, rate: float, text: str, wav: str) -> list[str]:
        return ["flite", "-voice", self.voice, "--setf", f"duration_stretch={1 / rate:.6f}", "-f", text, "-o", wav]


def missing_espeak(voice: str) -> str | None:
    """Why `voice` cannot be used here, or None."""
    if not shutil.which("espeak-ng"):
        return "espeak-ng is not installed. Install it with the system's package manager (apt-get install espeak-ng)"
    run = subprocess.run(["espeak-ng", "-q", "-v", voice, "a"], capture_output=True, timeout=TIMEOUT)
    return f"espeak-ng has no voice {voice!r}. See `espeak-ng --voices`" if run.returncode else None


def missing_flite(voice: str) -> str | None:
    """Why `voice` cannot be used here, or None. flite itself takes another voice in silence when it lacks one."""
    if not shutil.which("flite"):
        return "flite is not installed. Install it with the system's package manager (apt-get install flite)"
    if Path(voice).is_file():
        return None
    listed = subprocess.run(["flite", "-lv"], capture_output=True, text=True, timeout=TIMEOUT).stdout
    names = listed.partition(":")[2].split()
    if voice not in names:
        return f"flite has no voice {voice!r}. It has {', '.join(names)}, or give a .flitevox file"
    return None
