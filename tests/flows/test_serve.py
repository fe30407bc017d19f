"""`inserter serve` over real HTTP: its answers are the model's own, whole or streamed, and a bad request fails alone."""

import base64
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from serving import CHAT, WAVE, audio, running, said, sound, text, user

from flows.serve.following import Source
from flows.serve.replies import Deltas
from inserter.training.models import for_answers
from models import InserterForConditionalGeneration, InserterProcessor
from models.generation import Prompt, continue_chats, generate_answers
from models.precision import in_bf16
from models.sound import read


@pytest.fixture(scope="module")
def served(tiny_model):
    with running(tiny_model) as parts:
        yield parts


@pytest.fixture(scope="module")
def client(served):
    return served[0]


@pytest.fixture(scope="module")
def pair(tiny_model, served):
    precision = served[1].served.precision
    model = InserterForConditionalGeneration.from_pretrained(tiny_model)
    return for_answers(model, precision).eval(), InserterProcessor.from_pretrained(tiny_model), precision


def at_once(client, bodies: list) -> list:
    """The responses to bodies that are sent at the same time, in order."""
    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(lambda body: client.post(CHAT, **(body if "content" in body else {"json": body})), bodies))


def test_all_formats_and_texts_get_the_models_own_answers(client, pair):
    model, processor, precision = pair
    sounds = {kind: sound(kind=kind) for kind in ("wav", "flac", "ogg", "mp3")}
    prompts = [Prompt(audio=read(data).wave, text="Answer this.") for data in sounds.values()]
    prompts += [Prompt(audio=WAVE), Prompt(text="Say something."), Prompt(text="<|im_end|> is a word here.")]
    bodies = [{"messages": [user(audio(data, kind), text("Answer this."))]} for kind, data in sounds.items()]
    bodies += [{"messages": [user(*parts)]} for parts in ((audio(sound()),), ("Say something.",), ("<|im_end|> is a word here.",))]
    prompts[4] = Prompt(audio=read(sound()).wave)
    expected = generate_answers(model, processor, prompts, max_new_tokens=8, precision=precision)
    assert [said(response) for response in at_once(client, bodies)] == expected
    assert len(set(expected)) > 2


def test_turns_with_parts_in_any_order_are_read_as_the_chat_template_says(client, pair):
    model, processor, precision = pair
    other = (0.2 * np.sin(np.arange(20_000) / 11)).astype(np.float32)
    messages = [
        {"role": "system", "content": "Be brief."},
        user(text("First:"), audio(), text("and then"), text("this:"), audio(sound(other))),
        {"role": "assistant", "content": [text("I heard both.")]},
        user("Repeat the first."),
    ]
    found = client.post(CHAT, json={"messages": messages, "max_completion_tokens": 9, "temperature": 0, "n": 1}).json()
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [text("First:"), {"type": "audio"}, text("and then\nthis:"), {"type": "audio"}]},
        {"role": "assistant", "content": "I heard both."},
        {"role": "user", "content": "Repeat the first."},
    ]
    ids = processor.apply_chat_template(turns, tokenize=True, return_dict=False, add_generation_prompt=True)
    waves, bf16 = [read(sound(wave)).wave for wave in (WAVE, other)], in_bf16(precision, model.device)
    answer = continue_chats(model, processor, [ids], audio=waves, tokens=[9], bf16=bf16)
    assert found["choices"][0]["message"]["content"] == processor.tokenizer.decode(answer[0], skip_special_tokens=True).strip()
    assert found["choices"][0]["finish_reason"] in ("stop", "length")
    usage = found["usage"]
    assert usage["completion_tokens"] <= 9 and usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens"] >= len(ids) - 2


def events(client, body: dict) -> list[str]:
    with client.stream("POST", CHAT, json={**body, "stream": True}) as response:
        assert response.status_code == 200 and response.headers["content-type"].startswith("text/event-stream")
        return [line.removeprefix("data: ") for line in response.iter_lines() if line]


def test_a_stream_has_the_same_answer_token_by_token(client):
    body = {"messages": [user(audio(), text("Answer this."))], "max_tokens": 12}
    lines = events(client, {**body, "stream_options": {"include_usage": True}})
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    whole = client.post(CHAT, json=body).json()
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks[:-1]) == whole["choices"][0]["message"]["content"]
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant" and len({chunk["id"] for chunk in chunks}) == 1
    assert chunks[-2]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert chunks[-1]["choices"] == [] and chunks[-1]["usage"] == whole["usage"]
    assert all(chunk["model"] == whole["model"] for chunk in chunks)


def test_pieces_of_letters_and_blanks_wait_for_what_follows(pair):
    _, processor, _ = pair
    ids = processor.encode("  naïve 🦊 words \n\n and “more”  ")
    deltas = Deltas(processor.tokenizer)
    pieces = [deltas.more(ids[:n], False) for n in range(1, len(ids) + 1)] + [deltas.more(ids, True)]
    assert "".join(pieces) == processor.tokenizer.decode(ids).strip()
    assert "\N{REPLACEMENT CHARACTER}" not in "".join(pieces) and sum(map(bool, pieces)) > 5


def test_each_row_of_a_batch_has_its_own_limit(client, pair):
    model, processor, precision = pair
    bodies = [{"messages": [user("Say something.")], "max_tokens": n} for n in (1, 4, 7)]
    for body, response in zip(bodies, at_once(client, bodies), strict=True):
        n = body["max_tokens"]
        asked = [Prompt(text="Say something.")]
        assert said(response) == generate_answers(model, processor, asked, max_new_tokens=n, precision=precision)[0]
        assert response.json()["usage"]["completion_tokens"] <= n


def test_an_lm_with_a_loop_of_its_own_streams_too(client, pair, monkeypatch):
    body = {"messages": [user("Say something.")], "max_tokens": 6}
    expected = client.post(CHAT, json=body).json()
    monkeypatch.setattr("models.decoding.starts_rows_at_0", lambda lm: False)
    found = client.post(CHAT, json=body).json()
    assert found["choices"] == expected["choices"] and found["usage"] == expected["usage"]
    assert events(client, body)[-1] == "[DONE]"


def bad(*parts, **more) -> dict:
    return {"messages": [user(*parts)], **more}


PLAIN = base64.b64encode(b"not audio at all" * 40).decode()
BAD = [
    ({"content": b"{", "headers": {"content-type": "application/json"}}, 400, "JSON"),
    ({"content": b"{}", "headers": {"content-type": "text/plain"}}, 415, "Content-Type"),
    ({"messages": []}, 400, "messages: "),
    (bad("  "), 400, "content is empty"),
    (bad(text("")), 400, "content is empty"),
    (bad({"type": "image_url", "image_url": {"url": "http://127.0.0.1/x.png"}}), 400, "image_url"),
    (bad({"type": "input_audio", "input_audio": {"data": PLAIN, "format": "wav"}}), 400, "cannot be decoded"),
    (bad({"type": "input_audio", "input_audio": {"data": "/etc/hostname", "format": "wav"}}), 400, "audio"),
    (bad({"type": "input_audio", "input_audio": {"data": "http://127.0.0.1/x.wav", "format": "wav"}}), 400, "base64"),
    (bad({"type": "input_audio", "input_audio": {"data": PLAIN, "format": "m4a"}}), 400, "format"),
    (bad(audio(sound(np.zeros(0, np.float32)))), 400, "no samples"),
    (bad("never " * 20_000), 400, "the model has room for 2,048 together"),
    (bad(*[audio()] * 3, text("never " * 20_000)), 400, "the model has room for 2,048 together"),
    (bad("x", max_tokens=0), 400, "max_tokens"),
    (bad("x", max_tokens=10**6), 400, "room for 2,048"),
    (bad("x", temperature=3), 400, "temperature"),
    (bad("x", temperature=1.0, seed=1), 400, "seed works only with temperature 0"),
    (bad("x", n=2), 400, "n is not supported here other than 1"),
    (bad("x", tools=[{"type": "function"}]), 400, "tools is not supported"),
    (bad("x", speed=2), 400, "speed is not supported"),
    (bad("x", model="gpt-4o"), 404, "no model 'gpt-4o' here"),
    ({"messages": [{"role": "tool", "content": "x"}]}, 400, "tool"),
    ({"messages": [user("x"), {"role": "assistant", "content": "y"}]}, 400, "last message must be a user's"),
    ({"messages": [{"role": "assistant", "content": [audio()]}, user("x")]}, 400, "input_audio|type"),
]


def test_a_bad_request_fails_alone_and_says_why(client, monkeypatch):
    monkeypatch.setenv("INSERTER_SERVE_AUDIO_DIR", "/etc")  # of `mlflow models serve`; here no path is read
    good = {"messages": [user(audio(), text("x"))]}
    expected = said(client.post(CHAT, json=good))
    responses = at_once(client, [body for wrong, _, _ in BAD for body in (good, wrong)])
    assert {said(response) for response in responses[::2]} == {expected}
    for (_, status, problem), response in zip(BAD, responses[1::2], strict=True):
        error = response.json()["error"]
        assert response.status_code == status and re.search(problem, error["message"]), (problem, response.text)
        assert "\n" not in error["message"] and error["type"] == "invalid_request_error"


def test_an_error_of_the_model_costs_one_request(client, served, monkeypatch, capfd):
    real = served[1].served.processor.features

    def features(waves):
        if any(len(wave) == 1_000 for wave in waves):
            raise RuntimeError("broken here")
        return real(waves)

    monkeypatch.setattr(served[1].served.processor, "features", features)
    good, wrong = ({"messages": [user(audio(sound(WAVE[:n])))]} for n in (12_000, 1_000))
    responses = at_once(client, [good, wrong, good])
    assert [response.status_code for response in responses] == [200, 500, 200]
    assert "broken here" in responses[1].json()["error"]["message"] and "broken here" in capfd.readouterr().err


def test_sampling_differs_and_stays_beside_greedy_answers(client):
    body = {"messages": [user("Say something.")], "max_tokens": 12}
    *drawn, cold = at_once(client, [{**body, "temperature": 2.0}, body] * 4 + [{**body, "temperature": 1e-320}])
    assert len({said(response) for response in [*drawn[1::2], cold]}) == 1
    assert len({said(response) for response in drawn[::2]}) > 1


def test_models_and_health(client, tiny_model):
    found = client.get("/v1/models").json()
    assert [model["id"] for model in found["data"]] == [Path(tiny_model).name]
    assert client.get(f"/v1/models/{Path(tiny_model).name}").json() == found["data"][0]
    assert client.get("/v1/models/other").status_code == 404
    assert client.get("/health").json() == {"status": "ok", "model": Path(tiny_model).name}
    assert client.get("/nothing").json()["error"]["type"] == "invalid_request_error"
    assert client.get(CHAT).status_code == 405


def test_transcripts_are_what_the_model_hears(client, pair):
    from flows.hear import heard_tokens

    model, processor, _ = pair
    (tokens,) = heard_tokens(model, processor, [read(sound()).wave])
    expected = processor.tokenizer.decode([token for token, _ in tokens]).strip()

    def ask(data: bytes | None = None, **fields):
        files = {"file": ("a.wav", sound() if data is None else data)} if data != b"" else {"other": ("a", b"x")}
        return client.post("/v1/audio/transcriptions", files=files, data=fields)

    assert ask(model=client.get("/health").json()["model"]).json()["text"] == expected
    assert ask(response_format="text").text.strip() == expected
    verbose = ask(response_format="verbose_json", **{"timestamp_granularities[]": "word"}).json()
    assert verbose["text"] == expected and verbose["duration"] == 0.75
    assert "".join("".join(word["word"] for word in verbose["words"]).split()) == "".join(expected.split())
    assert all(0 <= word["start"] <= word["end"] <= 0.75 for word in verbose["words"])
    for response, problem in [
        (ask(b"no sound"), "the audio cannot be decoded"),
        (ask(b""), "give the sound as `file`"),
        (ask(response_format="srt"), "response_format is 'srt'"),
        (ask(temperature="0.5"), "temperature is not supported"),
        (ask(prompt="Names"), "prompt is not supported"),
        (client.post("/v1/audio/transcriptions", content=b"x"), "multipart/form-data"),
    ]:
        assert response.status_code == 400 and problem in response.json()["error"]["message"], response.text


def test_a_name_of_the_registry_is_read_as_mlflow_reads_it(params):
    assert Source("models:/a@champion", params).follows and not Source("models:/a/3", params).follows
    assert Source("models:/a@champion", params).names == ["a@champion"] and Source("data/sft/model", params).names == []
