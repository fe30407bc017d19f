"""The page of `inserter serve` in a real Chromium whose microphone plays a file: speak, see what was heard, read the answer."""

import base64

import httpx
import numpy as np
import pytest
from browsing import ARGS, CHROMIUM, CONTRAST, NARROW, WIDE, needs_chromium, overflow
from serving import running, sound

from models.sound import read

pytestmark = needs_chromium
SENT = """() => { window.sent = []; const real = window.fetch; window.fetch = (url, how) => {
  if (how?.body && typeof how.body === "string") window.sent.push(JSON.parse(how.body));
  return real(url, how); }; }"""
TONE = (0.4 * np.sin(np.arange(48_000) / 6)).astype(np.float32)  # 3 s of 424 Hz


@pytest.fixture(scope="module")
def url(tiny_model):
    with running(tiny_model) as (client, _, _):
        yield str(client.base_url)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory):
    """A Chromium whose microphone plays TONE."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: it is in the extra `dev`")
    file = tmp_path_factory.mktemp("microphone") / "tone.wav"
    file.write_bytes(sound(TONE))
    fake = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", f"--use-file-for-fake-audio-capture={file}"]
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(
            executable_path=CHROMIUM, args=[*ARGS, *fake, "--autoplay-policy=no-user-gesture-required"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def page(open_page, url):
    found = open_page(url, ready="#record")
    found.add_init_script(f"({SENT})()")
    found.reload()
    return found


def answered(page, turns: int) -> str:
    page.wait_for_function(
        f"() => document.querySelectorAll('.assistant').length === {turns} && !document.getElementById('send').disabled"
    )
    return page.locator(".assistant .said").last.inner_text()


def test_spoken_turns_are_heard_and_answered(page):
    assert page.locator("#model").inner_text().startswith("tiny-model")
    button = page.get_by_role("button", name="Speak")
    button.click()
    page.get_by_role("button", name="Stop and send").wait_for()
    page.wait_for_timeout(600)
    page.locator("#record").click()
    first = answered(page, 1)
    assert first and first != "…"
    line = page.locator(".user .heard").inner_text()
    assert line.startswith("Heard: ")
    (body,) = page.evaluate("sent")
    (part,) = body["messages"][0]["content"]
    wave = read(base64.b64decode(part["input_audio"]["data"])).wave
    assert 0.3 < len(wave) / 16_000 < 30
    loud = np.abs(np.fft.rfft(wave))
    assert abs(float(loud.argmax()) * 16_000 / len(wave) - 424.4) < 5, "the tone of the microphone"
    page.locator("#text").fill("Again, please.")
    page.keyboard.press("Enter")
    second = answered(page, 2)
    body = page.evaluate("sent")[1]
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][1]["content"] == first and second
    page.get_by_role("button", name="New conversation").click()
    assert page.locator(".turn").count() == 0


def test_a_file_is_sent_and_the_answer_is_the_apis_own(page, tmp_path):
    file = tmp_path / "a.flac"
    file.write_bytes(sound(TONE[:20_000], "flac"))
    page.locator("#file").set_input_files(file)
    page.locator("#clip").wait_for()
    page.locator("#text").fill("What is it?")
    page.get_by_role("button", name="Send").click()
    shown = answered(page, 1)
    (body,) = page.evaluate("sent")
    answer = httpx.post(f"{page.url}v1/chat/completions", json={**body, "stream": False}, timeout=60).json()
    assert shown.split() == answer["choices"][0]["message"]["content"].split()
    data = body["messages"][0]["content"][0]["input_audio"]["data"]
    assert np.abs(read(base64.b64decode(data)).wave - TONE[:20_000]).max() < 1e-3


def test_what_fails_is_said_and_the_conversation_goes_on(open_page, url, tmp_path):
    page = open_page(url, ready="#record")
    page.get_by_role("button", name="Send").click()
    assert "Speak, choose a file, or write" in page.locator("#state").inner_text()
    (tmp_path / "no.wav").write_bytes(b"no sound")
    page.locator("#file").set_input_files(tmp_path / "no.wav")
    page.wait_for_function("() => document.getElementById('state').textContent.includes('cannot be read')")
    page.get_by_text("Settings").click()
    page.locator("#tokens").fill("8")
    page.locator("#text").fill("Say something.")
    page.get_by_role("button", name="Send").click()
    assert answered(page, 1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
def test_the_page_fits_and_can_be_read(open_page, url, size, scheme):
    page = open_page(url, size, scheme, "#record")
    page.get_by_text("Settings").click()
    page.locator("#text").fill("A-very-long-word-" * 20)
    page.get_by_role("button", name="Send").click()
    answered(page, 1)
    assert overflow(page) <= 0
    assert page.evaluate(CONTRAST) == []
    for control in page.locator("button:visible, input:visible, textarea").all():
        name = control.evaluate("node => node.ariaLabel || node.innerText || node.labels?.[0]?.innerText")
        assert name and name.strip(), control.evaluate("node => node.outerHTML")


def test_the_page_asks_for_nothing_else(url):
    found = httpx.get(url)
    assert "http://" not in found.text.replace("http://www.w3.org", "") and "https://" not in found.text.replace("over https", "")
    assert "default-src 'none'" in found.text and found.headers["x-frame-options"] == "DENY"
