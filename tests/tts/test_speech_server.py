"""Engine `http` against a real server: what it sends, what it makes of odd answers, and whom it tells the key."""

import socket
import time
from collections.abc import Iterator

import numpy as np
import pytest
from speech_server import RATE, Act, SpeechServer, encoded, refusal, sound, streamed

from inserter.errors import InserterError
from inserter.params import Voice
from inserter.tts import CannotSpeak, Synthesizer, available, load_voice
from inserter.tts import http as engine
from inserter.tts.voices import identity

TEXT = "Good morning."
KEY = "sk-secret-0123456789"


@pytest.fixture(autouse=True)
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server in the environment, and no waiting between tries."""
    for name in (engine.BASE_URL, engine.API_KEY):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(engine, "BACKOFF", 0.001)


def voice(server: SpeechServer | str, **more) -> Voice:
    url = server if isinstance(server, str) else server.url
    return Voice(**{"name": "far", "engine": "http", "voice": "alloy", "model": "tts-1", "url": url, **more})


@pytest.fixture
def serve() -> Iterator:
    started: list[SpeechServer] = []

    def start(*acts, **more) -> tuple[SpeechServer, Synthesizer]:
        started.append(SpeechServer(*acts, **more))
        return started[-1], engine.load(voice(started[-1]))

    yield start
    for server in started:
        server.__exit__()


def test_it_speaks_what_the_server_speaks(serve):
    server, far = serve()
    wave = far.speak(TEXT)
    assert wave.dtype == np.float32 and 0.5 < len(wave) / RATE < 3
    assert server.bodies == [{"model": "tts-1", "input": TEXT, "voice": "alloy", "response_format": "wav"}]


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_wav_that_was_streamed_is_whole_whatever_its_header_says(serve, size):
    _, far = serve(streamed(size))
    assert np.array_equal(far.speak(TEXT), far.speak(TEXT))


@pytest.mark.parametrize(
    ("form", "subtype"), [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("WAV", "FLOAT")]
)
def test_any_format_is_taken_whatever_was_asked_for_and_whatever_it_is_called(serve, form, subtype):
    _, far = serve(sound(encoded(TEXT, form, subtype), "application/octet-stream"))
    wave, plain = far.speak(TEXT), far.speak(TEXT)
    assert len(wave) == pytest.approx(len(plain), abs=0.15 * RATE) and np.abs(wave).max() > 0.05


@pytest.mark.parametrize(
    "act",
    [
        refusal(500, "out of memory"),
        refusal(503, Retry_After="0"),
        refusal(429, Retry_After="0.01"),
        refusal(200, "an error with status 200"),
        sound(b""),
        sound(b"RIFF not audio at all"),
        sound(encoded(TEXT)[:30]),
    ],
    ids=["500", "503", "429", "json", "empty", "rubbish", "cut short"],
)
def test_a_passing_failure_is_tried_again_by_the_engine(serve, act: Act):
    server, far = serve(act, act)
    assert len(far.speak(TEXT)) > RATE / 2
    assert len(server.bodies) == 3


def test_a_server_that_asks_to_wait_is_waited_for(serve):
    _, far = serve(refusal(429, Retry_After="0.5"))
    start = time.monotonic()
    far.speak(TEXT)
    assert time.monotonic() - start >= 0.5
    _, far = serve(refusal(429, "the day's quota is used up", Retry_After="7200"))
    with pytest.raises(InserterError, match=r"quota.*to wait 7200 s.*to resume"):
        far.speak(TEXT)


def test_a_text_that_is_refused_is_the_texts_fault_and_the_others_are_spoken_in_order(serve):
    def choosy(text: str) -> Act:
        return refusal(400, "cannot say that") if text == "bad" else SpeechServer.speech(text)

    server, far = serve(delay=0.05)
    server.speech = choosy  # type: ignore[method-assign]
    texts = ["One.", "bad", "", *(f"Number {n}." for n in range(12))]
    found = list(far.speak_many(texts))
    assert [i for i, one in enumerate(found) if isinstance(one, CannotSpeak)] == [1, 2]
    assert "400" in str(found[1]) and "cannot say that" in str(found[1])
    assert np.array_equal(found[0], engine.load(voice(server)).speak("One."))
    assert server.most_at_once > 2, "requests overlap"


def test_one_text_that_always_fails_is_given_up_and_a_server_that_always_fails_ends_the_run(serve, monkeypatch):
    monkeypatch.setattr(engine, "GIVE_UP_AFTER", 3)
    server, far = serve()
    server.speech = lambda _: refusal(500, "crashed")  # type: ignore[method-assign]
    with pytest.raises(CannotSpeak, match=r"gave up after 6 tries: 500.*crashed"):
        far.speak(TEXT)
    assert len(server.bodies) == engine.TRIES
    with pytest.raises(InserterError, match=r"failed for \d+ texts in a row"):
        list(far.speak_many([TEXT] * 9))


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (refusal(401), "INSERTER_TTS_API_KEY"),
        (refusal(404, "no model tts-1"), r"model tts-1, voice alloy \(404\).*Check"),
        (refusal(402), "no credit"),
        (refusal(429, "insufficient_quota"), "no credit"),
        ((302, {"Location": "http://elsewhere.example/"}, b""), r"\(302\)"),
        (sound(b"<html>Welcome</html>", "text/html; charset=utf-8"), "a web page"),
    ],
    ids=["key", "model", "credit", "quota", "redirect", "page"],
)
def test_a_failure_of_every_text_ends_the_run_at_once_with_the_remedy(serve, act, message):
    server, far = serve(act)
    with pytest.raises(InserterError, match=message):
        far.speak(TEXT)
    assert len(server.bodies) == 1


def test_a_missing_server_is_reported_at_once():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(InserterError, match=rf"no speech server answers at {url}/v1/audio/speech.*Start the server"):
        engine.load(voice(url)).speak(TEXT)


def test_the_key_goes_to_its_own_server_and_is_in_no_message(serve, monkeypatch):
    mine, _ = serve(refusal(500, f"your key {KEY} is odd"))
    other, _ = serve(refusal(401))
    monkeypatch.setenv(engine.API_KEY, KEY)
    monkeypatch.setenv(engine.BASE_URL, f"{mine.url}/v1")
    engine.load(voice(mine, url=None)).speak(TEXT)
    engine.load(voice(mine)).speak(TEXT)
    assert set(mine.authorizations) == {f"Bearer {KEY}"}
    with pytest.raises(InserterError, match=r"Set INSERTER_TTS_API_KEY, and INSERTER_TTS_BASE_URL to this server"):
        engine.load(voice(other)).speak(TEXT)
    assert other.authorizations == [None]
    monkeypatch.setattr(engine, "TRIES", 1)
    again, _ = serve(refusal(500, f"your key {KEY} is odd"))
    monkeypatch.setenv(engine.BASE_URL, again.url)
    with pytest.raises(CannotSpeak, match=r"your key \[key\] is odd"):
        engine.load(voice(again)).speak(TEXT)


def test_a_voice_without_a_server_or_a_model_says_what_to_set():
    assert "INSERTER_TTS_BASE_URL" in (available(voice("x", url=None)) or "")
    assert "`model`" in (available(voice("http://127.0.0.1:1", model=None)) or "")
    assert "http" in (available(voice("ftp://host")) or "") and "user name" in (available(voice("http://me:secret@host")) or "")
    assert "secret" not in (available(voice("http://me:secret@host")) or "")
    assert (
        engine.speech_url(voice("http://h/tts/v1/")) == engine.speech_url(voice("http://h/tts")) == "http://h/tts/v1/audio/speech"
    )


def test_speed_and_pitch_are_changed_here(serve):
    server, far = serve()
    plain = far.speak(TEXT)
    shaped = load_voice(voice(server, rate=1.25, pitch=1.1))
    (fast,) = shaped.speak_many([TEXT])
    assert isinstance(fast, np.ndarray) and len(plain) / len(fast) == pytest.approx(1.25, rel=0.02)
    assert all("speed" not in body for body in server.bodies)


def test_a_recording_to_be_imitated_goes_along_with_its_words_and_makes_the_voice(serve, tmp_path):
    server, _ = serve()
    (tmp_path / "ann.wav").write_bytes(encoded("I am Ann."))
    ann = voice(server, speaker=str(tmp_path / "ann.wav"))
    assert "ann.txt is not there" in (available(ann) or "")
    (tmp_path / "ann.txt").write_text("I am Ann.\n")
    load_voice(ann).speak(TEXT)
    assert server.bodies[-1]["ref_text"] == "I am Ann." and server.bodies[-1]["ref_audio"].startswith("data:audio/wav;base64,UklGR")
    before = identity(ann)
    (tmp_path / "ann.wav").write_bytes(encoded("I am somebody else."))
    assert identity(ann) != before
