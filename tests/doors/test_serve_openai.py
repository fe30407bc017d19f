"""`inserter serve` asked by the real `openai` client: text, speech, streams, models, transcripts, errors, 64 clients at once."""

import base64
import re
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from checkout import ROOT
from serving import audio, running, sound, text, user

openai = pytest.importorskip("openai", reason="openai is not installed: make check-doors")
CLIENTS = 64
KEY = "a key"


@pytest.fixture(scope="module")
def server(tiny_model):
    with running(tiny_model, key=KEY, only_local=False) as parts:
        yield parts


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(base_url=f"{server[0].base_url}/v1/", api_key=KEY, max_retries=0, timeout=120) as found:
        yield found


@pytest.fixture(scope="module")
def name(client) -> str:
    (model,) = client.models.list().data
    assert client.models.retrieve(model.id).id == model.id
    return model.id


def test_text_and_speech_are_answered(client, name):
    for parts in (
        ("Say something.",),
        (audio(), text("Answer this.")),
        (text("First"), audio(kind="mp3"), text("then"), audio(kind="ogg")),
    ):
        found = client.chat.completions.create(model=name, messages=[user(*parts)], max_completion_tokens=8, temperature=0)
        (choice,) = found.choices
        assert choice.message.role == "assistant" and choice.message.content and choice.finish_reason in ("stop", "length")
        assert found.model == name and found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens


def test_an_answer_goes_back_as_a_turn(client, name):
    messages = [user(audio())]
    first = client.chat.completions.create(model=name, messages=messages).choices[0].message
    messages += [first, user("Again.")]
    assert client.chat.completions.create(model=name, messages=messages).choices[0].message.content
    messages[1] = first.model_dump()
    assert client.chat.completions.create(model=name, messages=messages).choices[0].message.content


def test_a_stream_is_the_whole_answer(client, name):
    asked = {"model": name, "messages": [user(audio(kind="flac"))], "max_tokens": 12}
    whole = client.chat.completions.create(**asked)
    chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == whole.choices[0].message.content
    assert chunks[-1].usage.model_dump() == whole.usage.model_dump() and len(chunks) > 4
    with client.chat.completions.stream(**asked) as stream:  # the client puts the pieces together, and refuses cut answers
        try:
            final = stream.get_final_completion()
        except openai.LengthFinishReasonError as error:
            final = error.completion
    assert final.choices[0].message.content == whole.choices[0].message.content


def test_transcripts_in_three_forms(client, name):
    file = ("a.wav", sound())
    plain = client.audio.transcriptions.create(model=name, file=file)
    assert client.audio.transcriptions.create(model=name, file=file, response_format="text").strip() == plain.text
    verbose = client.audio.transcriptions.create(
        model=name, file=file, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert verbose.text == plain.text and float(verbose.duration) == 0.75
    assert all(word.start <= word.end for word in verbose.words) and len(verbose.segments) == 1


def test_each_error_has_its_exception(client, server, name):
    def ask(by=client, **more):
        return by.chat.completions.create(**{"model": name, "messages": [user("x")], **more})

    bad = base64.b64encode(b"no sound" * 99).decode()
    for more, kind, status in (
        ({"model": "gpt-4o"}, openai.NotFoundError, 404),
        ({"n": 2}, openai.BadRequestError, 400),
        ({"messages": [user({"type": "input_audio", "input_audio": {"data": bad, "format": "wav"}})]}, openai.BadRequestError, 400),
        ({"messages": [user("never " * 20_000)]}, openai.BadRequestError, 400),
        ({"messages": [user("never " * 20_000)], "stream": True}, openai.BadRequestError, 400),
    ):
        with pytest.raises(kind) as caught:
            ask(**more)
        assert caught.value.status_code == status and caught.value.type == "invalid_request_error" and caught.value.message
    with pytest.raises(openai.AuthenticationError):
        ask(client.with_options(api_key="wrong"))
    with pytest.raises(openai.BadRequestError, match="cannot be decoded"):
        client.audio.transcriptions.create(model=name, file=("a.wav", b"no sound"))


def test_the_client_of_the_guide_prints_an_answer(tiny_model, capsys):
    guide = (ROOT / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
    block = re.search(r"```\n(from openai.*?)```", guide, re.DOTALL)[1]
    with running(tiny_model) as (web, _, _):
        exec(block.replace("http://127.0.0.1:8000", f"http://127.0.0.1:{web.base_url.port}"), {})
    assert capsys.readouterr().out.strip()


def test_a_full_server_raises_the_error_of_a_rate_limit(tiny_model):
    with running(tiny_model, hold=True, requests=1) as (web, _, held), ThreadPoolExecutor(1) as pool:
        own = openai.OpenAI(base_url=f"{web.base_url}/v1/", api_key="none", timeout=120)
        first = pool.submit(own.chat.completions.create, model="x", messages=[user("x")], extra_body={"model": None})
        assert held.begun.wait(60)
        with pytest.raises(openai.RateLimitError) as caught:
            own.with_options(max_retries=0).chat.completions.create(model="x", messages=[user("x")])
        assert int(caught.value.response.headers["retry-after"]) > 0
        held.free.set()
        assert first.result().choices


def test_64_clients_at_once_with_bad_ones_among_them(server, client, name):
    """Every fourth sends what has no sound, and every other one of the rest streams."""
    good = client.chat.completions.create(model=name, messages=[user(audio(), text("Answer this."))], max_tokens=16)
    expected = good.choices[0].message.content

    def ask(number: int) -> str:
        with openai.OpenAI(base_url=client.base_url, api_key=KEY, max_retries=0, timeout=120) as own:
            if number % 4 == 3:
                with pytest.raises(openai.BadRequestError, match="cannot be decoded"):
                    own.chat.completions.create(model=name, messages=[user(audio(b"no sound at all" * 20))])
                return expected
            asked = {"model": name, "messages": [user(audio(), text("Answer this."))], "max_tokens": 16}
            if number % 2:
                return "".join(chunk.choices[0].delta.content or "" for chunk in own.chat.completions.create(**asked, stream=True))
            return own.chat.completions.create(**asked).choices[0].message.content

    with ThreadPoolExecutor(CLIENTS) as pool:
        assert set(pool.map(ask, range(CLIENTS))) == {expected}
    found = httpx.get(f"{server[0].base_url}/metrics", headers={"Authorization": f"Bearer {KEY}"}).text
    assert "inserter_requests_in_progress 0.0" in found and "inserter_queue_length 0.0" in found
