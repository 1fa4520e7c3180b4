"""The gallery's data, from a real database of Airflow's through its real API server."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.ui.book import START, Book, Person, edit_record, submitted_record

HOSTILE = (
    '<img src=x onerror="alert(1)"></script><script>alert(2)</script>\u202egnp.exe \' " {{ 7*7 }} \0 %2e%2e/'
)


def test_a_run_shows_its_edits(book: Book, viewer: Person) -> None:
    book.instance("edit", xcoms={"return_value": edit_record()}, label="cup.jpg", map_index=3, attempt=2)
    found = viewer.edits(book.dag_id, "a_run")
    (card,) = found["cards"]
    expected = {"dag_id": book.dag_id, "run_id": "a_run", "task_id": "edit", "map_index": 3, "attempt": 2}
    assert {name: card[name] for name in expected} == expected
    assert (card["map_label"], card["state"], card["seconds"], card["credits"]) == (
        "cup.jpg",
        "succeeded",
        20,
        35,
    )
    assert found["totals"]["edits"] == 1
    assert found["truncated"] is False


def test_an_edit_shows_while_it_is_waited_for_and_after_its_task_has_failed(
    book: Book, viewer: Person
) -> None:
    book.instance("a", state="deferred", xcoms={"submitted": submitted_record("edit_1")})
    book.instance("b", state="failed", xcoms={"submitted": submitted_record("edit_2")})
    book.instance("c", state="queued")
    cards = viewer.edits(book.dag_id, "a_run")["cards"]
    assert [(card["state"], card["aluo_task_id"]) for card in cards] == [
        ("running", "edit_1"),
        ("failed", "edit_2"),
        ("running", None),
    ]


def test_what_a_task_of_somebody_else_returned_is_not_read(book: Book) -> None:
    book.instance("edit", xcoms={"return_value": edit_record()})
    others = {"task_id": "other", "operator": "PythonOperator"}
    xcom = {"task_id": "other", "key": "return_value", "value": edit_record("edit_9")}
    book.instances([others], [xcom])
    from airflow_aluo.ui import reading

    found = reading.of_run(book.dag_id, "a_run")
    assert found is not None
    assert [one.task_id for one in found.instances] == ["edit"]


def test_an_operator_of_a_users_own_is_known_by_its_link(book: Book, viewer: Person) -> None:
    book.instance("mine", operator="BlueCups", xcoms={"return_value": edit_record()})
    assert [card["task_id"] for card in viewer.edits(book.dag_id, "a_run")["cards"]] == ["mine"]


def test_a_run_that_is_not_there_is_told_in_a_sentence(book: Book, viewer: Person) -> None:
    answer = viewer.get(f"aluo/api/dags/{book.dag_id}/runs/none/edits")
    assert answer.status_code == 404
    assert answer.json()["detail"].startswith(f"there is no run 'none' of DAG {book.dag_id!r}")


def test_a_run_without_edits_has_an_answer(book: Book, viewer: Person) -> None:
    found = viewer.edits(book.dag_id, "a_run")
    assert (found["cards"], found["totals"]["edits"]) == ([], 0)


def test_a_run_is_found_whatever_its_id(book: Book, viewer: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__SCHEDULER__ALLOWED_RUN_ID_PATTERN", ".*")
    run_id = "manual__2026-11-29T12:00:00+00:00_a b&c?d#e"
    book.run(run_id).instance("group.edit", xcoms={"return_value": edit_record()})
    (card,) = viewer.edits(book.dag_id, run_id)["cards"]
    assert card["run_id"] == run_id
    assert card["after"][0]["picture"].startswith(
        f"aluo/api/dags/{book.dag_id}/runs/manual__2026-11-29T12%3A00"
    )


def test_hostile_words_come_as_they_are_in_json(book: Book, viewer: Person) -> None:
    words = HOSTILE.replace("\0", "")
    request = edit_record()["request"] | {"prompt": words, "image_urls": [f"https://a.example/{words}"]}
    book.instance("edit", label=words, xcoms={"return_value": edit_record(words, request=request)})
    answer = viewer.get(f"aluo/api/dags/{book.dag_id}/runs/a_run/edits")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    (card,) = answer.json()["cards"]
    assert (card["prompt"], card["map_label"], card["aluo_task_id"]) == (words, words, words)


@pytest.mark.parametrize("value", ["garbage", [1], {"version": 1}, "{", None, {"results": "/etc/passwd"}])
def test_an_xcom_that_people_have_changed_breaks_nothing(book: Book, viewer: Person, value: Any) -> None:
    book.instance("edit", xcoms={"return_value": value})
    book.instance("fine", xcoms={"return_value": edit_record()})
    cards = viewer.edits(book.dag_id, "a_run")["cards"]
    assert [card["task_id"] for card in cards] == ["fine"]


def test_a_dag_shows_its_newest_runs_that_have_edits(book: Book, viewer: Person) -> None:
    for number in range(27):
        book.run(f"run_{number:02}", state="success", at=START + timedelta(hours=number + 1))
        book.instance("edit", xcoms={"return_value": edit_record()})
    book.run("without", state="success", at=START + timedelta(days=9))
    found = viewer.edits(book.dag_id, limit=100)
    assert [one["run_id"] for one in found["runs"]] == [f"run_{number:02}" for number in range(2, 27)]
    assert found["cards"][0]["run_id"] == "run_26"
    assert found["truncated"] is True


def test_a_dag_shows_a_run_whose_first_edit_is_only_queued(book: Book, viewer: Person) -> None:
    book.instance("edit", state="queued")
    assert [card["state"] for card in viewer.edits(book.dag_id)["cards"]] == ["running"]


def mapped(book: Book, count: int) -> Book:
    for number in range(count):
        record = edit_record(f"{book.run_id}_{number}")
        book.instance("edit", map_index=number, xcoms={"return_value": record})
    return book


def test_too_many_task_instances_of_a_run_are_cut_and_said_to_be(
    book: Book, viewer: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_aluo.ui.reading.MOST_OF_A_RUN", 2)
    found = viewer.edits(mapped(book, 3).dag_id, "a_run")
    assert (len(found["cards"]), found["truncated"], found["cut"]) == (2, False, 2)
    monkeypatch.setattr("airflow_aluo.ui.reading.MOST_OF_A_RUN", 3)
    found = viewer.edits(book.dag_id, "a_run")
    assert (len(found["cards"]), found["truncated"], found["cut"]) == (3, False, None)


@pytest.mark.parametrize(
    ("most", "shown", "truncated", "cut"),
    [(6, 6, False, None), (5, 3, True, None), (3, 3, True, None), (2, 2, True, 2)],
)
def test_of_several_runs_only_whole_ones_are_shown(
    book: Book,
    viewer: Person,
    monkeypatch: pytest.MonkeyPatch,
    *,
    most: int,
    shown: int,
    truncated: bool,
    cut: int | None,
) -> None:
    mapped(book, 3)
    mapped(book.run("newer", at=START + timedelta(hours=1)), 3)
    monkeypatch.setattr("airflow_aluo.ui.reading.MOST_OF_RUNS", most)
    found = viewer.edits(book.dag_id)
    assert (len(found["cards"]), found["truncated"], found["cut"]) == (shown, truncated, cut)
    assert {card["run_id"] for card in found["cards"][:3]} == {"newer"}


def test_a_common_name_of_an_xcom_does_not_make_a_run_one_of_ours(book: Book, viewer: Person) -> None:
    book.instance("edit", xcoms={"return_value": edit_record()})
    for number in range(30):
        book.run(f"etl_{number}", state="success", at=START + timedelta(days=1 + number))
        xcoms = [{"task_id": "load", "key": key, "value": "120 rows"} for key in ("submitted", "reviewed")]
        book.instances([{"task_id": "load", "operator": "PythonOperator"}], xcoms)
    found = viewer.edits(book.dag_id)
    assert ([card["run_id"] for card in found["cards"]], found["truncated"]) == (["a_run"], False)
    assert viewer.edits(book.dag_id, "etl_3")["cards"] == []


def test_the_gallery_of_all_shows_the_dags_that_a_person_may_read(
    people: Callable[[str], Person], new_book: Callable[[str], Book]
) -> None:
    books = {name: new_book(name) for name in ("secret", "open")}
    for one in books.values():
        one.run("newest", at=START + timedelta(days=30)).instance(
            "edit", xcoms={"return_value": edit_record()}
        )

    def seen(name: str) -> set[str]:
        return {card["dag_id"] for card in people(name).edits(limit=100)["cards"]}

    assert {one.dag_id for one in books.values()} <= seen("viewer")
    assert books["open"].dag_id in seen("stranger")
    assert books["secret"].dag_id not in seen("stranger")
    assert seen("outsider") == set()


APPROVAL = {
    "options": ["Approve", "Redo", "Reject"],
    "subject": "Good?",
    "body": "x",
    "multiple": False,
    "params": {
        "prompt": {"value": "Make it blue", "schema": {"type": ["null", "string"]}, "description": None}
    },
}


def under_review(book: Book, **answer: Any) -> Book:
    book.instance("edit", xcoms={"return_value": edit_record()})
    return book.instance(
        "review",
        operator="PhotoReviewOperator",
        state="success" if answer else "awaiting_input",
        after=60,
        xcoms={"reviewed": [edit_record()]},
        approval=APPROVAL | answer,
    )


def test_an_approval_that_waits_is_told(book: Book, viewer: Person) -> None:
    found = viewer.edits(under_review(book).dag_id, "a_run")
    (review,), (card,) = found["reviews"], found["cards"]
    assert (card["waiting_review"], card["review"], card["task_id"]) == (0, None, "edit")
    assert (review["task_id"], review["params"]) == ("review", APPROVAL["params"])
    assert (review["options"], review["answered"]) == (APPROVAL["options"], None)


def test_an_approval_that_was_answered_is_told(book: Book, viewer: Person) -> None:
    answered = {"responded_at": START, "responded_by": {"id": "7", "name": "Ada"}, "chosen_options": ["Redo"]}
    found = viewer.edits(under_review(book, **answered).dag_id, "a_run")
    assert found["reviews"][0]["answered"] == {"chosen_options": ["Redo"], "by": "Ada"}
    assert found["cards"][0]["review"]["decision"] == "redo"


def test_who_may_not_read_approvals_sees_edits_without_them(
    book: Book, people: Callable[[str], Person]
) -> None:
    found = people("looker").edits(under_review(book).dag_id, "a_run")
    assert (found["reviews"], found["cards"][0]["waiting_review"]) == ([], None)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("offset=-1", "offset"),
        ("state=x", "state"),
        ("map_index=x", "map_index"),
    ],
)
def test_a_query_that_is_none_is_told_in_a_sentence(
    book: Book, viewer: Person, query: str, name: str
) -> None:
    answer = viewer.get(f"aluo/api/dags/{book.dag_id}/edits?{query}")
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"{name}: ")


def test_ten_thousand_edits_are_all_counted_found_and_turned_over(book: Book, viewer: Person) -> None:
    count = 10_000
    rows = [{"task_id": "edit", "map_index": number} for number in range(count)]
    asked = edit_record()["request"]
    told = [
        edit_record(f"edit_{number}", request=asked | {"prompt": f"Cup {number} blue"})
        for number in range(count)
    ]
    xcoms = [{"key": "return_value", "value": one} | row for one, row in zip(told, rows, strict=True)]
    book.instances(rows, xcoms)
    first, last = (viewer.edits(book.dag_id, "a_run", offset=offset, limit=100) for offset in (0, count - 50))
    totals = {name: first["totals"][name] for name in ("edits", "succeeded", "credits", "pictures")}
    assert totals == {"edits": count, "succeeded": count, "credits": 35 * count, "pictures": count}
    assert [card["map_index"] for card in first["cards"]] == list(range(100))
    assert [card["map_index"] for card in last["cards"]] == list(range(count - 50, count))
    (one,) = viewer.edits(book.dag_id, "a_run", text="cup 7777 b")["cards"]
    assert (one["map_index"], one["prompt"]) == (7777, "Cup 7777 blue")
