"""A person answers from the gallery what a PhotoReviewOperator asks."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.pretended import Gallery
from tests.browser.told import Told

ADDRESS = "/af/api/v2/dags/shop/dagRuns/run-1/taskInstances/look/-1/hitlDetails"
SET = ["1: mug", "2: lamp", "3: chair", "Redo the others", "Reject all"]


@pytest.fixture
def single(page: Page, gallery: Gallery, run_address: str) -> Page:
    question = gallery.review(["Approve", "Redo", "Reject"], multiple=False)
    question["params"]["note"] = {"value": 3, "schema": {}, "description": None}
    card = gallery.card(waiting_review=0)

    def decide(answer: dict[str, Any]) -> None:
        words = {"Approve": "approved", "Redo": "redo", "Reject": "rejected"}
        decision = words[answer["chosen_options"][0]]
        card["review"] = {
            "decision": decision,
            "by": "vera",
            "at": "2026-11-29T17:00:00+00:00",
            "prompt": None,
        }
        card["waiting_review"] = None
        question["answered"] = {"chosen_options": answer["chosen_options"], "by": "vera"}

    gallery.answered = decide
    page.goto(run_address)
    expect(page.get_by_text("Are these good?")).to_be_visible()
    return page


@pytest.fixture
def several(page: Page, gallery: Gallery, run_address: str) -> Page:
    question = gallery.review(SET, multiple=True, prompt="")
    for number, option in enumerate(SET[:3]):
        gallery.card(number, waiting_review=0, option=option)
    gallery.answered = lambda _: question.update(answered={"chosen_options": ["1: mug"], "by": "vera"})
    page.goto(run_address)
    expect(page.get_by_role("checkbox")).to_have_count(3)
    return page


def test_one_edit_is_approved(single: Page, gallery: Gallery) -> None:
    single.get_by_role("button", name="Approve").click()
    expect(single.get_by_role("article")).to_contain_text("approved by vera")
    expect(single.get_by_role("button", name="Approve")).to_have_count(0)
    assert gallery.answers == [
        (ADDRESS, {"chosen_options": ["Approve"], "params_input": {"prompt": "on white", "note": 3}})
    ]


def test_one_edit_is_rejected(single: Page, gallery: Gallery) -> None:
    single.get_by_role("button", name="Reject").click()
    expect(single.get_by_role("article")).to_contain_text("rejected by vera")
    assert gallery.answers[0][1]["chosen_options"] == ["Reject"]


def test_a_redo_takes_another_prompt(single: Page, gallery: Gallery) -> None:
    single.get_by_role("button", name="Redo").click()
    field = single.get_by_role("textbox", name="Prompt for the new edit")
    expect(field).to_be_focused()
    expect(field).to_have_value("on white")
    field.fill("on black")
    single.get_by_role("button", name="Redo it").click()
    expect(single.get_by_role("article")).to_contain_text("to be redone by vera")
    sent = {"chosen_options": ["Redo"], "params_input": {"prompt": "on black", "note": 3}}
    assert gallery.answers == [(ADDRESS, sent)]


def test_a_redo_can_be_called_off(single: Page, gallery: Gallery) -> None:
    single.get_by_role("button", name="Redo").click()
    single.get_by_role("button", name="Cancel").click()
    expect(single.locator("textarea")).to_have_count(0)
    expect(single.get_by_role("button", name="Redo")).to_be_focused()
    assert gallery.answers == []


def test_what_is_being_written_survives_an_update(single: Page, gallery: Gallery) -> None:
    gallery.live = True
    single.reload()
    single.get_by_role("button", name="Redo").click()
    single.locator("textarea").fill("half a sent")
    gallery.cards[0]["credits"] = 41
    expect(single.get_by_role("article")).to_contain_text("41 credits")
    expect(single.locator("textarea")).to_have_value("half a sent")
    expect(single.locator("textarea")).to_be_focused()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (403, "You may not answer this"),
        (401, "log in to Airflow again"),
        (409, "Somebody has answered already"),
        (400, "words"),
    ],
)
def test_a_refused_answer_says_why(
    single: Page, gallery: Gallery, told: Told, status: int, words: str
) -> None:
    told.expected = str(status)
    gallery.answer_status = status
    single.get_by_role("button", name="Approve").click()
    expect(single.get_by_role("alert")).to_contain_text(words)
    expect(single.get_by_role("button", name="Approve")).to_be_enabled()


def test_an_answer_of_somebody_else_is_shown_at_once(single: Page, gallery: Gallery, told: Told) -> None:
    told.expected = "409"
    gallery.answered({"chosen_options": ["Reject"]})
    gallery.answer_status = 409
    single.get_by_role("button", name="Approve").click()
    expect(single.get_by_role("article")).to_contain_text("rejected by vera")


def test_the_chosen_of_a_set_are_approved(several: Page, gallery: Gallery) -> None:
    expect(several.get_by_role("button", name="Approve chosen")).to_be_disabled()
    several.get_by_role("checkbox", name="Choose 1: mug").check()
    several.get_by_role("checkbox", name="Choose 3: chair").check()
    expect(several.locator("#reviews")).to_contain_text("2 of 3 edits chosen")
    several.get_by_role("button", name="Approve chosen").click()
    expect(several.locator("#reviews")).to_be_hidden()
    assert gallery.answers == [
        (ADDRESS, {"chosen_options": ["1: mug", "3: chair"], "params_input": {"prompt": ""}})
    ]


def test_the_others_of_a_set_are_redone(several: Page, gallery: Gallery) -> None:
    several.get_by_role("checkbox", name="Choose 2: lamp").check()
    several.get_by_role("button", name="Redo the others").click()
    several.get_by_role("textbox", name="Prompt for the new edits").fill("on black")
    several.get_by_role("button", name="Redo 2 edits").click()
    expect(several.locator("#reviews")).to_be_hidden()
    sent = {"chosen_options": ["2: lamp", "Redo the others"], "params_input": {"prompt": "on black"}}
    assert gallery.answers == [(ADDRESS, sent)]


def test_a_set_is_rejected_after_a_second_question(several: Page, gallery: Gallery) -> None:
    several.get_by_role("button", name="Reject all").click()
    assert gallery.answers == []
    several.get_by_role("button", name="Yes, reject all").click()
    expect(several.locator("#reviews")).to_be_hidden()
    assert gallery.answers[0][1]["chosen_options"] == ["Reject all"]


def test_choices_survive_filters(several: Page) -> None:
    several.get_by_role("button", name="Choose all").click()
    several.get_by_role("searchbox").fill("product 1")
    expect(several.get_by_role("article")).to_have_count(1)
    expect(several.get_by_role("checkbox")).to_be_checked()
    expect(several.locator("#reviews")).to_contain_text("3 of 3 edits chosen")


def test_questions_on_other_pages_are_told_of(page: Page, gallery: Gallery, run_address: str) -> None:
    for number in range(26):
        gallery.review(["Approve", "Redo", "Reject"], multiple=False)["map_index"] = number
        gallery.card(number, waiting_review=number)
    page.goto(run_address)
    expect(page.locator("#reviews")).to_have_text("2 more approvals wait for an answer on other pages.")


def test_more_approvals_wait_than_are_told(page: Page, gallery: Gallery, run_address: str) -> None:
    gallery.review(["Approve", "Reject"], multiple=False)
    gallery.card(waiting_review=0)
    gallery.more_waiting = 1
    page.goto(run_address)
    expect(page.locator("#reviews")).to_have_text("1 more approval waits for an answer on another page.")


def test_another_try_asks_anew_with_nothing_chosen(several: Page, gallery: Gallery) -> None:
    several.get_by_role("button", name="Choose all").click()
    expect(several.locator("#reviews")).to_contain_text("3 of 3 edits chosen")
    gallery.reviews[0]["attempt"] = 2
    several.get_by_role("searchbox").fill("product")
    expect(several.locator("#reviews")).to_contain_text("0 of 3 edits chosen")
    for box in several.get_by_role("checkbox").all():
        expect(box).not_to_be_checked()
    several.get_by_role("checkbox", name="Choose 2: lamp").check()
    several.get_by_role("button", name="Approve chosen").click()
    expect(several.locator("#reviews")).to_be_hidden()
    assert gallery.answers[0][1]["chosen_options"] == ["2: lamp"]


def test_what_an_option_does_follows_from_its_kind_not_from_its_words(
    page: Page, gallery: Gallery, run_address: str
) -> None:
    question = gallery.review(["Oui", "Encore", "Non"], multiple=False)
    question["kinds"] = ["approve", "redo", "reject"]
    gallery.card(waiting_review=0)
    page.goto(run_address)
    page.get_by_role("button", name="Encore").click()
    page.get_by_role("button", name="Redo it").click()
    expect(page.locator("#told")).to_have_text("Answer sent")
    assert gallery.answers[0][1]["chosen_options"] == ["Encore"]


def test_what_is_no_edit_of_a_set_follows_from_its_kind(
    page: Page, gallery: Gallery, run_address: str
) -> None:
    question = gallery.review(["1: mug", "2: lamp", "Encore", "Rien"], multiple=True)
    question["kinds"] = ["edit", "edit", "redo_others", "reject_all"]
    gallery.card(waiting_review=0, option="1: mug")
    page.goto(run_address)
    expect(page.locator("#reviews")).to_contain_text("0 of 2 edits chosen")
    page.get_by_role("button", name="Encore").click()
    page.get_by_role("button", name="Redo 2 edits").click()
    expect(page.locator("#told")).to_have_text("Answer sent")
    assert gallery.answers[0][1]["chosen_options"] == ["Encore"]
