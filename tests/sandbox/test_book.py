import pytest

from airflow_aluo.sandbox.accounts import Account
from airflow_aluo.sandbox.asked import Asked
from airflow_aluo.sandbox.book import Book, Edit, Input, Note

ASKED = Asked(prompt="x", images=("http://a/b",), aspect_ratio=None, output_format="png", num_images=2)


@pytest.fixture
def account() -> Account:
    return Account(name="somebody", plan="free", balance=100)


@pytest.fixture
def edit(account: Account) -> Edit:
    return Edit(
        aluo_task_id="edit_1",
        account=account,
        asked=ASKED,
        inputs=[Input("http://a/b")],
        price=40,
        submitted_at=1000,
        due_at=1010,
    )


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
    book.refused = 3
    assert book.as_json("RUNNING") == {
        "entries": [
            {
                "aluo_task_id": "edit_1",
                "account": "somebody",
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
                "dropped": False,
            }
        ],
        "totals": {"accepted": 1, "succeeded": 0, "failed": 0, "charged": 0, "refused": 3},
    }
    edit.known_at = 1001
    book.settle(1010)
    assert book.as_json("RUNNING")["totals"]["charged"] == 40


def test_an_emptied_ledger_forgets_edits_that_live_on(book: Book, edit: Edit, account: Account) -> None:
    book.refused = 1
    book.forget()
    assert book.as_json("x")["totals"] == {
        "accepted": 0,
        "succeeded": 0,
        "failed": 0,
        "charged": 0,
        "refused": 0,
    }
    edit.known_at = 1001
    assert book.settle(1010) == [edit]
    assert account.balance == 60
    assert book.edits["edit_1"] is edit
