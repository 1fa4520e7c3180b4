"""A browser, and what its tests share."""

import os
import re
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.chromium import executable, launched
from tests.browser.pretended import BASE, Gallery, Handler
from tests.browser.told import Told, serious

#: Milliseconds. A live page asks anew every 3 seconds, after errors later still, and each answer may take its
#: time where the machine is busy.
PATIENCE = 30_000
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Return a browser.

    Of a module, not of the session: as long as Playwright runs, an event loop runs in this thread, and no
    asynchronous test of another module could.
    """
    if executable() is None:
        reason = "NO BROWSER, SO THE GALLERY'S PAGE IS NOT TESTED: put chromium or google-chrome on PATH"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    with sync_playwright() as playwright, launched(playwright) as browser:
        yield browser


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def open_page(chromium: Browser, told: Told) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a page; it takes a context's settings. Complaints fail the test."""
    contexts: list[BrowserContext] = []

    def opened(**settings: Any) -> Page:
        defaults = {"viewport": {"width": 1280, "height": 900}, "locale": "en-GB", "reduced_motion": "reduce"}
        context = chromium.new_context(**(defaults | settings))
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("pageerror", lambda error: told.complaints.append(str(error)))
        page.on("console", told.hear)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [said for said in told.complaints if not re.search(told.expected, said)] == []


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    return open_page()


@pytest.fixture
def gallery() -> Iterator[Gallery]:
    made = Gallery()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("_Of", (Handler,), {"gallery": made}))
    server.daemon_threads = True
    made.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def run_address(gallery: Gallery) -> str:
    return f"{gallery.address}{BASE}dags/shop/runs/run-1"


@pytest.fixture
def axe() -> Callable[[Page], list[str]]:
    return serious
