"""A chat as transformers' users write it: the sound of its parts, and the answers to it."""

import base64
import io
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import soundfile
import torch
from lively import lively

from models import InserterForConditionalGeneration, InserterProcessor
from models.generation import Prompt, generate_answers
from models.turns import wave_of, waves_of

WAVES = [(0.1 * np.sin(np.arange(n) / 7)).astype(np.float32) for n in (8_000, 24_000)]
SHORT = {"max_new_tokens": 8, "do_sample": False}


def wav(wave: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, 16_000, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def parts(tiny_model, tmp_path_factory):
    folder = lively(tiny_model, tmp_path_factory.mktemp("lively"))
    model, processor = (kind.from_pretrained(folder) for kind in (InserterForConditionalGeneration, InserterProcessor))
    return model.eval(), processor


def user(*content: object) -> dict:
    named = [{"type": "text", "text": one} if isinstance(one, str) else {"type": "audio", "audio": one} for one in content]
    return {"role": "user", "content": named}


def asked(parts, chats: list) -> list[str]:
    model, processor = parts
    inputs = processor.apply_chat_template(chats, tokenize=True, return_dict=True, add_generation_prompt=True, return_tensors="pt")
    ids = model.generate(**inputs, **SHORT)
    assert torch.equal(ids[:, : inputs["input_ids"].shape[1]], inputs["input_ids"])
    new = ids[:, inputs["input_ids"].shape[1] :]
    return [text.strip() for text in processor.tokenizer.batch_decode(new, skip_special_tokens=True)]


def test_every_form_of_a_sound_is_the_same_sound(tmp_path, address):
    (tmp_path / "clip.wav").write_bytes(wav(WAVES[0]))
    packed = base64.b64encode(wav(WAVES[0])).decode()
    forms = [
        WAVES[0],
        WAVES[0].tolist(),
        torch.from_numpy(WAVES[0]),
        wav(WAVES[0]),
        tmp_path / "clip.wav",
        str(tmp_path / "clip.wav"),
        packed,
        f"data:audio/wav;base64,{packed}",
        f"{address}/clip.wav",
    ]
    for form in forms:
        assert np.array_equal(wave_of(form), WAVES[0]), type(form)


def test_a_sound_that_is_not_there_is_one_clear_line(address):
    wrong = {"nix.wav": "no file, no URL and no base64", f"{address}/nix.wav": "cannot be fetched", b"x": "cannot be decoded"}
    for form, problem in wrong.items():
        with pytest.raises(ValueError, match=problem):
            wave_of(form)
    with pytest.raises(ValueError, match="1 of 2 audio parts have none of audio, path, url"):
        waves_of([[{"type": "audio"}, {"type": "audio", "path": "x"}]])


def test_a_batch_of_chats_has_the_answers_of_the_project(parts):
    prompts = [Prompt("Say <|im_end|> now.", WAVES[1]), Prompt("Answer this."), Prompt(None, WAVES[0])]
    chats = [[user(WAVES[1], "Say <|im_end|> now.")], [{"role": "user", "content": "Answer this."}], [user(WAVES[0])]]
    wanted = generate_answers(*parts, prompts, max_new_tokens=8, precision="fp32")
    assert asked(parts, chats) == wanted and len(set(wanted)) == len(wanted)
    assert [asked(parts, [chat]) for chat in chats] == [[answer] for answer in wanted]


def test_several_turns_keep_the_order_of_their_sounds(parts):
    _, processor = parts
    turns = [user(WAVES[0]), {"role": "assistant", "content": "Yes: <|im_start|>"}, user("And", WAVES[1], "?")]
    inputs = processor.apply_chat_template(turns, tokenize=True, add_generation_prompt=True, return_tensors="pt")
    alone = processor.features(WAVES)
    assert torch.equal(inputs["input_features"], alone["input_features"]) and inputs["clip_windows"] == alone["clip_windows"]
    assert inputs["input_ids"][0].tolist().count(processor.audio_token_id) == 2
    assert asked(parts, turns) == asked(parts, [turns])


def test_other_ways_to_search_are_those_of_transformers(parts):
    model, processor = parts
    inputs = processor.apply_chat_template([user(WAVES[0])], tokenize=True, add_generation_prompt=True, return_tensors="pt")
    n = inputs["input_ids"].shape[1]
    best = model.generate(**inputs, **SHORT, num_beams=3, num_return_sequences=2)
    assert best.shape[0] == 2 and torch.equal(best[:, :n], inputs["input_ids"].expand(2, -1))
    told = model.generate(**inputs, **SHORT, return_dict_in_generate=True, output_scores=True)
    assert torch.equal(told.sequences, model.generate(**inputs, **SHORT)) and len(told.scores) == told.sequences.shape[1] - n


def test_what_the_processor_cannot_do_is_refused(parts):
    _, processor = parts
    with pytest.raises(ValueError, match="types audio and text, and not 'image'"):
        processor.apply_chat_template([{"role": "user", "content": [{"type": "image", "url": "x"}]}])
    with pytest.raises(ValueError, match="give pt or None"):
        processor.apply_chat_template([user("x")], tokenize=True, return_tensors="np")
    with pytest.raises(ValueError, match="16,000 Hz, and not 44100"):
        processor([processor.chat([None])], WAVES[:1], sampling_rate=44_100)
