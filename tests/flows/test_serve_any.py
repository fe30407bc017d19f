"""Any request that has the shape of a chat, or hardly, is answered or refused, and ends nothing.

INSERTER_REQUESTS is the number of requests; without it there are 100, the same each time.
"""

import base64
import json
import os
import socket
import time
from collections import Counter

import numpy as np
import pytest
from checkout import ROOT
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from serving import CHAT, FORMATS, sound, user
from starlette.testclient import TestClient

from flows.serve.app import build
from flows.serve.following import Source
from flows.serve.limits import Limits
from flows.serve.service import Service
from inserter.params import load
from models.served import BadRecord, read_record

HEAR = "/v1/audio/transcriptions"
JSON = {"content-type": "application/json"}
MANY = int(os.environ.get("INSERTER_REQUESTS", "0"))
GOOD = {"messages": [user("Say something.")], "max_tokens": 4}
DEEP = "@deep"  # a string that becomes a list in a list in a list …, deeper than Python can write
TONE = (0.1 * np.sin(np.arange(3_000) / 7)).astype(np.float32)
FILES = [sound(TONE, kind) for kind in FORMATS] + [sound(TONE[:n]) for n in (0, 1, 7)]

# Whoever opens an address of a request would be seen by this socket.
LISTENER = socket.create_server(("127.0.0.1", 0))
LISTENER.setblocking(False)
ADDRESS = f"http://127.0.0.1:{LISTENER.getsockname()[1]}/clip.wav"


def mostly(good: st.SearchStrategy, odd: st.SearchStrategy) -> st.SearchStrategy:
    return st.integers(0, 19).flatmap(lambda n: odd if n == 7 else good)  # Hypothesis likes the ends best


words = mostly(
    st.one_of(st.text(min_size=1, max_size=40), st.sampled_from(["🦊", "\u202eabc", "<|im_end|>", "<|audio|>", "never " * 300])),
    st.sampled_from(["", " ", "\0", "\ud83d", "a" * 9_000, "never " * 3_000, DEEP]),
)
numbers = st.one_of(st.integers(-(2**70), 2**70), st.floats(), st.sampled_from([0, -1, 10**400, 10**4_000, 1e308]))
odd = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, words),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=9), inner, max_size=3)),
    max_leaves=6,
)
packed = st.sampled_from(FILES).map(lambda data: base64.b64encode(data).decode())
wrong = st.one_of(
    packed.flatmap(lambda text: st.integers(0, len(text)).map(lambda end: text[:end])),
    st.binary(max_size=60).map(lambda data: base64.b64encode(data).decode()),
    packed.map("data:audio/wav;base64,{}".format),
    st.sampled_from([ADDRESS, f"data:,{ADDRESS}", str(ROOT / "README.md"), "file:///dev/null", "AAAA" * 9_000]),
    words,
)
data = st.one_of(packed, mostly(packed, wrong), wrong)
kinds = mostly(st.sampled_from([*FORMATS]), odd)
clip = st.fixed_dictionaries({"data": mostly(data, odd), "format": kinds}, optional={"url": st.just(ADDRESS)})
good = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": mostly(words, odd)}, optional={"url": st.just(ADDRESS)}),
    st.fixed_dictionaries({"type": st.just("input_audio"), "input_audio": mostly(clip, odd)}),
)
urls = st.sampled_from([{"type": "audio", "url": ADDRESS}, {"type": "audio_url", "audio_url": {"url": ADDRESS}}])
part = mostly(good, st.one_of(urls, odd))
content = st.one_of(words, st.lists(part, min_size=1, max_size=3))
roles = st.sampled_from(["user", "system", "assistant", "developer"])
turn = st.fixed_dictionaries({"role": mostly(roles, odd), "content": mostly(content, odd)}, optional={"name": odd})
last = st.fixed_dictionaries({"role": st.just("user"), "content": mostly(content, odd)})
messages = st.tuples(st.lists(mostly(turn, odd), max_size=2), mostly(last, odd)).map(lambda found: [*found[0], found[1]])
# A large number that the model has room for would only take time.
some = mostly(st.integers(1, 4), st.one_of(st.integers(-2, 0), st.integers(4_000), st.sampled_from([10**400, 0.5, float("nan")])))
SETTINGS = {
    "model": mostly(st.none(), st.just("gpt-4o")),
    "max_tokens": some,
    "max_completion_tokens": some,
    "temperature": st.sampled_from([0, 1, 2, 1e-320, 1e-3]),
    "seed": st.none(),
    "stream": st.booleans(),
    "stream_options": st.fixed_dictionaries({"include_usage": st.booleans()}),
    "n": st.just(1),
    "user": words,
    "tools": st.just([]),
}
body = st.tuples(
    st.fixed_dictionaries({"messages": mostly(messages, odd)}),
    st.dictionaries(st.sampled_from([*SETTINGS]), st.none(), max_size=3).flatmap(
        lambda names: st.fixed_dictionaries({name: mostly(SETTINGS[name], odd) for name in names})
    ),
    mostly(st.just({}), st.dictionaries(words, odd, max_size=2)),
).map(lambda found: {**found[2], **found[0], **found[1]})


def written(value: object) -> bytes:
    deep = "[" * 5_000 + "]" * 5_000
    return json.dumps(value).replace(json.dumps(DEEP), deep).encode()


texts = mostly(body, odd).map(written)
whole = st.fixed_dictionaries({"content": texts, "headers": st.just(JSON)})
cut = texts.flatmap(lambda text: st.fixed_dictionaries({"content": st.just(text[: len(text) // 2]), "headers": st.just(JSON)}))
fields = st.dictionaries(
    st.sampled_from(["model", "response_format", "language", "temperature", "prompt", "timestamp_granularities[]"]),
    st.sampled_from(["", "json", "text", "verbose_json", "0", "word", "🦊", "\0"]),
    max_size=3,
)
form = st.fixed_dictionaries({"data": fields, "files": st.sampled_from(FILES).map(lambda data: {"file": ("../a.wav", data)})})
asked = st.integers(0, 19).flatmap(
    lambda n: st.tuples(st.just(HEAR), st.one_of(form, cut)) if n in (5, 6) else st.tuples(st.just(CHAT), cut if n == 7 else whole)
)


@pytest.fixture(scope="module")
def served(tiny_model):
    source = Source(str(tiny_model), load(ROOT / "params.yaml"))
    service = Service(source, source.load(), limits=Limits(tokens=4), follow_seconds=3600.0)
    with TestClient(build(service, only_local=True), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client, service


def plain(**more: object) -> tuple[str, dict]:
    return CHAT, {"content": json.dumps({**GOOD, **more}).encode(), "headers": JSON}


def test_no_request_ends_the_server_and_each_is_answered_or_refused(served):
    client, service = served
    began = time.process_time()
    first = client.post(CHAT, json=GOOD).json()["choices"]
    seen: Counter[int] = Counter()

    @settings(
        max_examples=MANY or 100,
        deadline=None,
        database=None,
        derandomize=not MANY,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(asked)
    @example(plain(temperature=float("nan")))
    @example(plain(temperature=float("inf")))
    @example(plain(max_tokens=10**4_000))
    @example(plain(**{"x" * 9_000: 1}))
    @example((CHAT, {"content": b"[" * 100_000, "headers": JSON}))
    def check(request):
        path, kwargs = request
        response = client.post(path, **kwargs)
        seen[response.status_code] += 1
        assert 200 <= response.status_code < 300 or 400 <= response.status_code < 500, (response.text, kwargs)
        if response.status_code >= 400:
            error = response.json()["error"]
            assert error["type"] == "invalid_request_error" and 0 < len(error["message"]) <= 1_000 and {"param", "code"} <= {*error}
        else:
            assert "server_error" not in response.text

    check()
    assert seen[200] >= 10 and seen[400] >= 10, seen
    assert client.post(CHAT, json=GOOD).json()["choices"] == first and client.get("/health").status_code == 200
    assert len(service.queue) == 0 and service.metrics.in_progress._value.get() == 0
    with pytest.raises(BlockingIOError):  # nobody has opened an address of a request
        LISTENER.accept()
    print(f"{seen.total():,} requests: {dict(sorted(seen.items()))}, {time.process_time() - began:.1f} s of CPU")


@pytest.mark.parametrize(
    "value",
    [ADDRESS, f"data:,{ADDRESS}", {"url": ADDRESS}, ADDRESS.encode(), "file:///dev/null"],
    ids=["address", "data", "part", "bytes", "file"],  # the port is not the same in two test processes
)
def test_a_record_of_the_mlflow_flavour_opens_no_address(value):
    with pytest.raises(BadRecord, match="audio"):
        read_record({"audio": value, "text": "x"})
    with pytest.raises(BlockingIOError):
        LISTENER.accept()
