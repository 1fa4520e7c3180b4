from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_aluo.sandbox.accounts import Account
from airflow_aluo.sandbox.asked import Asked
from airflow_aluo.sandbox.book import Book, Edit, Input, Note

ASKED = Asked(prompt="x", images=("http://a/b",), aspect_ratio=None, output_format="png", num_images=2)


@pytest.fixture
def account() -> Account:
    return Account(name="somebody", plan="free", balance=100)


@pytest.fixture
def make(account: Account) -> Callable[..., Edit]:
    def made(number: int, **changes: Any) -> Edit:
        usual = {"asked": ASKED, "inputs": [Input("http://a/b")], "price": 40, "due_at": 1010}
        return Edit(aluo_task_id=f"edit_{number}", account=account, submitted_at=1000, **{**usual, **changes})

    return made


@pytest.fixture
def edit(make: Callable[..., Edit]) -> Edit:
    return make(1)


@pytest.fixture
def book(edit: Edit) -> Book:
    book = Book()
    book.accept(edit)
    return book


def test_nothing_is_charged_when_an_edit_is_accepted_but_its_price_is_set_aside(
    book: Book, account: Account
) -> None:
    assert book.settle(1000) == []
    assert (account.balance, account.reserved) == (100, 40)


def test_an_edit_succeeds_when_its_time_is_over_and_its_pictures_are_there(
    book: Book, edit: Edit, account: Account
) -> None:
    assert book.settle(1011) == []
    edit.known_at = 1012
    assert book.settle(1012) == [edit]
    assert (edit.status, edit.finished_at, edit.charged) == ("SUCCESS", 1012, 40)
    assert (account.balance, account.reserved) == (60, 0)


def test_pictures_that_are_early_wait_for_the_edits_time(book: Book, edit: Edit) -> None:
    edit.known_at = 1001
    assert book.settle(1009.9) == []
    assert book.settle(1050) == [edit]
    assert edit.finished_at == 1010


def test_an_edit_is_charged_once(book: Book, edit: Edit, account: Account) -> None:
    edit.known_at = 1001
    book.settle(1010)
    book.settle(1011)
    assert account.balance == 60


def test_a_failed_edit_costs_nothing(book: Book, edit: Edit, account: Account) -> None:
    edit.known_at, edit.failure = 1001, "no"
    book.settle(1010)
    assert (edit.status, edit.charged) == ("FAILED", 0)
    assert (account.balance, account.reserved) == (100, 0)


def test_the_ledger_shows_edits_calls_and_totals(book: Book, edit: Edit) -> None:
    book.notes.append(Note(at=1000, method="POST", path="/api/x", account="somebody", http_status=200))
    book.notes[0].refused = True
    assert book.as_json("RUNNING") == {
        "entries": [
            {
                "aluo_task_id": "edit_1",
                "account": "somebody",
                "fingerprint": edit.fingerprint,
                "prompt": "x",
                "parameters": {"aspectRatio": None, "outputFormat": "png", "numImages": 2},
                "inputs": [{"url": "http://a/b", "name": None, "sha256": None}],
                "submitted_at": 1000,
                "finished_at": None,
                "status": "RUNNING",
                "failure": None,
                "charged": 0,
            }
        ],
        "requests": [
            {
                "at": 1000,
                "account": "somebody",
                "method": "POST",
                "path": "/api/x",
                "http_status": 200,
                "aluo_task_id": None,
                "prompt": None,
                "dropped": False,
            }
        ],
        "charges": [],
        "twice": 0,
        "totals": {"accepted": 1, "succeeded": 0, "failed": 0, "charged": 0, "refused": 1},
    }
    edit.known_at = 1001
    book.settle(1010)
    ledger = book.as_json("RUNNING")
    assert ledger["totals"]["charged"] == 40
    assert ledger["charges"] == [
        {"at": 1010, "account": "somebody", "aluo_task_id": "edit_1", "prompt": "x", "credits": 40}
    ]


def test_charges_stand_in_the_order_in_which_they_were_made(
    book: Book, edit: Edit, make: Callable[..., Edit]
) -> None:
    earlier, failed = make(2, due_at=1005), make(3, failure="no")
    for one in (earlier, failed):
        book.accept(one)
    for one in (edit, earlier, failed):
        one.known_at = 1001
    assert book.settle(1020) == [earlier, edit, failed]
    assert [(one["at"], one["aluo_task_id"]) for one in book.as_json("x")["charges"]] == [
        (1005, "edit_2"),
        (1010, "edit_1"),
    ]


def asked(**changes: Any) -> dict[str, Any]:
    usual = {"prompt": "x", "images": (), "aspect_ratio": None, "output_format": "png", "num_images": 2}
    return {"asked": Asked(**{**usual, **changes})}


def uploaded(address: str, sha256: str) -> dict[str, Any]:
    return {"inputs": [Input(address, name=address, file=Path(address), sha256=sha256)]}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({}, {"price": 35, "due_at": 9999}, True),
        (asked(), asked(prompt="y"), False),
        (asked(), asked(aspect_ratio="1:1"), False),
        (asked(), asked(output_format="webp"), False),
        (asked(), asked(num_images=1), False),
        ({}, {"inputs": [Input("http://a/c")]}, False),
        ({}, {"inputs": [Input("http://a/b"), Input("http://a/b")]}, False),
        ({}, {"inputs": [Input("http://a/b", sha256="read since")]}, True),
        (uploaded("a", "1"), uploaded("b", "1"), True),
        (uploaded("a", "1"), uploaded("a", "2"), False),
    ],
    ids=str,
)
def test_a_fingerprint_is_what_was_asked_and_nothing_else(
    make: Callable[..., Edit], one: Any, other: Any, same: bool
) -> None:
    assert (make(1, **one).fingerprint == make(2, **other).fingerprint) is same


def test_edits_that_were_accepted_before_are_counted(book: Book, make: Callable[..., Edit]) -> None:
    for number, changes in enumerate(({}, asked(prompt="y"), {}), start=2):
        book.accept(make(number, **changes))
    assert book.as_json("x")["twice"] == 2


def test_the_ledger_can_be_told_for_some_prompts_only(
    book: Book, edit: Edit, make: Callable[..., Edit]
) -> None:
    other = make(2, **asked(prompt="one and other"))
    book.accept(other)
    for number, prompt in enumerate(("x", "one and other", "another", None)):
        book.notes.append(Note(at=number, method="POST", path="/", prompt=prompt, refused=number > 1))
    edit.known_at = other.known_at = 1001
    book.settle(1010)
    ledger = book.as_json("x", "other")
    assert [one["aluo_task_id"] for one in ledger["entries"]] == ["edit_2"]
    assert [one["prompt"] for one in ledger["requests"]] == ["one and other", "another"]
    assert [one["aluo_task_id"] for one in ledger["charges"]] == ["edit_2"]
    assert ledger["totals"] == {"accepted": 1, "succeeded": 1, "failed": 0, "charged": 40, "refused": 1}
    assert book.as_json("x")["totals"]["refused"] == 2


def test_an_emptied_ledger_forgets_edits_that_live_on(book: Book, edit: Edit, account: Account) -> None:
    book.notes.append(Note(at=1000, method="POST", path="/api/x", refused=True))
    book.forget()
    empty = book.as_json("x")
    assert empty["totals"] == {
        "accepted": 0,
        "succeeded": 0,
        "failed": 0,
        "charged": 0,
        "refused": 0,
    }
    edit.known_at = 1001
    assert book.settle(1010) == [edit]
    assert book.as_json("x") == empty
    assert account.balance == 60
    assert book.edits["edit_1"] is edit
