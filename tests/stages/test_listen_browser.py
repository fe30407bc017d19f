"""The page to listen to in a real Chromium: it plays, with the mouse and with keys alone, and asks for nothing outside."""

from pathlib import Path

import listen_inputs as made
import pytest
from browsing import CONTRAST, NARROW, WIDE, needs_chromium, overflow

from stages.listen.stage import build

pytestmark = needs_chromium
# `Audio` objects are not in the document: the page's own player is found by what it plays
SPY = """() => { window.players = []; const real = window.Audio;
  window.Audio = function (...given) { const made = new real(...given); window.players.push(made); return made; }; }"""
MOVES = "() => players[0].currentTime > 0.05 && !players[0].paused"
SOURCE = "() => decodeURI(players[0].src).split('/').pop()"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    data, reports = made.write(tmp_path_factory.mktemp("listen"), hostile=True)
    build(data, reports)
    return (Path(reports) / "listen.html").resolve().as_uri()


@pytest.fixture
def page(open_page, url):
    found = open_page(url, WIDE, ready=".play")
    found.add_init_script(f"({SPY})()")
    found.reload()
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
def test_the_whole_page_fits_and_can_be_read(open_page, url, size, scheme):
    page = open_page(url, size, scheme, ".card")
    assert overflow(page) <= 0
    assert page.evaluate(CONTRAST) == []
    page.locator(".play").first.evaluate("node => node.parentElement.classList.add('now')")
    assert page.evaluate(CONTRAST) == [], "also while it plays"


def test_every_control_has_a_name(open_page, url):
    page = open_page(url, ready=".play")
    for control in page.locator("button, audio, [tabindex='0']").all():
        name = control.evaluate("node => node.ariaLabel || node.innerText")
        assert name and name.strip(), control.evaluate("node => node.outerHTML")
    assert page.locator("html").get_attribute("lang") == "en" and page.locator("h1").count() == 1


def test_keys_alone_play_a_span_and_stop_it(page):
    button = page.locator(".play").first
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_function(MOVES)
    assert page.evaluate("players[0].duration") > 1
    assert button.get_attribute("aria-pressed") == "true" and page.locator(".now").count() == 1
    assert page.locator("#playing").inner_text() == button.get_attribute("aria-label")
    page.keyboard.press("Enter")
    assert page.evaluate("players[0].paused") and button.get_attribute("aria-pressed") == "false"


def test_a_whole_sequence_plays_its_spans_in_order(page):
    sequence = page.locator(".sequence", has=page.locator(".all")).first
    wanted = sequence.locator(".play").evaluate_all("nodes => nodes.map(node => node.dataset.src.split('/').pop())")
    assert wanted == ["d-000.flac", "d-001.flac", "d-002.flac", "d-003.flac"]
    sequence.locator(".all").click()
    heard = []
    for _ in wanted:
        page.wait_for_function(MOVES)
        heard.append(page.evaluate(SOURCE))
        assert sequence.locator(".now .play").get_attribute("data-src") == f"listen/{heard[-1]}"
        page.evaluate("players[0].currentTime = players[0].duration - 0.01")  # not to wait for it
        page.wait_for_function(f"() => ({SOURCE})() !== '{heard[-1]}' || players[0].paused")
    assert heard == wanted
    page.wait_for_function("() => players[0].paused")
    assert sequence.locator(".all").get_attribute("aria-pressed") == "false" and page.locator(".now").count() == 0


def test_a_clip_and_its_original_play_one_at_a_time(page):
    card = page.locator(".card", has=page.locator("audio").nth(1)).filter(has_text="Before these effects: noise babble").first
    players = card.locator("audio")
    assert players.count() == 2 and players.first.get_attribute("preload") == "none"
    page.locator(".play").first.click()
    page.wait_for_function(MOVES)
    for place in (0, 1):
        audio = players.nth(place)
        audio.evaluate("node => node.play()")
        page.wait_for_function("node => node.currentTime > 0.05", arg=audio.element_handle())
        assert audio.evaluate("node => node.duration") > 1
        assert page.evaluate("players[0].paused"), "the span has stopped"
    assert players.first.evaluate("node => node.paused")


def test_a_quarantined_clip_shows_its_reason_and_what_was_heard(open_page, url):
    page = open_page(url, ready=".card")
    card = page.locator("#quarantined .card", has_text="q-wer-2")
    assert card.locator(".chip").inner_text() == "wer 0.83 > 0.35"
    assert card.locator("del").all_inner_texts() == made.SPOKEN[1].split()
    assert "(nothing)" in card.inner_text()
    assert "No audio" in page.locator("#quarantined .card", has_text="q-audio").inner_text()
    assert page.locator(".card img").count() == 0
