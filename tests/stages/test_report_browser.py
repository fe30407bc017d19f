"""The report in a real Chromium, narrow and wide: it works from a file, asks for nothing outside, stays fast."""

import functools
import http.server
import threading
from pathlib import Path

import pytest
import report_inputs as made
from browsing import CONTRAST, NARROW, WIDE, needs_chromium, overflow

from inserter.files import read_jsonl, write_jsonl
from stages.report.stage import build

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: it is in the extra `dev`")
expect = playwright.expect
pytestmark = needs_chromium
LOADED = """audio => new Promise((done, failed) => {
  audio.onloadedmetadata = () => done(audio.duration); audio.onerror = () => failed(audio.error.message);
  audio.preload = "metadata"; audio.load();
})"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data, reports = made.write(tmp_path_factory.mktemp("browser"), copies=3, hostile=True)
    build(data, reports)
    return reports


@pytest.fixture
def url(reports: Path) -> str:
    return (reports / "benchmark.html").resolve().as_uri()


def shown(page) -> list[str]:
    return page.locator(".item").evaluate_all("nodes => nodes.map(node => node.dataset.id)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
def test_the_whole_page_fits_and_can_be_read(open_page, url, size, scheme):
    page = open_page(url, size, scheme)
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    for place in (0, 1):  # hostile answers, then a background item
        page.locator(".item .head").nth(place).click()
        assert page.locator(".item.open .matrix .mark").count() == 10  # two checks, five forms
        assert overflow(page) <= 0
        assert page.evaluate(CONTRAST) == []


def test_every_control_has_a_name(open_page, url):
    page = open_page(url)
    page.locator(".item .head").first.click()
    for control in page.locator("button, input, select, audio, [tabindex='0']").all():
        name = control.evaluate("n => n.ariaLabel || n.labels?.[0]?.innerText || n.innerText")
        assert name and name.strip(), control.evaluate("n => n.outerHTML")
    assert page.locator("html").get_attribute("lang") == "en" and page.locator("h1").count() == 1


@pytest.mark.parametrize("way", ["file", "server"])
def test_an_item_plays_its_sound(open_page, reports, url, way):
    if way == "server":
        handler = functools.partial(QuietHandler, directory=str(reports))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            page = open_page(f"http://127.0.0.1:{server.server_address[1]}/benchmark.html")
            assert duration(page) == pytest.approx(1.2, abs=0.05)
            server.shutdown()
    else:
        assert duration(open_page(url)) == pytest.approx(1.2, abs=0.05)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments) -> None:
        pass


def duration(page) -> float:
    page.locator(".item .head").first.click()
    audio = page.locator(".item.open audio")
    assert audio.get_attribute("preload") == "none"
    return audio.evaluate(LOADED)


def test_an_item_shows_the_answers_and_verdicts_of_every_form(open_page, url):
    page = open_page(url)
    page.select_option("[name=variant]", "background")
    page.fill("[name=q]", "harbor-001")
    expect(page.locator(".item")).to_have_count(1)
    page.locator(".item .head").click()
    item = page.locator(".item.open")
    assert item.locator("dl").inner_text().split("\n")[-4:] == ["signal-to-noise ratio", "5 dB", "noise", "babble"]
    rule = "Keywords uses “lantern”, “gull”"
    verdicts = item.locator(f".matrix tr:has-text('{rule}') .mark").evaluate_all("all => all.map(one => one.title)")
    assert len(verdicts) == 5
    answers = item.locator(".answer .text").all_inner_texts()
    expected = ["pass" if "A lantern still burns" in answer else "fail" for answer in answers]
    assert verdicts == expected


def test_hostile_answers_are_shown_as_they_are(open_page, url):
    page = open_page(url)
    page.locator(".item .head").first.click()
    assert page.locator(".answer .text").first.inner_text().startswith("</script><script>alert('in')</script> \"quoted\" &")
    assert page.locator("#items img").count() == 0


def test_filters_choose_together_and_the_address_keeps_them(open_page, url):
    page = open_page(url)
    assert page.locator("#count").inner_text() == "97 of 97 items"
    page.select_option("[name=outcome]", "lost")
    lost = page.locator(".item")
    assert lost.count() and all("heard ✗" in text and "read ✓" in text for text in lost.locator(".tags").all_inner_texts())
    page.select_option("[name=kind]", "startend:end_checker")
    page.select_option("[name=variant]", "background")
    chosen = shown(page)
    assert chosen and all(name.startswith("closed-background-en-rain") for name in chosen)
    assert shown(open_page(page.url)) == chosen
    page.click("[type=reset]")
    expect(page.locator("#count")).to_have_text("97 of 97 items")
    page.fill("[name=q]", "绿茶")
    expect(page.locator(".item")).to_have_count(1)
    assert page.locator(".item .prompt").get_attribute("lang") == "zh"
    page.fill("[name=q]", "nothing has these words")
    expect(page.locator(".item")).to_have_count(0)
    assert page.locator("#count").inner_text() == "No item matches. Clear a filter."


def test_keys_alone_open_an_item_and_turn_the_pages(open_page, url):
    page = open_page(url, NARROW)
    first = shown(page)
    page.locator(".item .head").nth(1).focus()
    page.keyboard.press("Enter")
    assert page.locator(".item.open").get_attribute("data-id") == first[1]
    assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"
    page.keyboard.press("Enter")
    assert page.locator(".item.open").count() == 0
    page.locator("#next").focus()
    page.keyboard.press("Enter")
    assert not set(shown(page)) & set(first) and page.locator("#page").inner_text() == "Page 2 of 5"


def test_an_item_leads_to_its_twins_and_a_type_to_its_items(open_page, url):
    page = open_page(url)
    page.select_option("[name=variant]", "standard")
    page.locator(".item .head").first.click()
    page.locator(".twins button", has_text="Background noise").click()
    assert page.locator(".item.open").get_attribute("data-id") == "closed-background-en-tea-000"
    again = open_page(page.url)
    assert again.locator(".item.open").get_attribute("data-id") == "closed-background-en-tea-000"
    page.locator("[data-kind='detectable_format:json_format']").click()
    assert page.locator("#count").inner_text() == "15 of 97 items"


def test_thousands_of_items_cost_little_to_show(open_page, tmp_path):
    data, reports = made.write(tmp_path, spoken=False)
    answers = data / "evaluate" / "responses.jsonl"
    rows = list(read_jsonl(answers))
    copies = ({**row, "item_id": f"{row['item_id']}-{copy}", "key": f"{row['key']}-{copy}"} for copy in range(100) for row in rows)
    write_jsonl(answers, copies)
    assert build(data, reports)["items"] == 3_300
    page = open_page((reports / "benchmark.html").resolve().as_uri())
    assert page.locator(".item").count() == 20  # of 3,300: the rest is not made before it is asked for
    assert page.evaluate("document.querySelectorAll('*').length") < 2_500
    page.fill("[name=q]", "lighthouse")  # in none: each text is looked through
    expect(page.locator(".item")).to_have_count(0)
