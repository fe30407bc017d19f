"""`inserter hear`: print what a model hears of audio files, as text.

The text shows why an answer is wrong.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import torch

from flows.ask import loaded
from inserter.audio import clips as audio
from inserter.errors import InserterError
from inserter.params import load
from inserter.run.runner import say
from models.encoder import ENCODER_FRAMES
from models.processor import TAIL_SECONDS

if TYPE_CHECKING:
    import numpy as np

    from inserter.verification.asr import Transcriber
    from models import InserterForConditionalGeneration, InserterProcessor


class Word(TypedDict):
    """A token that is heard."""

    text: str
    start: float
    """Seconds."""


class Heard(TypedDict, total=False):
    """What is heard of a file; of one that cannot be read, `file` and `error` alone."""

    file: str
    error: str
    seconds: float
    positions: int
    """LM positions of the audio."""
    heard: str
    words: list[Word]
    asr: str | None
    """What `assets.asr` writes; None if it is not asked for."""


def hear(paths: Iterable[Path], model: str | None = None, asr: bool = False) -> Iterator[Heard]:
    """Yield one row per file.

    asr: whether `assets.asr` hears the files too.

    Raises InserterError for an adapter that spells nothing.
    """
    params = load()
    net, processor = loaded(model, params.register_)
    if not hasattr(net.adapter, "spell"):
        raise InserterError(
            f"the adapter of this model is `{net.config.adapter}`, which writes no transcript",
            "Use a model with a soft_token or decoder adapter, or `inserter ask`",
        )
    net.eval()
    recogniser = _recogniser(params.assets.asr) if asr else None
    for path in paths:
        try:
            sound = audio.read_noted(path)
        except InserterError as error:
            yield {"file": str(path), "error": str(error)}
            continue
        for note in sound.notes:
            say(f"{path}: {note}")
        (words,) = heard_tokens(net, processor, [sound.wave])
        yield {
            "file": str(path),
            "seconds": round(len(sound.wave) / audio.SAMPLE_RATE, 2),
            "positions": len(words),
            "heard": processor.tokenizer.decode([token for token, _ in words]).strip(),
            "words": [{"text": processor.tokenizer.decode([token]), "start": start} for token, start in words],
            "asr": recogniser.transcribe_alone(sound.wave).strip() if recogniser else None,
        }


def heard_tokens(
    net: "InserterForConditionalGeneration", processor: "InserterProcessor", waves: "list[np.ndarray]"
) -> list[list[tuple[int, float]]]:
    """Return the tokens that are heard of each clip, each token with its start in seconds.

    waves: (samples,) at 16 kHz each.
    """
    given = processor.features(waves)
    with torch.no_grad():
        placed = net.spell_placed(given["input_features"].to(net.device), given["feature_lengths"].to(net.device))
    windows = zip(placed, given["feature_lengths"].tolist(), strict=True)
    return [_joined(islice(windows, count)) for count in given["clip_windows"]]


def _joined(windows: Iterable[tuple[list[tuple[int, int]], int]]) -> list[tuple[int, float]]:
    """Return the tokens of a clip's windows.

    windows: tokens with their encoder frames, and the number of log-mel frames.
    """
    words: list[tuple[int, float]] = []
    begins = 0.0
    for window, frames in windows:
        lasts = frames / (2 * ENCODER_FRAMES) - TAIL_SECONDS
        words += [(token, round(begins + min(frame / ENCODER_FRAMES, lasts), 2)) for token, frame in window]
        begins += lasts
    return words


def _recogniser(name: str) -> "Transcriber":
    from inserter.assets import asr_folder
    from inserter.verification.asr import Transcriber

    return Transcriber(asr_folder(name), "en", threads=0)
