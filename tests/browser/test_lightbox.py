"""An edit, large: how to get there, on and back."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.pretended import Gallery

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


def _swipe(page: Page, start: tuple[float, float], by: float) -> None:
    wire = page.context.new_cdp_session(page)
    x, y = start
    for kind, far in (("touchStart", 0.0), ("touchMove", by / 2), ("touchMove", by), ("touchEnd", None)):
        points = [] if far is None else [{"x": x + far, "y": y}]
        wire.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


@pytest.fixture
def large(page: Page, gallery: Gallery, run_address: str) -> Page:
    for number in range(3):
        gallery.card(number)
    page.goto(run_address)
    page.get_by_role("button", name="Show large: Put product 1 on white").click()
    return page


def test_it_shows_the_pictures_large_with_all_that_is_known(large: Page, gallery: Gallery) -> None:
    dialog = large.get_by_role("dialog", name="Picture: Put product 1 on white")
    picture = "/af/aluo/api/dags/shop/runs/run-1/tasks/edit/1/pictures/0/after/0"
    expect(dialog.get_by_role("img", name="After: Put product 1 on white")).to_have_attribute(
        "src", f"{gallery.address}{picture}?size=large"
    )
    for words in ("2 of 3", "Succeeded", "Put product 1 on white", "1600 × 1200", "40 credits"):  # noqa: RUF001 - the sign of multiplication is meant
        expect(dialog).to_contain_text(words)
    expect(dialog.get_by_role("link", name="Download")).to_have_attribute("href", f"{picture}?size=original")


def test_arrow_keys_and_buttons_go_on_to_the_ends(large: Page) -> None:
    dialog = large.get_by_role("dialog")
    large.keyboard.press("ArrowRight")
    expect(dialog).to_contain_text("3 of 3")
    expect(dialog.get_by_role("button", name="Next edit")).to_be_disabled()
    large.keyboard.press("ArrowRight")
    large.keyboard.press("ArrowLeft")
    expect(dialog).to_contain_text("2 of 3")
    dialog.get_by_role("button", name="Previous edit").click()
    expect(dialog).to_contain_text("Put product 0 on white")


def test_escape_closes_and_the_focus_returns_to_the_edit_that_was_shown(large: Page) -> None:
    large.keyboard.press("ArrowRight")
    expect(large.get_by_role("dialog")).to_contain_text("3 of 3")
    large.keyboard.press("Escape")
    expect(large.get_by_role("dialog")).to_be_hidden()
    expect(large.get_by_role("button", name="Show large: Put product 2 on white")).to_be_focused()


def test_the_focus_stays_inside(large: Page) -> None:
    for _ in range(12):
        large.keyboard.press("Tab")
        assert large.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )


def test_arrow_keys_move_the_divider_while_it_has_the_focus(large: Page) -> None:
    dialog = large.get_by_role("dialog")
    dialog.get_by_role("slider").focus()
    large.keyboard.press("ArrowRight")
    expect(dialog.get_by_role("slider")).to_have_value("54")
    expect(dialog).to_contain_text("2 of 3")


def test_arrow_keys_go_on_after_the_divider_was_dragged(large: Page) -> None:
    dialog = large.get_by_role("dialog")
    box = dialog.locator(".stage").bounding_box()
    assert box is not None
    large.mouse.move(box["x"] + box["width"] / 2, box["y"] + 50)
    large.mouse.down()
    large.mouse.move(box["x"] + box["width"] / 4, box["y"] + 50, steps=3)
    large.mouse.up()
    assert float(dialog.get_by_role("slider").input_value()) == pytest.approx(25, abs=1.5)
    expect(dialog.get_by_role("slider")).not_to_be_focused()
    large.keyboard.press("ArrowRight")
    expect(dialog).to_contain_text("3 of 3")


def test_a_swipe_goes_on_and_a_drag_of_the_handle_does_not(
    open_page: Callable[..., Page], gallery: Gallery, run_address: str
) -> None:
    page = open_page(**PHONE)
    for number in range(2):
        gallery.card(number)
    page.goto(run_address)
    page.get_by_role("button", name="Show large: Put product 0 on white").tap()
    dialog = page.get_by_role("dialog")
    box = dialog.locator(".stage").bounding_box()
    assert box is not None
    height = box["y"] + 60
    _swipe(page, (box["x"] + box["width"] / 2, height), -120)
    expect(dialog).to_contain_text("1 of 2")
    assert float(dialog.get_by_role("slider").input_value()) < 30
    _swipe(page, (box["x"] + box["width"] - 20, height), -150)
    expect(dialog).to_contain_text("2 of 2")
    _swipe(page, (box["x"] + 30, height), 150)
    expect(dialog).to_contain_text("1 of 2")


def test_it_turns_the_page_behind_it(page: Page, gallery: Gallery, run_address: str) -> None:
    for number in range(25):
        gallery.card(number)
    page.goto(run_address)
    page.get_by_role("button", name="Show large: Put product 23 on white").click()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("dialog")).to_contain_text("25 of 25")
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("dialog")).to_contain_text("24 of 25")


def test_an_update_leaves_it_open_and_the_divider_where_it_was(
    page: Page, gallery: Gallery, run_address: str
) -> None:
    card = gallery.card()
    gallery.live = True
    page.goto(run_address)
    page.get_by_role("button", name="Show large").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("slider").focus()
    page.keyboard.press("Home")
    card["credits"] = 41
    gallery.cards.insert(0, gallery.card(1))
    gallery.cards.pop()
    expect(dialog).to_contain_text("41 credits")
    expect(dialog).to_contain_text("2 of 2")
    expect(dialog.get_by_role("slider")).to_have_value("0")
    expect(dialog.get_by_role("slider")).to_be_focused()


def test_an_address_may_ask_for_the_first_picture(page: Page, gallery: Gallery, run_address: str) -> None:
    card = gallery.card(0, state="running")
    gallery.live = True
    page.goto(f"{run_address}?open=first")
    expect(page.get_by_role("article")).to_have_count(1)
    expect(page.get_by_role("dialog")).to_be_hidden()
    done = gallery.card(0)
    gallery.cards.pop()
    card |= done
    expect(page.get_by_role("dialog")).to_contain_text("Put product 0 on white")
    page.keyboard.press("Escape")
    card["credits"] = 41
    expect(page.get_by_role("article")).to_contain_text("41 credits")
    expect(page.get_by_role("dialog")).to_be_hidden()
