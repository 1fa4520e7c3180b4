"""The system's Chromium: found, or installed where that can be done."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from playwright.sync_api import Browser, Playwright

from tests.servers.debian import install

_NAMES = ("chromium", "google-chrome", "chromium-browser")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@cache
def executable() -> str | None:
    """Return the browser's path; on a Debian, root gets one installed."""
    return _find() or (install("chromium") and _find()) or None


@contextmanager
def launched(playwright: Playwright) -> Iterator[Browser]:
    """Start the browser; it ends with the block."""
    browser = playwright.chromium.launch(executable_path=executable(), args=_FLAGS)
    try:
        yield browser
    finally:
        browser.close()


def _find() -> str | None:
    return next((path for path in map(shutil.which, _NAMES) if path), None)
