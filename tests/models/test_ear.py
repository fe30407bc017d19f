"""The adapter `decoder`: what Whisper's own generation writes, in the LM's tokens, with the states that wrote it."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModel, WhisperForConditionalGeneration

from inserter.assets import encoder_folder
from inserter.params import load
from inserter.training.batches import hear, places_of, to_sequences
from inserter.training.examples import chat_example, example
from inserter.training.models import new_model
from inserter.verification.words import compare, words
from models import InserterForConditionalGeneration, InserterProcessor, ear
from models.ear import as_rows, opened, split_rows, text_of, without_loop
from models.generation import Prompt, generate_answers
from models.sound import read as read_sound
from stages.evaluate.transcripts import hears_words, own_words

LIBRIVOX = Path("/usr/share/pocketsphinx/test/data/librivox")
RECOGNISER = "embedded:whisper-tiny.en"  # a quarter of the default's time
TEXTS = ["The cat sat.", "  Größe: 3½ µm, naïve café", "日本語と😀", "a <|im_end|> b", "x", "", "  ", "$1,000.50 (5%)"]


@pytest.fixture(scope="module")
def parts():
    """A real recogniser and the real LM."""
    p = load()
    assets = p.assets.model_copy(update={"encoder": RECOGNISER})
    return new_model(assets, p.warmup.adapter.model_copy(update={"kind": "decoder"}), 0, delimiters="none")


@pytest.fixture(scope="module")
def recogniser() -> Tokenizer:
    return Tokenizer.from_file(f"{encoder_folder(RECOGNISER)}/tokenizer.json")


@pytest.fixture(scope="module")
def speech() -> list[np.ndarray]:
    """Two sentences of the default voice, of 16 kHz."""
    from inserter.tts.voices import load_voice

    voice = next(v for v in load().synthesize.voices if v.name == "heart")
    said = ("She sells sea shells.", "Name three fruits that are red, and one that is not.")
    return [load_voice(voice).speak(text) for text in said]


@pytest.mark.parametrize("text", TEXTS)
def test_what_was_written_is_read_in_the_lms_own_tokens(parts, recogniser, text):
    """Whatever the text, and never as a control token; each of the LM's tokens knows which of the recogniser's it comes from."""
    _, processor = parts
    written = recogniser.encode(text, add_special_tokens=False).ids
    assert text_of(recogniser, written)[0] == text
    ids, places = processor.read(written)
    assert ids == (processor.encode(" " + text.strip()) if text.strip() else [])
    assert len(places) == len(ids) and all(place for place in places)
    assert sorted({at for place in places for at in place}) == list(range(len(written))) if text.strip() == text and text else True


def test_half_a_character_is_read_as_a_sign_for_it(parts, recogniser):
    _, processor = parts
    written = recogniser.encode("日", add_special_tokens=False).ids
    ids, _ = processor.read(written[:1])
    assert ids and "<|" not in processor.tokenizer.decode(ids)


LOOPS = [
    ([1, 2, 3], [1, 2, 3]),
    ([5, 7, 7, 7, 7, 7], [5, 7]),
    ([1, 2, 3, 2, 3, 2, 3, 2, 3], [1, 2, 3]),
    ([7, 7, 7], [7, 7, 7]),
    ([], []),
]


@pytest.mark.parametrize("said, kept", LOOPS)
def test_a_loop_at_the_end_is_written_once(said, kept):
    assert without_loop(said) == kept


def test_a_token_survives_the_form_in_which_states_are_kept(parts):
    """float16 holds no number of a large vocabulary: two columns do."""
    ids = [0, 1, 2047, 2048, 49_155, 151_000]
    rows = as_rows(list(range(len(ids))), torch.randn(len(ids), 8), lambda written: (ids, [[at] for at in written]))
    assert split_rows(rows.half().float())[1].tolist() == ids


def test_it_writes_what_whispers_own_generation_writes(parts, speech):
    """Alone and in a batch; the LM gets the embeddings of these words and nothing else before anything is learnt."""
    model, processor = parts
    whisper = WhisperForConditionalGeneration.from_pretrained(encoder_folder(RECOGNISER)).eval()
    inputs = processor.feature_extractor(speech, sampling_rate=16_000, return_tensors="pt")
    ids = whisper.generate(inputs["input_features"])
    theirs = processor.recogniser.decode_batch(ids.tolist())
    given = processor.features(speech)
    with torch.no_grad():
        rows, lengths = model.encode(given["input_features"], given["feature_lengths"])
        spelled = model.adapter.spell(rows, lengths, model.table)
        heard = model.hear(rows, lengths)
    assert spelled == [processor.encode(" " + text.strip()) for text in theirs]
    for ids, positions in zip(spelled, heard, strict=True):
        assert torch.equal(positions, model.table[torch.tensor(ids)])
    alone = processor.features(speech[:1])
    with torch.no_grad():
        first = model.encode(alone["input_features"], alone["feature_lengths"])
    assert model.adapter.spell(*first, model.table) == spelled[:1]


def test_before_it_is_trained_it_answers_as_the_cascade_does(parts, speech):
    model, processor = parts
    given = processor.features(speech)
    with torch.no_grad():
        spelled = model.adapter.spell(*model.encode(given["input_features"], given["feature_lengths"]), model.table)
    heard = generate_answers(model, processor, [Prompt(audio=wave) for wave in speech], max_new_tokens=8, precision="fp32")
    texts = [processor.tokenizer.decode(ids).strip() for ids in spelled]
    read = generate_answers(model, processor, [Prompt(text) for text in texts], max_new_tokens=8, precision="fp32")
    assert heard == read and all(heard)


def test_a_text_starts_without_a_leading_blank_and_continues_with_one(parts, speech):
    """So the LM sees what it would read: at the beginning of a document and of a turn, and in mid-sentence."""
    model, processor = parts
    given = processor.features(speech[:1])
    with torch.no_grad():
        rows, lengths = model.encode(given["input_features"], given["feature_lengths"])
    clips = {"a": rows[0, : lengths[0]]}
    text, before, after = own_words(processor, clips["a"]), "She said:", " And so it is."

    def parts_of(spoken: str, utt_id: str | None, *around: str) -> list[dict]:
        pieces = [(piece, None, True) for piece in around[:-1]] + [(spoken, utt_id, False), (around[-1], None, True)]
        return [dict(zip(("text", "utt_id", "loss"), piece, strict=True)) for piece in pieces]

    heard = [
        chat_example(processor, text, "Yes.", utt_id="a"),
        example(processor, parts_of(text, "a", after)),
        example(processor, parts_of(text, "a", before, after)),
    ]
    read = [
        chat_example(processor, text, "Yes.", utt_id=None),
        example(processor, parts_of(text, None, after)),
        example(processor, parts_of(" " + text, None, before, after)),
    ]
    with torch.no_grad():
        one, _ = model.packed_losses(to_sequences(model, heard, hear(model, places_of(model, heard), clips)))
        other, _ = model.packed_losses(to_sequences(model, read, {}))
    assert torch.allclose(one, other, atol=1e-4)
    assert [opens for _, opens in places_of(model, heard)] == [True, True, False]


def test_what_the_states_say_is_learnt(parts, speech):
    """The map of the states has a gradient, and the recogniser has none."""
    model, processor = parts
    given = processor.features(speech[:1])
    with torch.no_grad():
        rows, lengths = model.encode(given["input_features"], given["feature_lengths"])
    model.requires_grad_(False)
    model.adapter.requires_grad_(True)
    asked = chat_example(processor, "", "Red ones.", utt_id="a")
    heard = hear(model, places_of(model, [asked]), {"a": rows[0, : lengths[0]]})
    loss, _ = model.packed_losses(to_sequences(model, [asked], heard))
    loss.sum().backward()
    assert float(model.adapter.residual.grad.abs().sum()) > 0
    assert all(p.grad is None for p in model.ear.parameters())
    model.adapter.residual.grad = None


def test_silence_and_noise_are_no_words(parts):
    """Five seconds each; an empty clip is an empty place, and the prompt is answered all the same."""
    model, processor = parts
    random = np.random.default_rng(0)
    waves = [np.zeros(80_000, np.float32), (random.standard_normal(80_000) * 0.05).astype(np.float32)]
    given = processor.features(waves)
    with torch.no_grad():
        _, lengths = model.encode(given["input_features"], given["feature_lengths"])
    assert lengths.tolist() == [0, 0]
    assert len(generate_answers(model, processor, [Prompt(audio=waves[0])], max_new_tokens=4, precision="fp32")) == 1


def test_nothing_beyond_half_a_minute_is_lost(parts, speech):
    model, processor = parts
    pause = np.zeros(13 * 16_000, np.float32)
    long = np.concatenate([speech[1], pause, speech[0], pause, speech[1]])
    given = processor.features([long])
    assert given["clip_windows"] == [2]
    with torch.no_grad():
        (heard,) = model.hear(*model.encode(given["input_features"], given["feature_lengths"]), given["clip_windows"])
        rows, lengths = model.encode(given["input_features"], given["feature_lengths"])
    said = processor.tokenizer.decode([token for ids in model.adapter.spell(rows, lengths, model.table) for token in ids])
    assert said.lower().count("three fruits") == 2 and "sells" in said and len(heard) == int(lengths.sum())


def test_saved_and_loaded_it_hears_the_same(parts, speech, tmp_path):
    model, processor = parts
    with torch.no_grad():
        model.adapter.residual.normal_(std=0.01)
    asked = [Prompt(audio=speech[0])]
    before = generate_answers(model, processor, asked, max_new_tokens=8, precision="fp32")
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again, its = AutoModel.from_pretrained(tmp_path), InserterProcessor.from_pretrained(tmp_path)
    assert isinstance(again, InserterForConditionalGeneration)
    assert generate_answers(again, its, asked, max_new_tokens=8, precision="fp32") == before
    inputs = its(its.chat([None]), speech[:1])
    ids = again.generate(**inputs, max_new_tokens=8, do_sample=False)[:, inputs["input_ids"].shape[1] :]
    assert its.tokenizer.decode(ids[0], skip_special_tokens=True).strip() == before[0]
    model.adapter.reset_parameters()


def test_a_document_begins_after_its_start_though_that_is_no_special_token(tiny_lm, tiny_encoder):
    processor = InserterProcessor.from_parts(str(tiny_lm), str(tiny_encoder))
    assert processor.document_start_id not in processor.tokenizer.all_special_ids
    assert processor.begins[processor.document_start_id] and not processor.begins[processor.audio_token_id]


@pytest.mark.parametrize("text", ["Gentlemen of the Senate", "Maginot's line", "five. Five", "a", "“Yes,” she said", "3.5% of it"])
def test_the_first_word_of_a_text_has_other_tokens_than_after_a_blank(parts, text):
    _, processor = parts
    after = processor.encode(" " + text)
    rows = torch.cat([torch.rand(len(after), 4), torch.tensor([[i // 2048, i % 2048] for i in after]).float()], 1)
    there = opened(rows, processor.opens)
    assert split_rows(there)[1].tolist() == processor.encode(text)
    states, kept = split_rows(there)[0], min(len(after), len(there)) - 3
    assert kept <= 0 or torch.equal(states[-kept:], split_rows(rows)[0][-kept:])


@pytest.mark.skipif(not LIBRIVOX.is_dir(), reason="Debian's pocketsphinx-testdata is not installed")
def test_people_are_heard(parts):
    """Five clips of an audiobook. One word of the transcripts is wrong, and this recogniser has 2 more of 71."""
    model, processor = parts
    texts = re.findall(r"<s> (.*) </s> \((.*)\)", (LIBRIVOX / "transcription").read_text())
    given = processor.features([read_sound(LIBRIVOX / f"{name}.wav").wave for _, name in texts])
    with torch.no_grad():
        spelled = model.adapter.spell(*model.encode(given["input_features"], given["feature_lengths"]), model.table)
    asked, errors = 0, 0.0
    for (text, _), ids in zip(texts, spelled, strict=True):
        reference = words(text, "en")
        asked += len(reference)
        errors += len(reference) * compare(reference, words(processor.tokenizer.decode(ids), "en")).wer
    assert asked == 71 and errors <= 5


def test_a_cascade_reads_the_words_that_the_model_hears(parts, speech):
    model, processor = parts
    given = processor.features(speech)
    with torch.no_grad():
        rows, lengths = model.encode(given["input_features"], given["feature_lengths"])
    texts = [own_words(processor, row[:n]) for row, n in zip(rows, lengths.tolist(), strict=True)]
    assert hears_words(model) and texts[0].startswith("She sells")
    assert [processor.encode(" " + text) for text in texts] == model.adapter.spell(rows, lengths, model.table)


def test_clips_are_heard_some_at_a_time(parts, speech, monkeypatch):
    model, processor = parts
    given = processor.features([*speech, speech[0]])
    clips = given["input_features"], given["feature_lengths"]
    with torch.no_grad():
        rows, lengths = model.encode(*clips)
        monkeypatch.setattr(ear, "AT_ONCE", 1)
        again, its = model.encode(*clips)
    assert lengths.tolist() == its.tolist() and torch.allclose(rows, again, atol=1e-2)
    assert split_rows(rows)[1].tolist() == split_rows(again)[1].tolist()
