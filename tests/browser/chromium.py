"""The system's Chromium: found, or installed where that can be done."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from playwright.sync_api import Browser, Playwright

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
    return _find() or (_installed() and _find()) or None


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


def _installed() -> bool:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in ("update -qq", "install -y -qq --no-install-recommends chromium"):
        subprocess.run(
            ["apt-get", *command.split()],
            check=False,
            capture_output=True,
            timeout=300,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
    return True
