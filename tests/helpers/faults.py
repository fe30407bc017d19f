"""Clips of the default pool of voices, and the faults that a voice or a pipeline may have: what `verify` is measured on.

A fault of the speech is made before the clip's effect (announced noise, a room, a gain), as it would be in a run; one of the
recording after it. How bad a fault is, is drawn: most are mild rather than extreme.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from inserter.assets import sotu_folder
from inserter.audio.clips import LIST, SAMPLE_RATE, flac, write_shard
from inserter.audio.effects import Effect, add_noise, apply, draw
from inserter.audio.noise import NOISES
from inserter.files import sha256, write_table
from inserter.params import Params, Voice
from inserter.seeds import np_rng, rng
from inserter.tables import SHARDS, UTTERANCES
from inserter.text.sentences import sentences
from inserter.text.spoken import spoken_form
from inserter.tts import load_voice, usable


@dataclass(frozen=True)
class Line:
    """What is to be said, by whom, and what is done to it on purpose."""

    name: str
    written: str
    spoken: str
    voice: Voice
    effect: Effect

    def speech(self, text: str | None = None) -> np.ndarray:
        """The line, or another text, in its voice."""
        return load_voice(self.voice).speak(text or self.spoken)


@dataclass(frozen=True)
class Clip:
    """A line as the table has it, its sound, and what is wrong with it (None: nothing)."""

    line: Line
    wave: np.ndarray
    fault: str | None = None


def lines(params: Params, seed: int, count: int) -> list[Line]:
    """Spans of presidential messages as `segment` cuts them (runs, sentences); voices and effects as `synthesize` draws them."""
    pool = [voice for voice in usable(params.synthesize.voices)[0] if not voice.heldout and voice.language == "en"]
    made = []
    for number, written in zip(range(count), _spans(seed), strict=False):
        name = f"{seed}-{number:05d}"
        (voice,) = rng(seed, "voice", name).choices(pool, [voice.weight for voice in pool])
        effect = draw(params.synthesize.augmentation, np_rng(seed, "effect", name))
        made.append(Line(name, written, spoken_form(written, "en"), voice, effect))
    return made


def _spans(seed: int) -> Iterator[str]:
    paragraphs = [text for text in _paragraphs() if 60 <= len(text.split()) <= 180]
    dice = rng(seed, "spans")
    dice.shuffle(paragraphs)
    for text in paragraphs:
        words = text.split()
        start = dice.randrange(len(words) - 15)
        run = " ".join(words[start : start + 5 + sum(dice.random() < 0.5 for _ in range(10))])  # 5 to 15 words, mean 10
        whole = [sentence for sentence in sentences(text) if 5 <= len(sentence.split()) <= 40]
        yield dice.choice(whole) if whole and dice.random() < 0.5 else run


@lru_cache(1)
def _paragraphs() -> tuple[str, ...]:
    files = sorted(sotu_folder().glob("*.txt"))
    return tuple(" ".join(part.split()) for file in files for part in file.read_text(encoding="utf-8").split("\n\n"))


def clean(line: Line) -> Clip:
    return Clip(line, _finish(line, line.speech()))


def corrupt(fault: str, line: Line, other: Line) -> Clip:
    """The line with a fault of FAULTS; `other` lends words where the fault needs some. Pure in (names of the lines, fault)."""
    dice = np_rng(0, fault, line.name)
    if fault == "wrong text":
        return Clip(replace(other, name=line.name, written=line.written, spoken=line.spoken), _finish(other, other.speech()), fault)
    if fault in _OF_THE_SPEECH:
        return Clip(line, _finish(line, _OF_THE_SPEECH[fault](line, other, dice)), fault)
    return Clip(line, _OF_THE_RECORDING[fault](_finish(line, line.speech()), dice), fault)


def _finish(line: Line, speech: np.ndarray) -> np.ndarray:
    return apply(speech, line.effect, np_rng(0, "effect", line.name))


def _cut_end(line: Line, other: Line, dice: np.random.Generator) -> np.ndarray:
    """The last 20 to 60 % of the last second of speech are missing, in mid-sound; or the last one to three words were not said."""
    words = line.spoken.split()
    if dice.random() < 0.5 and len(words) > 4:
        return line.speech(" ".join(words[: -int(dice.integers(1, 4))]))
    wave = line.speech()
    end = np.flatnonzero(np.abs(wave) > 0.02 * np.abs(wave).max())[-1]
    return wave[: end - int(dice.uniform(0.2, 0.6) * SAMPLE_RATE)]


def _prompt(line: Line, other: Line, dice: np.random.Generator) -> np.ndarray:
    """Two to six words of another text come first, as when a voice reads its reference aloud."""
    before = replace(other, voice=line.voice).speech(" ".join(other.spoken.split()[: int(dice.integers(2, 7))]))
    pause = np.zeros(int(dice.uniform(0.1, 0.4) * SAMPLE_RATE), np.float32)
    return np.concatenate([before, pause, line.speech()])


def _repeat(line: Line, other: Line, dice: np.random.Generator) -> np.ndarray:
    """Two to five words are said twice."""
    words = line.spoken.split()
    length = min(int(dice.integers(2, 6)), len(words))
    start = int(dice.integers(0, len(words) - length + 1))
    return line.speech(" ".join([*words[: start + length], *words[start:]]))


def _silence(line: Line, other: Line, dice: np.random.Generator) -> np.ndarray:
    """1.6 to 3 s of dead air somewhere inside."""
    wave = line.speech()
    at = int(dice.uniform(0.1, 0.9) * len(wave))
    gap = 1e-4 * dice.standard_normal(int(dice.uniform(1.6, 3.0) * SAMPLE_RATE))
    return np.concatenate([wave[:at], gap.astype(np.float32), wave[at:]])


def _clipped(wave: np.ndarray, dice: np.random.Generator) -> np.ndarray:
    """15 to 25 dB too loud, cut off at full scale; half of them turned down afterwards."""
    loud = np.clip(wave * 10 ** (dice.uniform(15, 25) / 20), -1.0, 1.0)
    return loud * (dice.uniform(0.3, 0.9) if dice.random() < 0.5 else 1.0)


def _noisy(wave: np.ndarray, dice: np.random.Generator) -> np.ndarray:
    """Noise that nobody announced, 3 to 10 dB above the speech."""
    return add_noise(wave, dice.uniform(-10, -3), NOISES[dice.integers(len(NOISES))], rng=dice)


def _offset(wave: np.ndarray, dice: np.random.Generator) -> np.ndarray:
    """0.1 to 0.3 of full scale of direct current, on either side."""
    return np.clip(wave + dice.choice([-1, 1]) * dice.uniform(0.1, 0.3), -1.0, 1.0)


_OF_THE_SPEECH: dict[str, Callable[[Line, Line, np.random.Generator], np.ndarray]] = {
    "cut end": _cut_end,
    "prepended prompt": _prompt,
    "repeated phrase": _repeat,
    "silence": _silence,
}
_OF_THE_RECORDING: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "clipping": _clipped,
    "noise": _noisy,
    "DC offset": _offset,
}
FAULTS = (*_OF_THE_SPEECH, *_OF_THE_RECORDING, "wrong text")


def make(params: Params, seed: int, clean_clips: int, each: int) -> Iterator[Clip]:
    """`clean_clips` clips without a fault and `each` of every fault, mixed in one order as a run would bring them."""
    texts = lines(params, seed, clean_clips + each * len(FAULTS))
    by_length = sorted(texts, key=lambda line: (len(line.spoken), line.name))
    neighbour = {line.name: by_length[i - 1] for i, line in enumerate(by_length)}  # of similar length
    kinds: list[str | None] = [None] * clean_clips + [fault for fault in FAULTS for _ in range(each)]
    rng(seed, "order").shuffle(kinds)
    for line, fault in zip(texts, kinds, strict=True):
        yield clean(line) if fault is None else corrupt(fault, line, neighbour[line.name])


def publish(folder: Path, clips: list[Clip]) -> None:
    """The clips as `synthesize` would leave them in `folder`."""
    index = write_shard(folder / "shard-00000.tar", [(clip.line.name, flac(clip.wave)) for clip in clips])
    rows = []
    for clip in clips:
        offset, size = index[clip.line.name]
        rows.append(
            {
                "utt_id": clip.line.name,
                "doc_id": "d",
                "split": "train",
                "language": "en",
                "written": clip.line.written,
                "spoken": clip.line.spoken,
                "engine": clip.line.voice.engine,
                "voice": clip.line.voice.name,
                "license": "test",
                "effect": clip.line.effect.to_json(),
                "shard": "shard-00000.tar",
                "offset": offset,
                "size": size,
                "sample_rate": SAMPLE_RATE,
                "n_samples": len(clip.wave),
                "duration": len(clip.wave) / SAMPLE_RATE,
            }
        )
    write_table(folder / "utterances.parquet", rows, UTTERANCES)
    list_shards(folder)


def list_shards(folder: Path) -> None:
    """The list of the shards that are there, as `synthesize` writes it."""
    shards = [{"shard": path.name, "size": path.stat().st_size, "sha256": sha256(path)} for path in sorted(folder.glob("*.tar"))]
    write_table(folder / LIST, shards, SHARDS)
