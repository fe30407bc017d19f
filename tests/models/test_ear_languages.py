"""The language that the ear hears: fixed in the prompt, or chosen by the decoder itself for each clip."""

import numpy as np
import pytest
import torch
from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

from inserter.assets import encoder_folder
from inserter.params import load
from models import InserterConfig
from models.ear import Ear, recogniser_settings
from models.encoder import SpeechEncoder
from models.processor import InserterProcessor

END, START, TRANSCRIBE, NO_TIMES = 80, 81, 85, 88
LANGUAGES = {"<|en|>": 82, "<|zh|>": 83, "<|de|>": 84}
BASE = "embedded:whisper-base"  # knows 99 languages


@pytest.fixture(scope="module")
def whisper(tmp_path_factory) -> tuple[WhisperForConditionalGeneration, str]:
    """A multilingual Whisper of random weights, and its folder."""
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=90,
        d_model=32,
        encoder_layers=1,
        encoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_layers=2,
        decoder_attention_heads=2,
        decoder_ffn_dim=64,
        init_std=0.5,
        pad_token_id=END,
        bos_token_id=END,
        eos_token_id=END,
        decoder_start_token_id=START,
    )
    model = WhisperForConditionalGeneration(config).eval()
    model.generation_config = GenerationConfig(
        decoder_start_token_id=START,
        eos_token_id=END,
        pad_token_id=END,
        bos_token_id=END,
        no_timestamps_token_id=NO_TIMES,
        is_multilingual=True,
        lang_to_id=LANGUAGES,
        task_to_id={"transcribe": TRANSCRIBE, "translate": 86},
    )
    folder = tmp_path_factory.mktemp("multilingual")
    model.save_pretrained(folder)
    return model, str(folder)


@pytest.fixture(scope="module")
def states() -> torch.Tensor:
    """Encoder states of eight clips."""
    return 3 * torch.randn(8, 50, 32, generator=torch.Generator().manual_seed(1))


def ear_of(whisper: WhisperForConditionalGeneration, settings: dict) -> Ear:
    ear = Ear(whisper.config, settings).eval()
    ear.decoder.load_state_dict(whisper.get_decoder().state_dict())
    return ear


def written(ear: Ear, states: torch.Tensor) -> list[list[int]]:
    return [tokens for tokens, _ in ear.write(states, [1.0] * len(states))]


def test_the_decoder_chooses_the_language_of_each_clip(whisper, states):
    """The one that Whisper's own detection names; the clip is then heard as if it had been given."""
    model, folder = whisper
    chosen = model.detect_language(encoder_outputs=BaseModelOutput(last_hidden_state=states)).tolist()
    assert len(set(chosen)) > 1, "the test has clips of more than one language"
    names = {number: name[2:-2] for name, number in LANGUAGES.items()}
    fixed = {number: ear_of(model, recogniser_settings(folder, [names[number]])) for number in set(chosen)}
    given = [written(fixed[number], clip[None])[0] for number, clip in zip(chosen, states, strict=True)]
    assert written(ear_of(model, recogniser_settings(folder)), states) == given and any(given)


def test_it_chooses_among_the_given_languages_alone(whisper, states):
    model, folder = whisper
    prompts, _, _ = ear_of(model, recogniser_settings(folder, ["zh", "de"]))._prompted(states)
    assert {*prompts[:, 1].tolist()} <= {83, 84} and prompts[:, [0, 2, 3]].unique(dim=0).tolist() == [[START, TRANSCRIBE, NO_TIMES]]


def test_one_language_costs_no_step_and_several_cost_one(whisper, states):
    model, folder = whisper
    counts = []
    for languages in (["en"], ["en", "zh"]):
        ear = ear_of(model, recogniser_settings(folder, languages))
        steps: list[int] = []
        ear.decoder.register_forward_pre_hook(
            lambda _, args, given, steps=steps: steps.append(given["input_ids"].shape[1]), with_kwargs=True
        )
        ear.write(states[:1], [1.0])
        counts.append(steps[:2])
    assert counts == [[4, 1], [1, 3]], "the prompt at once, or its first token and then the rest"


def test_settings_of_one_language_are_unchanged(whisper, tmp_path):
    """A saved model without `languages` hears as it did; the new ones survive the file."""
    _, folder = whisper
    one, several = recogniser_settings(folder, ["zh"]), recogniser_settings(folder, ["en", "zh"])
    assert one["prompt"] == [START, 83, TRANSCRIBE, NO_TIMES] and "languages" not in one
    assert several["languages"] == [82, 83]
    InserterConfig(adapter="decoder", recogniser=several).save_pretrained(tmp_path)
    assert InserterConfig.from_pretrained(tmp_path).recogniser == several
    english = recogniser_settings(str(encoder_folder("embedded:whisper-tiny.en")))
    assert len(english["prompt"]) == 2 and "languages" not in english


def test_a_language_that_the_recogniser_does_not_know_is_refused():
    folder = str(encoder_folder(BASE))
    with pytest.raises(ValueError, match="does not know the language 'tlh'"):
        recogniser_settings(folder, ["en", "tlh"])
    with pytest.raises(ValueError, match="knows English only, not 'zh'"):
        recogniser_settings(str(encoder_folder("embedded:whisper-tiny.en")), ["en", "zh"])


def test_english_is_heard_as_english_by_a_whisper_that_knows_99_languages(tiny_lm):
    from inserter.tts.voices import load_voice

    folder = encoder_folder(BASE)
    voice = next(v for v in load().synthesize.voices if v.name == "heart")
    wave = np.concatenate([load_voice(voice).speak("She sells sea shells."), np.zeros(8_000, np.float32)])
    whisper = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    encoder = SpeechEncoder(whisper.config).eval()
    encoder.load_state_dict(whisper.get_encoder().state_dict())
    given = InserterProcessor.from_parts(str(tiny_lm), str(folder)).features([wave])
    clip = given["input_features"], given["feature_lengths"]
    ears = [ear_of(whisper, recogniser_settings(str(folder), spoken)) for spoken in (["en"], ["zh", "en"], [])]
    alone, of_two, of_all = (ear.hear(encoder, *clip)[0][0] for ear in ears)
    assert alone == of_two == of_all and alone
