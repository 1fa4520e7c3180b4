"""Pictures of the gallery for the README, taken in a real Airflow: `make screenshots`."""

import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

from airflow_aluo.gallery import TABS
from tests.browser.chromium import launched
from tests.browser.real import CHECKOUT, Shop, gallery_in, shop

DOCS = CHECKOUT / "docs"
WIDE: ViewportSize = {"width": 1360, "height": 860}
#: The quality of the JPEGs, which lie in the repository.
QUALITY = 82


def take(page: Page, name: str) -> None:
    """Take a picture, once everything that moves has come to rest."""
    page.wait_for_load_state("networkidle")
    time.sleep(1)
    path = DOCS / f"{name}.jpg"
    page.screenshot(path=path, type="jpeg", quality=QUALITY)
    print(path.relative_to(CHECKOUT))


def pictures_of(page: Page, found: Shop) -> None:
    found.log_in(page, "admin")
    found.run_tab(page, "aluo_mapped_edits")
    take(page, "gallery")
    page.evaluate("localStorage.setItem('theme', 'dark')")
    page.goto(f"{found.run_page('aluo_review')}/plugin/{TABS['dag_run']}")
    gallery_in(page).get_by_role("button", name="Approve chosen").wait_for()
    take(page, "approval-dark")


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as home,
        shop(Path(home), hostile=False) as found,
        sync_playwright() as playwright,
        launched(playwright) as browser,
    ):
        context = browser.new_context(viewport=WIDE, locale="en-GB")
        context.set_default_timeout(60_000)
        pictures_of(context.new_page(), found)


if __name__ == "__main__":
    main()
