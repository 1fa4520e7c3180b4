"""What a card shows of an edit, and how its pictures are compared."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.pretended import Gallery
from tests.browser.told import Told

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


def _middle(page: Page) -> tuple[float, float, float]:
    """Return a stage's left edge, width and middle height."""
    box = page.locator(".stage").first.bounding_box()
    assert box is not None
    return box["x"], box["width"], box["y"] + box["height"] / 2


def _at(page: Page) -> float:
    return float(page.get_by_role("slider").first.input_value())


def test_a_card_says_all_that_is_known_of_an_edit(page: Page, gallery: Gallery, run_address: str) -> None:
    gallery.card(7, attempt=2, credits_estimated=True)
    page.goto(run_address)
    card = page.get_by_role("article")
    for words in ("edit", "photo 7", "Succeeded", "Put product 7 on white", "1600 × 1200", "312 KB", "PNG"):  # noqa: RUF001 - the sign of multiplication is meant
        expect(card).to_contain_text(words)
    expect(card).to_contain_text("~40 credits")
    expect(card).to_contain_text("18 s")
    expect(card).to_contain_text("attempt 2")
    instance = "/af/dags/shop/runs/run-1/tasks/edit/mapped/7"
    expect(card.get_by_role("link", name="Log of edit")).to_have_attribute("href", instance)
    expect(card.get_by_role("link", name="Task instance edit")).to_have_attribute(
        "href", f"{instance}/details"
    )
    download = card.get_by_role("link", name="Download")
    expect(download).to_have_attribute(
        "href", "/af/aluo/api/dags/shop/runs/run-1/tasks/edit/7/pictures/0/after/0?size=original"
    )


def test_a_first_attempt_is_not_counted(page: Page, gallery: Gallery, run_address: str) -> None:
    gallery.card(credits=1)
    page.goto(run_address)
    expect(page.get_by_role("article")).to_contain_text("1 credit")
    expect(page.get_by_role("article")).not_to_contain_text("attempt")


def test_a_running_edit_shows_its_before_and_counts_on(
    page: Page, gallery: Gallery, run_address: str
) -> None:
    gallery.card(state="running", submitted_at="2026-11-29T17:00:00+00:00")
    gallery.live = True
    page.goto(run_address)
    card = page.get_by_role("article")
    expect(card.get_by_role("img", name="Before: Put product 0 on white")).to_be_visible()
    expect(card.locator(".elapsed")).to_have_text("running, 0:12 of about 0:20")
    height = card.bounding_box()
    expect(card.locator(".elapsed")).to_have_text("running, 0:13 of about 0:20")
    assert card.bounding_box() == height


def test_a_failed_edit_says_why(page: Page, gallery: Gallery, run_address: str) -> None:
    gallery.card(state="failed", error={"type": "AluoEditFailed", "message": "the picture is <b>broken</b>"})
    page.goto(run_address)
    expect(page.locator(".error")).to_contain_text("AluoEditFailed")
    expect(page.locator(".error")).to_contain_text("the picture is <b>broken</b>")


def test_a_review_says_who_decided(page: Page, gallery: Gallery, run_address: str) -> None:
    gallery.card(
        review={"decision": "approved", "by": "vera", "at": "2026-11-29T17:00:00+00:00", "prompt": None}
    )
    page.goto(run_address)
    expect(page.get_by_role("article")).to_contain_text("approved by vera")


def test_the_divider_follows_the_mouse(page: Page, gallery: Gallery, run_address: str) -> None:
    gallery.card()
    page.goto(run_address)
    expect(page.get_by_role("slider")).to_have_value("50")
    left, width, height = _middle(page)
    page.mouse.move(left + width * 0.5, height)
    page.mouse.down()
    page.mouse.move(left + width * 0.2, height, steps=4)
    page.mouse.up()
    assert _at(page) == pytest.approx(20, abs=1.5)
    place = page.locator(".divider").bounding_box()
    assert place is not None
    assert place["x"] + 1 == pytest.approx(left + width * 0.2, abs=4)


def test_the_divider_follows_a_finger(
    open_page: Callable[..., Page], gallery: Gallery, run_address: str
) -> None:
    page = open_page(**PHONE)
    gallery.card()
    page.goto(run_address)
    expect(page.get_by_role("slider")).to_have_value("50")
    left, width, height = _middle(page)
    wire = page.context.new_cdp_session(page)
    for kind, share in (("touchStart", 0.5), ("touchMove", 0.6), ("touchMove", 0.8), ("touchEnd", None)):
        points = [] if share is None else [{"x": left + width * share, "y": height}]
        wire.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert _at(page) == pytest.approx(80, abs=3)


def test_the_divider_obeys_the_keyboard_and_says_where_it_is(
    page: Page, gallery: Gallery, run_address: str
) -> None:
    gallery.card()
    page.goto(run_address)
    slider = page.get_by_role("slider", name="Compare before and after: Put product 0 on white")
    slider.focus()
    for key, value in {
        "ArrowRight": "54",
        "ArrowLeft": "50",
        "End": "100",
        "Home": "0",
        "PageUp": "20",
    }.items():
        page.keyboard.press(key)
        expect(slider).to_have_value(value)
    expect(slider).to_have_attribute("aria-valuetext", "20 % before, 80 % after")


def test_one_of_several_results_can_be_chosen(page: Page, gallery: Gallery, run_address: str) -> None:
    card = gallery.card()
    first = card["after"][0]
    card["after"] = [
        first,
        first | {"picture": first["picture"].replace("after/0", "after/1"), "bytes": 1_500_000},
    ]
    page.goto(run_address)
    page.get_by_role("button", name="After picture 2 of 2").click()
    expect(page.get_by_role("button", name="After picture 2 of 2")).to_be_focused()
    expect(page.locator("img.after")).to_have_attribute(
        "src", "/af/" + card["after"][1]["picture"] + "?size=thumb"
    )
    expect(page.get_by_role("article")).to_contain_text("1.5 MB")
    expect(page.get_by_role("link", name="Download", exact=True)).to_have_attribute(
        "href", "/af/" + card["after"][1]["picture"] + "?size=original"
    )


def test_a_picture_that_is_gone_leaves_a_word(
    page: Page, gallery: Gallery, run_address: str, told: Told
) -> None:
    told.expected = "404"
    gallery.card()
    gallery.missing_pictures = True
    page.goto(run_address)
    expect(page.locator(".nothing.before")).to_have_text("before picture not available")
    expect(page.locator(".nothing.after")).to_have_text("after picture not available")


HOSTILE = (
    '<img src=x onerror="document.title=1">',
    "{{ 7*7 }} ${7*7} </p><script>document.title = 2</script>",
    "שים את המוצר על רקע לבן",
    "👩‍👩‍👧‍👦🎉" * 20,
    "&lt;b&gt; &amp; \u202e drawkcab",
)


@pytest.mark.parametrize("prompt", HOSTILE)
def test_a_prompt_stays_text(page: Page, gallery: Gallery, run_address: str, prompt: str) -> None:
    gallery.card(prompt=prompt, map_label=prompt, error={"type": prompt, "message": prompt})
    page.goto(run_address)
    expect(page.locator(".card .words")).to_have_text(prompt)
    assert page.title() == "Photo edits · run-1"
    assert page.locator("script").count() == 1
    assert page.locator(".card img").count() == 2


def test_a_prompt_from_right_to_left_is_shown_so(page: Page, gallery: Gallery, run_address: str) -> None:
    gallery.card(prompt="שים את המוצר על רקע לבן")
    page.goto(run_address)
    assert page.locator(".card .words").evaluate("words => getComputedStyle(words).direction") == "rtl"


def test_a_long_prompt_opens_on_demand(page: Page, gallery: Gallery, run_address: str) -> None:
    gallery.card(prompt="x" * 10_000)
    page.goto(run_address)
    words = page.locator(".card .words")
    short = words.evaluate("words => words.clientHeight")
    more = page.get_by_role("button", name="Show all")
    more.click()
    assert words.evaluate("words => words.clientHeight") > short
    expect(page.get_by_role("button", name="Show less")).to_have_attribute("aria-expanded", "true")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_short_prompt_has_nothing_to_open(page: Page, gallery: Gallery, run_address: str) -> None:
    gallery.card()
    page.goto(run_address)
    expect(page.locator(".card .words")).to_be_visible()
    expect(page.get_by_role("button", name="Show all")).to_be_hidden()


@pytest.mark.parametrize("allowed", [True, False])
def test_a_prompt_is_copied(
    open_page: Callable[..., Page], gallery: Gallery, run_address: str, allowed: bool
) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    if not allowed:  # as over plain http
        page.add_init_script("Object.defineProperty(navigator.clipboard, 'writeText', {value: undefined})")
    gallery.card(prompt="on «white» \n please")
    # The page's clock goes only where it is told to: the button says what it did for two seconds.
    page.clock.install(time=0)
    page.clock.pause_at(3_600)
    page.goto(run_address)
    page.get_by_role("button", name="Copy prompt").click()
    expect(page.get_by_role("button", name="Copied")).to_be_focused()
    assert page.evaluate("navigator.clipboard.readText()") == "on «white» \n please"
    page.clock.run_for(2_000)
    expect(page.get_by_role("button", name="Copy prompt")).to_be_focused()


@pytest.mark.parametrize(
    ("state", "words"),
    [("running", "its log tells how far it is"), ("failed", "its log says why")],
)
def test_a_batch_that_has_told_nothing_points_to_its_log(
    page: Page, gallery: Gallery, run_address: str, state: str, words: str
) -> None:
    gallery.card(state=state, batch=True, prompt=None, before=[], submitted_at=None, map_index=-1)
    page.goto(run_address)
    card = page.get_by_role("article")
    expect(card.locator(".of-batch")).to_contain_text(words)
    expect(card.locator(".elapsed")).to_have_count(0)
    log = card.get_by_role("link", name="Log of edit")
    expect(log).to_have_attribute("href", "/af/dags/shop/runs/run-1/tasks/edit")
