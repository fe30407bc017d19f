"""What several files of these tests need: a workspace full of tables for the gates, and a browser for the pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import ARGS, CHROMIUM, WIDE
from gate_tables import fill, small_params

from inserter.params import Params


@pytest.fixture
def params() -> Params:
    return small_params()


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    fill(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def browser() -> Iterator:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: it is in the extra `dev`")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser) -> Iterator:
    """open_page(url, size, scheme, ready) -> page, when `ready` is on it.

    In the end: no console message, no error, no request to elsewhere.
    """
    contexts, trouble = [], []

    def opened(url: str, size: tuple[int, int] = WIDE, scheme: str = "light", ready: str = ".item"):
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: trouble.append(f"console {message.type}: {message.text}"))
        page.on("pageerror", lambda error: trouble.append(f"error: {error}"))
        # a player that has what it needs drops the rest of the file: ERR_ABORTED
        page.on("requestfailed", lambda r: r.failure == "net::ERR_ABORTED" or trouble.append(f"{r.failure}: {r.url}"))
        page.on("dialog", lambda dialog: (trouble.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        outside = ("file:", "data:", "http://127.0.0.1:")
        page.on("request", lambda request: request.url.startswith(outside) or trouble.append(f"request: {request.url}"))
        page.goto(url)
        page.wait_for_selector(ready)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert trouble == []
