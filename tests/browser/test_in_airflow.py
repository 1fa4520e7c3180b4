"""The gallery where people meet it: in the pages of a real Airflow, with real edits."""

import re
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from playwright.sync_api import FrameLocator, Page, expect

from airflow_aluo.gallery import TABS, of_task_instance, picture
from tests.browser.real import HOSTILE, Shop, below_a_path, gallery_in, shop, ten_thousand
from tests.browser.told import Told
from tests.questions import wait_for_question

#: Airflow's own page complains of its own iframes, and asks for things that are not there.
AIRFLOWS_OWN = "allow-same-origin|Failed to load resource|DevTools|i18next|react"


@pytest.fixture(scope="module")
def photo_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with shop(tmp_path_factory.mktemp("shop")) as found:
        yield found


@pytest.fixture
def admin(photo_shop: Shop, open_page: Callable[..., Page], told: Told) -> Page:
    """A page of somebody who may do everything."""
    told.expected = AIRFLOWS_OWN
    page = open_page(viewport={"width": 1400, "height": 950})
    photo_shop.log_in(page, "admin")
    return page


def pictures_loaded(frame: FrameLocator, number: int) -> None:
    """Wait until so many pictures have come, from whichever source."""
    script = "images => images.filter(one => one.complete && one.naturalWidth > 0).length"
    deadline = time.monotonic() + 30
    while (seen := frame.locator("article img").evaluate_all(script)) < number:
        assert time.monotonic() < deadline, f"{seen} of {number} pictures"
        time.sleep(0.1)


# --- where it is shown ----------------------------------------------------------------------------


@pytest.mark.parametrize("destination", ["dag", "dag_run", "task", "task_instance", "nav"])
def test_each_page_of_airflow_has_the_tab_with_its_edits(
    photo_shop: Shop, admin: Page, destination: str
) -> None:
    run = photo_shop.run_page("aluo_photo_edit")
    dag = f"{photo_shop.url}/dags/aluo_photo_edit"
    pages = {
        "dag": dag,
        "dag_run": run,
        "task": f"{dag}/tasks/submit",
        "task_instance": f"{run}/tasks/submit",
        "nav": photo_shop.url,
    }
    admin.goto(pages[destination])
    if destination == "nav":
        admin.get_by_role("button", name="Browse").or_(admin.get_by_text("Browse", exact=True)).first.click()
        admin.get_by_role("menuitem", name="Photo edits").click()
    else:
        admin.get_by_role("link", name="Photo edits").click()
    frame = gallery_in(admin)
    cards = frame.locator("article").filter(has_text="Change the background to a beach scene")
    expect(cards.first).to_be_visible()
    pictures_loaded(frame, 2)
    assert TABS[destination] in admin.url
    if destination != "nav":
        expect(frame.locator("article")).to_have_count(1)


def test_a_mapped_task_s_edits_stand_on_the_run_s_tab(photo_shop: Shop, admin: Page) -> None:
    frame = photo_shop.run_tab(admin, "aluo_mapped_edits")
    expect(frame.locator("article")).to_have_count(5)
    pictures_loaded(frame, 10)


def test_a_batch_s_edits_stand_on_the_tab_of_its_task(photo_shop: Shop, admin: Page) -> None:
    admin.goto(f"{photo_shop.run_page('aluo_batch_edits')}/tasks/edit/plugin/{TABS['task_instance']}")
    frame = gallery_in(admin)
    expect(frame.locator("article")).to_have_count(4)


def test_the_links_of_a_task_instance_lead_to_its_edit(photo_shop: Shop, admin: Page) -> None:
    admin.goto(f"{photo_shop.run_page('aluo_photo_edit')}/tasks/submit/details")
    link = admin.get_by_role("link", name="Result", exact=True)
    link.wait_for()
    with admin.expect_navigation():
        link.click()
    expect(admin.locator("dialog[open]")).to_be_visible()
    expect(admin.locator("dialog[open] img").first).to_be_visible()


def test_below_a_path_everything_works_as_well(
    photo_shop: Shop, open_page: Callable[..., Page], told: Told
) -> None:
    told.expected = AIRFLOWS_OWN
    with below_a_path(photo_shop) as url:
        page = open_page()
        page.context.add_cookies([{"name": "_token", "value": photo_shop.token("admin"), "url": f"{url}/"}])
        run = quote(photo_shop.runs["aluo_photo_edit"], safe="")
        page.goto(f"{url}/dags/aluo_photo_edit/runs/{run}/plugin/{TABS['dag_run']}")
        frame = gallery_in(page)
        pictures_loaded(frame, 2)
        links = frame.locator("article a").evaluate_all("links => links.map(link => link.href)")
        assert links
        assert all(link.startswith(f"{url}/") for link in links), links


# --- what can be done with it -----------------------------------------------------------------------


def test_the_slider_is_dragged_within_airflow(photo_shop: Shop, admin: Page) -> None:
    frame = photo_shop.run_tab(admin, "aluo_photo_edit")
    pictures_loaded(frame, 2)
    slider = frame.get_by_role("slider").first
    before = slider.evaluate("one => Number(one.value ?? one.ariaValueNow)")
    box = slider.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    admin.mouse.move(box["x"] + box["width"] / 2, middle)
    admin.mouse.down()
    admin.mouse.move(box["x"] + box["width"] * 0.8, middle, steps=5)
    admin.mouse.up()
    after = slider.evaluate("one => Number(one.value ?? one.ariaValueNow)")
    assert after - before > 15
    slider.press("Home")
    assert slider.evaluate("one => Number(one.value ?? one.ariaValueNow)") == 0


def test_filters_leave_what_was_asked_for(photo_shop: Shop, admin: Page) -> None:
    frame = photo_shop.run_tab(admin, "aluo_mapped_edits")
    expect(frame.locator("article")).to_have_count(5)
    frame.get_by_role("searchbox").fill("BLUE")
    expect(frame.locator("article")).to_have_count(1)
    frame.get_by_role("searchbox").fill("")
    frame.locator("#filters").get_by_text("Failed").click()
    expect(frame.locator("article")).to_have_count(0)
    expect(frame.locator("#message")).to_be_visible()


def test_a_picture_opens_large_and_downloads_as_it_landed(
    photo_shop: Shop, admin: Page, tmp_path: Path
) -> None:
    frame = photo_shop.run_tab(admin, "aluo_photo_edit")
    frame.locator("article").get_by_role(
        "button", name=re.compile("large|open|enlarge", re.IGNORECASE)
    ).first.click()
    dialog = frame.locator("dialog[open]")
    expect(dialog.locator("img").first).to_be_visible()
    with admin.expect_download() as coming:
        dialog.get_by_role("link", name=re.compile("download", re.IGNORECASE)).click()
    coming.value.save_as(tmp_path / "picture.png")
    landed = photo_shop.airflow.xcom("aluo_photo_edit", photo_shop.runs["aluo_photo_edit"], "download")
    assert (tmp_path / "picture.png").read_bytes() == Path(landed["files"][0]["path"]).read_bytes()


def test_a_whole_run_downloads_as_a_zip(photo_shop: Shop, admin: Page, tmp_path: Path) -> None:
    frame = photo_shop.run_tab(admin, "aluo_mapped_edits")
    with admin.expect_download() as coming:
        frame.locator("#zip").click()
    coming.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert archive.testzip() is None
        assert sum(name.endswith((".png", ".jpg", ".webp")) for name in archive.namelist()) == 5


def test_it_is_dark_where_airflow_is(photo_shop: Shop, admin: Page) -> None:
    admin.evaluate("localStorage.setItem('theme', 'dark')")
    frame = photo_shop.run_tab(admin, "aluo_photo_edit")
    colour = frame.locator("body").evaluate("one => getComputedStyle(one).backgroundColor")
    levels = [int(level) for level in re.findall(r"\d+", colour)[:3]]
    assert max(levels) < 60, colour


def test_on_a_phone_nothing_is_wider_than_the_screen(
    photo_shop: Shop, open_page: Callable[..., Page], told: Told
) -> None:
    told.expected = AIRFLOWS_OWN
    page = open_page(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    photo_shop.log_in(page, "admin")
    page.goto(f"{photo_shop.url}/{run_address(photo_shop, 'aluo_mapped_edits', 'edit', 0)}")
    page.locator("article").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def run_address(photo_shop: Shop, dag_id: str, task_id: str, map_index: int) -> str:
    return of_task_instance(dag_id, photo_shop.runs[dag_id], task_id, map_index)


def test_nothing_keeps_people_out(
    photo_shop: Shop, open_page: Callable[..., Page], told: Told, axe: Callable[[Page], list[str]]
) -> None:
    told.expected = AIRFLOWS_OWN
    page = open_page()
    photo_shop.log_in(page, "admin")
    page.goto(f"{photo_shop.url}/aluo/dags/aluo_mapped_edits")
    page.locator("article").first.wait_for()
    assert axe(page) == []


# --- what strangers write, and who may look ---------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_a_prompt_is_text_whatever_it_says(photo_shop: Shop, admin: Page, name: str) -> None:
    frame = photo_shop.run_tab(admin, "aluo_edit_form", name)
    asked = photo_shop.airflow.xcom("aluo_edit_form", photo_shop.runs[name], "download")["request"]["prompt"]
    shown = frame.locator("article").first.evaluate("one => one.textContent")
    assert " ".join(asked.split())[:200] in " ".join(shown.split())
    assert admin.title() != "owned"
    assert frame.locator("article script, article img[src='x']").count() == 0


def test_nobody_sees_anything_without_a_login(photo_shop: Shop) -> None:
    run_id = photo_shop.runs["aluo_photo_edit"]
    run = f"dags/aluo_photo_edit/runs/{quote(run_id, safe='')}"
    addresses = [
        "aluo/",
        "aluo/static/gallery.js",
        "aluo/api/edits",
        f"aluo/{run}",
        f"aluo/api/{run}/edits",
        f"aluo/api/{run}/pictures.zip",
        picture("aluo_photo_edit", run_id, "download", -1, 0, "after", 0),
    ]
    for address in addresses:
        assert requests.get(f"{photo_shop.url}/{address}", timeout=30).status_code == 401, address


def test_one_dag_s_reader_sees_nothing_of_another(photo_shop: Shop) -> None:
    run_id = photo_shop.runs["secret"]
    headers = {"Authorization": f"Bearer {photo_shop.token('stranger')}"}

    def ask(address: str) -> requests.Response:
        return requests.get(f"{photo_shop.url}/{address}", headers=headers, timeout=30)

    for address in (
        "aluo/dags/secret",
        "aluo/api/dags/secret/edits",
        f"aluo/api/dags/secret/runs/{quote(run_id, safe='')}/edits",
        picture("secret", run_id, "download", -1, 0, "after", 0),
    ):
        assert ask(address).status_code == 403, address
    seen = {card["dag_id"] for card in ask("aluo/api/edits?limit=100").json()["cards"]}
    assert "aluo_photo_edit" in seen
    assert "secret" not in seen


def test_ten_thousand_edits_are_pages_of_cards(photo_shop: Shop, admin: Page, told: Told) -> None:
    run_id = ten_thousand(photo_shop)
    told.expected = f"{AIRFLOWS_OWN}|404"
    admin.goto(f"{photo_shop.url}/aluo/dags/many/runs/{run_id}")
    admin.locator("article").first.wait_for()
    expect(admin.locator("#totals")).to_contain_text("10,000")
    assert admin.locator("article").count() <= 100
    admin.get_by_role("searchbox").fill("make it blue")
    expect(admin.locator("article").first).to_be_visible()


# --- approval ---------------------------------------------------------------------------------------


def question(photo_shop: Shop, task_id: str) -> None:
    """Wait until a task waits for a person."""
    wait_for_question(photo_shop.airflow, "aluo_review", photo_shop.runs["aluo_review"], task_id)


def test_who_may_only_look_is_told_so(photo_shop: Shop, open_page: Callable[..., Page], told: Told) -> None:
    told.expected = AIRFLOWS_OWN
    question(photo_shop, "review_1")
    page = open_page()
    photo_shop.log_in(page, "viewer")
    frame = photo_shop.run_tab(page, "aluo_review")
    frame.get_by_role("button", name="Reject all").click()
    frame.get_by_role("button", name="Yes, reject all").click()
    expect(frame.get_by_text(re.compile("may not", re.IGNORECASE)).first).to_be_visible()
    question(photo_shop, "review_1")


def test_a_person_approves_one_and_has_the_other_redone(photo_shop: Shop, admin: Page) -> None:
    question(photo_shop, "review_1")
    frame = photo_shop.run_tab(admin, "aluo_review")
    pictures_loaded(frame, 4)
    frame.get_by_role("checkbox").first.check()
    frame.get_by_role("button", name="Redo the others").click()
    frame.get_by_label("Prompt for the new edits").fill("Change it to green")
    frame.get_by_role("button", name="Redo 1 edit").click()
    question(photo_shop, "review_2")
    frame = photo_shop.run_tab(admin, "aluo_review")
    expect(frame.locator("article").filter(has_text="Change it to green")).to_have_count(1)
    frame.get_by_role("button", name="Approve", exact=True).click()  # one edit is left to judge
    run_id = photo_shop.runs["aluo_review"]
    assert photo_shop.airflow.wait_for_run("aluo_review", run_id, timeout=300) == "success"
    published: Any = photo_shop.airflow.xcom("aluo_review", run_id, "publish")
    assert published["pictures"] == 2
    approved = photo_shop.airflow.xcom("aluo_review", run_id, "review_1")
    assert [edit["review"]["by"] for edit in approved] == ["admin"]
