"""Coqui for real, with models of random weights: several speakers, cloned recordings, and what is missing by name."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from inserter.errors import InserterError
from inserter.params import Voice
from inserter.tts import available, load_voice
from inserter.tts.voices import deciding_files, identity


def tiny_vits(folder, speakers: int = 0):
    """A Coqui VITS of random weights, 0.4 M parameters: it speaks gibberish, as a real model speaks."""
    import torch
    from TTS.tts.configs.shared_configs import CharactersConfig
    from TTS.tts.configs.vits_config import VitsConfig
    from TTS.tts.models import vits

    torch.manual_seed(0)
    folder.mkdir()
    small = {
        "hidden_channels": 32,
        "hidden_channels_ffn_text_encoder": 64,
        "num_layers_text_encoder": 1,
        "num_heads_text_encoder": 2,
        "num_layers_flow": 1,
        "num_layers_posterior_encoder": 1,
        "upsample_initial_channel_decoder": 32,
        "init_discriminator": False,
    }
    characters = CharactersConfig(
        characters_class="TTS.tts.models.vits.VitsCharacters",
        characters="abcdefghijklmnopqrstuvwxyz",
        punctuations=" .,",
        pad="_",
        eos="",
        bos="",
        blank="",
    )
    if speakers:
        names = folder / "speakers.json"
        names.write_text(json.dumps({f"speaker{i}": i for i in range(speakers)}))
        small |= {"use_speaker_embedding": True, "speakers_file": str(names)}
    config = VitsConfig(model_args=vits.VitsArgs(**small), characters=characters, use_phonemes=False, text_cleaner="basic_cleaners")
    model = vits.Vits(config)
    torch.save({"model": model.state_dict()}, folder / "model.pth")
    config.save_json(folder / "config.json")
    return folder


def test_coqui_speaks_from_a_local_folder_the_same_twice(tmp_path):
    voice = load_voice(Voice(name="tiny", engine="coqui", voice=str(tiny_vits(tmp_path / "vits"))))
    wave = voice.speak("hello there")
    assert wave.dtype == np.float32 and len(wave) > 1600
    assert np.array_equal(wave, voice.speak("hello there"))


def test_coqui_speakers_are_told_apart_and_an_unknown_one_is_named(tmp_path):
    folder = str(tiny_vits(tmp_path / "vits", speakers=2))
    voice = Voice(name="tiny", engine="coqui", voice=folder, speaker="speaker0")
    one = load_voice(voice).speak("hello there")
    two = load_voice(voice.model_copy(update={"speaker": "speaker1"})).speak("hello there")
    assert not np.array_equal(one, two)
    with pytest.raises(InserterError, match=r"no speaker 'nobody'.*speaker0, speaker1"):
        load_voice(voice.model_copy(update={"speaker": "nobody"}))
    single = voice.model_copy(update={"voice": str(tiny_vits(tmp_path / "single"))})
    with pytest.raises(InserterError, match="has one speaker"):
        load_voice(single)


def test_coqui_never_downloads_and_says_how_to_fetch(tmp_path, monkeypatch):
    monkeypatch.setenv("TTS_HOME", str(tmp_path))
    name = "tts_models/en/ljspeech/vits"
    assert f"tts --model_name {name}" in (available(Voice(name="lj", engine="coqui", voice=name)) or "")
    assert "Give a folder" in (available(Voice(name="x", engine="coqui", voice="no/such")) or "")
    (tmp_path / "empty").mkdir()
    assert "config.json" in (available(Voice(name="x", engine="coqui", voice=str(tmp_path / "empty"))) or "")
    (tmp_path / "empty" / "config.json").write_text('{"model": "bark"}')
    assert "unpickles" in (available(Voice(name="x", engine="coqui", voice=str(tmp_path / "empty"))) or "")


def tiny_xtts(folder: Path) -> Path:
    """An XTTS of random weights: a GPT of one layer, its own tokenizer, speaker encoder and decoder. 97 MB."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from TTS.tts.configs.xtts_config import XttsConfig
    from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer
    from TTS.tts.models.xtts import Xtts, XttsArgs

    torch.manual_seed(0)
    folder.mkdir()
    special = ["[STOP]", "[UNK]", "[SPACE]", "[START]", "[en]"]
    letters = {symbol: i for i, symbol in enumerate([*special, *"abcdefghijklmnopqrstuvwxyz.,!?'"])}
    tokenizer = Tokenizer(models.BPE(vocab=letters, merges=[], unk_token="[UNK]"))
    tokenizer.add_special_tokens(special)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    vocabulary = str(folder / "vocab.json")
    tokenizer.save(vocabulary)
    small = XttsArgs(
        gpt_layers=1,
        gpt_n_model_channels=128,
        gpt_n_heads=2,
        gpt_max_audio_tokens=40,
        gpt_max_text_tokens=100,
        gpt_max_prompt_tokens=10,
        gpt_num_audio_tokens=34,
        gpt_start_audio_token=32,
        gpt_stop_audio_token=33,
        decoder_input_dim=128,
        tokenizer_file=vocabulary,
    )
    config = XttsConfig(model_args=small, languages=["en"])
    model = Xtts(config)
    model.tokenizer = VoiceBpeTokenizer(vocab_file=vocabulary)
    model.init_models()
    torch.save({"model": model.state_dict()}, folder / "model.pth")
    config.save_json(folder / "config.json")
    return folder


def test_xtts_clones_recordings_and_their_contents_make_the_voice(tmp_path):
    """By a path, by several, and by a glob; the same contents elsewhere are the same voice."""
    folder = tiny_xtts(tmp_path / "xtts")
    who = tmp_path / "who"
    who.mkdir()
    for name, seed in (("a", 1), ("b", 2)):
        soundfile.write(who / f"{name}.wav", 0.1 * np.random.default_rng(seed).standard_normal((44100 * 2, 2)), 44100)
    a, b, both, listed = (
        Voice(name="clone", engine="coqui", voice=str(folder), speaker=speaker)
        for speaker in (f"{who}/a.wav", f"{who}/b.wav", f"{who}/*.wav", f"{who}/a.wav, {who}/b.wav")
    )
    waves = [load_voice(voice).speak("hello there") for voice in (a, b, both, listed)]
    assert len(waves[0]) > 1600 and np.array_equal(waves[0], load_voice(a).speak("hello there"))
    assert not np.array_equal(waves[0], waves[1]) and not np.array_equal(waves[0], waves[2])
    assert np.array_equal(waves[2], waves[3])
    assert [path.name for path in deciding_files(both)][-2:] == ["a.wav", "b.wav"]
    before = identity(a), identity(b), identity(both)
    assert len(set(before)) == 3
    soundfile.write(who / "b.wav", 0.1 * np.random.default_rng(3).standard_normal(44100), 44100)
    after = identity(a), identity(b), identity(both)
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, False]
    assert "the recording nowhere/*.wav does not exist" in (available(a.model_copy(update={"speaker": "nowhere/*.wav"})) or "")
