"""`inserter hear` of a model whose ear is a Whisper's decoder: what it hears, and when each token of it begins."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkout import ROOT

from flows.hear import hear
from inserter.assets import encoder_folder
from inserter.audio import clips as audio
from inserter.params import load
from models import InserterForConditionalGeneration, InserterProcessor
from models.ear import recogniser_settings

PAUSE = 1.5


@pytest.fixture(scope="module")
def model(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny LM that hears by a real recogniser, as it was saved."""
    folder, encoder = tmp_path_factory.mktemp("hears"), str(encoder_folder("embedded:whisper-tiny.en"))
    processor = InserterProcessor.from_parts(str(tiny_lm), encoder, recogniser=True)
    net = InserterForConditionalGeneration.from_parts(
        str(tiny_lm),
        encoder,
        processor.tokens,
        adapter="decoder",
        recogniser=recogniser_settings(encoder),
        audio_token_id=processor.audio_token_id,
        document_start_id=processor.document_start_id,
    )
    net.save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    """Two sentences of the default voice, from their first sound to their last."""
    from inserter.tts.voices import load_voice

    voice = next(v for v in load().synthesize.voices if v.name == "heart")
    waves = [load_voice(voice).speak(text) for text in ("She sells sea shells.", "Name three red fruits.")]
    loud = [np.flatnonzero(np.abs(wave) > 0.01) for wave in waves]
    return [wave[places[0] : places[-1]] for wave, places in zip(waves, loud, strict=True)]


@pytest.fixture
def heard(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """heard(parts) -> the row of a file of clips and of pauses in seconds, and when each part begins."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())

    def row(parts: list[Any]) -> tuple[dict[str, Any], list[float]]:
        waves = [part if isinstance(part, np.ndarray) else np.zeros(int(16_000 * part), np.float32) for part in parts]
        Path("a.flac").write_bytes(audio.flac(np.concatenate(waves)))
        (found,) = hear([Path("a.flac")], model)
        return found, [sum(map(len, waves[:number])) / 16_000 for number in range(len(waves))]

    yield row


def begins(row: dict[str, Any], word: str) -> list[float]:
    """When each `word` begins: the starts of the tokens in which it does."""
    text, starts = "", []
    for token in row["words"]:
        starts += [token["start"]] * len(token["text"])
        text += token["text"]
    return [starts[at] for at in range(len(text)) if text.startswith(word, at)]


def test_each_token_has_the_time_at_which_it_is_said(heard, clips):
    row, at = heard([PAUSE, clips[0], PAUSE, clips[1]])
    starts = [word["start"] for word in row["words"]]
    assert len(starts) == row["positions"] and starts == sorted(starts) and 0 <= starts[0] <= starts[-1] <= row["seconds"]
    assert begins(row, "She")[0] == pytest.approx(at[1], abs=0.5), "a clip that begins with a pause"
    assert begins(row, "ame")[0] == pytest.approx(at[3], abs=0.5), row["heard"]


def test_the_times_of_a_long_clip_continue_over_its_windows(heard, clips):
    row, at = heard([clips[1], 8.0, clips[1], 18.0, clips[0], PAUSE, clips[1]])
    starts = [word["start"] for word in row["words"]]
    assert row["seconds"] > 30 and starts == sorted(starts) and starts[-1] <= row["seconds"]
    assert begins(row, "ame") == pytest.approx([at[0], at[2], at[6]], abs=0.5), row["heard"]


def test_nothing_is_heard_in_silence(heard):
    row, _ = heard([2.0])
    assert row["words"] == [] and row["heard"] == ""
