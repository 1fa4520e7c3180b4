"""The page as a whole: where it stands, filters, pages, empty states, and how it stays true."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from airflow_aluo.gallery import TABS
from tests.browser.pretended import Gallery
from tests.browser.told import Told, serious

#: What Chromium thinks of the sandbox in which Airflow puts its plugins.
SANDBOXED = "both allow-scripts and allow-same-origin"
#: How light the page's ground is, 0 to 255: its colour, painted and read back.
SHADE = """() => {
    const pen = document.createElement("canvas").getContext("2d");
    pen.fillStyle = getComputedStyle(document.documentElement).backgroundColor;
    pen.fillRect(0, 0, 1, 1);
    return pen.getImageData(0, 0, 1, 1).data[0];
}"""
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 320, "height": 640}}


def _everything(gallery: Gallery) -> None:
    gallery.review(["Approve", "Redo", "Reject"], multiple=False)
    gallery.review(["1: mug", "2: lamp", "Redo the others", "Reject all"], multiple=True)
    gallery.live, gallery.progress = True, "3 of 7 done, 1 running, about 40 s left"
    gallery.card(0, waiting_review=0)
    gallery.card(1, waiting_review=1, option="1: mug", prompt="a long prompt " * 40)
    gallery.card(2, waiting_review=1, option="2: lamp")
    gallery.card(3, state="running")
    gallery.card(4, state="failed", error={"type": "AluoEditFailed", "message": "no credits were taken"})
    gallery.card(5, state="unknown", after=[], before=[], task_id="other")
    pictures = gallery.card(
        6, review={"decision": "redo", "by": "vera", "at": "2026-11-29T17:00:00+00:00", "prompt": None}
    )
    pictures["after"] *= 3
    gallery.runs = [
        {"run_id": f"run-{day}", "dag_id": "shop", "at": f"2026-11-{day}T00:00:00+00:00",
         "edits": 9, "succeeded": 8, "failed": 1, "credits": 320 + day, "mean_seconds": 15.0 + day % 4}
        for day in range(10, 20)
    ]  # fmt: skip


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_page_keeps_nobody_out_and_fits(
    open_page: Callable[..., Page], gallery: Gallery, axe: Callable[[Page], list[str]], theme: str, size: str
) -> None:
    _everything(gallery)
    page = open_page(viewport=SIZES[size], color_scheme=theme)
    page.goto(f"{gallery.address}/af/aluo/dags/shop")
    expect(page.get_by_role("article")).to_have_count(7)
    page.get_by_role("button", name="Redo", exact=True).click()
    page.get_by_role("button", name="Redo the others").click()
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Show large: Put product 0 on white").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert axe(page) == []


def test_the_dark_page_is_dark(open_page: Callable[..., Page], run_address: str) -> None:
    shades = []
    for theme in ("light", "dark"):
        page = open_page(color_scheme=theme)
        page.goto(run_address)
        shades.append(page.evaluate(SHADE))
    assert shades[0] > 250
    assert shades[1] < 60


@pytest.mark.parametrize(
    ("path", "asked", "query"),
    [
        ("", "api/edits", {}),
        ("dags/a%2Fb%20c", "api/dags/a/b c/edits", {}),
        ("dags/shop/runs/a__17:00:00%2B00:00", "api/dags/shop/runs/a__17:00:00+00:00/edits", {}),
        ("dags/shop/tasks/group.edit", "api/dags/shop/edits", {"task_id": "group.edit"}),
        ("dags/s/runs/r/tasks/e/3", "api/dags/s/runs/r/edits", {"task_id": "e", "map_index": "3"}),
        ("dags/s/runs/r/tasks/e/%7BMAP_INDEX%7D", "api/dags/s/runs/r/edits",
         {"task_id": "e", "map_index": "-1"}),
        ("dags/runs/runs/tasks/tasks/runs/0", "api/dags/runs/runs/tasks/edits",
         {"task_id": "runs", "map_index": "0"}),
    ],
)  # fmt: skip
def test_the_address_says_what_is_shown(
    page: Page, gallery: Gallery, path: str, asked: str, query: dict[str, str]
) -> None:
    page.goto(f"{gallery.address}/af/aluo/{path}")
    expect(page.locator("#message")).to_contain_text("No photo edits yet")
    assert gallery.asked[0] == (asked, {"offset": "0", "limit": "24", **query})


def test_filters_narrow_the_edits_and_survive_a_reload(
    page: Page, gallery: Gallery, run_address: str
) -> None:
    for number in range(3):
        gallery.card(number)
    gallery.card(3, state="failed")
    gallery.card(4, prompt="Make it blue & gold", task_id="paint")
    page.goto(run_address)
    expect(page.get_by_role("button", name="Failed 1")).to_have_attribute("aria-pressed", "false")
    page.get_by_role("button", name="Succeeded 4").click()
    expect(page.get_by_role("article")).to_have_count(4)
    page.get_by_role("searchbox").fill("BLUE & g")
    page.get_by_label("Task", exact=True).select_option("paint")
    expect(page).to_have_url(f"{run_address}#state=succeeded&task=paint&text=BLUE+%26+g")
    expect(page.get_by_role("article")).to_contain_text("Make it blue & gold")
    page.reload()
    expect(page.get_by_role("searchbox")).to_have_value("BLUE & g")
    expect(page.get_by_label("Task", exact=True)).to_have_value("paint")
    expect(page.get_by_role("article")).to_have_count(1)
    zipped = page.get_by_role("link", name="Download all (zip)").get_attribute("href")
    assert (
        zipped
        == "/af/aluo/api/dags/shop/runs/run-1/pictures.zip?task_id=paint&state=succeeded&text=BLUE+%26+g"
    )


def test_a_search_asks_once_for_what_was_typed(page: Page, gallery: Gallery, run_address: str) -> None:
    gallery.card()
    # The page's clock goes only where it is told to: a key that comes late on a busy machine is no pause.
    page.clock.install(time=0)
    page.clock.pause_at(3_600)
    page.goto(run_address)
    for key in "nothing like it":
        page.get_by_role("searchbox").press_sequentially(key)
        page.clock.run_for(200)
    page.clock.run_for(200)
    expect(page.locator("#message")).to_contain_text("No edit matches")
    assert [query.get("text") for _, query in gallery.asked] == [None, "nothing like it"]
    page.get_by_role("button", name="Show all edits").click()
    expect(page.get_by_role("article")).to_have_count(1)
    expect(page.get_by_role("searchbox")).to_have_value("")


def test_ten_thousand_edits_stay_pages_of_few(page: Page, gallery: Gallery, run_address: str) -> None:
    for number in range(10_000):
        gallery.card(number)
    page.goto(run_address)
    expect(page.get_by_role("article")).to_have_count(24)
    expect(page.locator(".where")).to_have_text("Page 1 of 417")
    page.get_by_role("button", name="Next", exact=True).click()
    expect(page.locator(".card").first).to_contain_text("Put product 24 on white")
    page.get_by_role("button", name="Last", exact=True).click()
    expect(page.get_by_role("article")).to_have_count(16)
    page.reload()
    expect(page.locator(".where")).to_have_text("Page 417 of 417")
    expect(page.get_by_role("button", name="Next", exact=True)).to_be_disabled()


def test_a_page_that_is_no_longer_there_gives_the_last(
    page: Page, gallery: Gallery, run_address: str
) -> None:
    gallery.card()
    page.goto(f"{run_address}#page=9")
    expect(page.get_by_role("article")).to_have_count(1)
    expect(page).to_have_url(run_address)


REFUSALS = {401: "Log in to Airflow", 403: "the right to read", 404: "no such DAG or run", 500: "error (500)"}


@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_says_what_to_do(
    page: Page, gallery: Gallery, run_address: str, told: Told, status: int
) -> None:
    told.expected = str(status)
    gallery.status = status
    page.goto(run_address)
    expect(page.locator("#message")).to_contain_text(REFUSALS[status])
    assert serious(page) == []
    expect(page.get_by_role("article")).to_have_count(0)


def test_an_outage_leaves_what_is_shown_and_ends_by_itself(
    page: Page, gallery: Gallery, run_address: str, told: Told
) -> None:
    told.expected = "503"
    gallery.card()
    gallery.live = True
    page.goto(run_address)
    expect(page.get_by_role("article")).to_have_count(1)
    gallery.status = 503
    expect(page.locator("#banner")).to_have_text("Cannot reach Airflow, trying again …")
    expect(page.get_by_role("article")).to_have_count(1)
    gallery.status = 200
    expect(page.locator("#banner")).to_be_hidden()


def test_an_update_changes_only_what_is_new(page: Page, gallery: Gallery, run_address: str) -> None:
    card = gallery.card(1)
    running = gallery.card(2, state="running")
    gallery.live, gallery.progress = True, "1 of 2 done"
    page.goto(run_address)
    slider = page.get_by_role("slider")
    slider.focus()
    page.keyboard.press("End")
    page.locator("img.after").evaluate("image => { image.mark = 'the same' }")
    running |= {"state": "succeeded", "after": card["after"], "seconds": 12.0}
    gallery.cards.insert(0, gallery.card(0))
    gallery.cards.pop()
    gallery.progress = "3 of 3 done"
    expect(page.get_by_role("article")).to_have_count(3)
    expect(page.locator("#progress")).to_have_text("3 of 3 done")
    expect(page.get_by_role("slider").nth(1)).to_be_focused()
    expect(page.get_by_role("slider").nth(1)).to_have_value("100")
    expect(page.get_by_role("slider")).to_have_count(3)
    assert page.locator("img.after").nth(1).evaluate("image => image.mark") == "the same"
    assert [words[-8:] for words in page.locator(".card .words").all_inner_texts()] == ["on white"] * 3


def test_progress_is_told_but_not_each_time(page: Page, gallery: Gallery, run_address: str) -> None:
    gallery.card(state="running")
    gallery.live, gallery.progress = True, "0 of 1 done"
    page.goto(run_address)
    expect(page.locator("#told")).to_have_text("0 of 1 done")
    gallery.progress = "0 of 1 done, about 3 s left"
    expect(page.locator("#progress")).to_have_text("0 of 1 done, about 3 s left")
    expect(page.locator("#told")).to_have_text("0 of 1 done")


def test_the_runs_are_drawn_and_written(page: Page, gallery: Gallery) -> None:
    _everything(gallery)
    page.goto(f"{gallery.address}/af/aluo/dags/shop")
    runs = page.locator("#chart svg a")
    expect(runs).to_have_count(10)
    expect(runs.first).to_have_attribute("href", "/af/aluo/dags/shop/runs/run-10")
    runs.nth(3).focus()
    expect(page.locator(".note")).to_contain_text("run-13")
    expect(page.locator("#chart tbody tr").nth(3)).to_contain_text("333")
    runs.nth(3).press("Enter")
    expect(page).to_have_url(f"{gallery.address}/af/aluo/dags/shop/runs/run-13")
    expect(page.locator("#chart")).to_be_hidden()


def test_in_a_tab_links_turn_airflows_page_and_the_theme_is_airflows(
    page: Page, gallery: Gallery, told: Told
) -> None:
    told.expected = SANDBOXED
    gallery.card(4)
    page.goto(f"{gallery.address}/af/frame")
    inside = page.frame_locator("iframe")
    html = inside.locator("html")
    expect(html).to_have_attribute("data-theme", "dark")
    page.evaluate("document.documentElement.className = 'light'")
    expect(html).to_have_attribute("data-theme", "light")
    page.evaluate("addEventListener('popstate', () => { window.turned = location.pathname })")
    inside.get_by_role("searchbox").fill("product")
    expect(page).to_have_url(f"{gallery.address}/af/frame#text=product")
    inside.get_by_role("link", name="Log of edit").click()
    page.wait_for_function("window.turned")
    assert page.evaluate("window.turned") == "/af/dags/shop/runs/run-1/tasks/edit/mapped/4"
    expect(inside.get_by_role("article")).to_have_count(1)


def test_in_a_tab_a_reload_keeps_the_filters(page: Page, gallery: Gallery, told: Told) -> None:
    told.expected = SANDBOXED
    gallery.card()
    page.goto(f"{gallery.address}/af/frame#text=product&state=succeeded")
    inside = page.frame_locator("iframe")
    expect(inside.get_by_role("searchbox")).to_have_value("product")
    expect(inside.get_by_role("button", name="Succeeded 1")).to_have_attribute("aria-pressed", "true")


def test_what_is_left_out_is_told(page: Page, gallery: Gallery, run_address: str) -> None:
    gallery.card()
    gallery.truncated = True
    page.goto(run_address)
    expect(page.locator(".older")).to_contain_text("Older runs are left out")
    gallery.truncated, gallery.cut, gallery.unreadable = False, 10_000, 3
    page.reload()
    expect(page.locator(".older").first).to_contain_text("Only 10,000 task instances of this run are shown")
    expect(page.locator(".older").last).to_contain_text("3 edits more cannot be shown")
    expect(page.locator(".older").last).not_to_contain_text("results file")


def test_edits_that_cannot_be_read_are_not_said_to_be_none(
    page: Page, gallery: Gallery, run_address: str
) -> None:
    gallery.unreadable = 250
    page.goto(run_address)
    expect(page.locator("#message")).to_contain_text("250 photo edits cannot be shown")
    for cause_or_cure in ("results file", "XCom backend", "not read their records yet", "results_path"):
        expect(page.locator("#message")).to_contain_text(cause_or_cure)
    expect(page.locator("#message")).not_to_contain_text("No photo edits yet")


def test_in_a_tab_the_run_is_airflows_tab_of_it(page: Page, gallery: Gallery, told: Told) -> None:
    told.expected = SANDBOXED
    gallery.card()
    page.goto(f"{gallery.address}/af/frame?src=/af/aluo/dags/shop/runs/run-1/tasks/edit/0")
    link = page.frame_locator("iframe").get_by_role("link", name="all of this run")
    expect(link).to_have_attribute("href", f"/af/dags/shop/runs/run-1/plugin/{TABS['dag_run']}")
