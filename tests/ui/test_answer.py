"""What the page is answered."""

from typing import Any

import pytest

from airflow_aluo import gallery
from airflow_aluo.protocol.review import decisions, labels
from airflow_aluo.ui import edits
from airflow_aluo.ui.answer import Asked, answer
from airflow_aluo.ui.pieces import Pieces
from airflow_aluo.ui.reviews import MOST_WAITING
from airflow_aluo.ui.told import Instance
from tests.ui.book import START, edit_record, submitted_record
from tests.ui.test_edits import FILE, instance


def asked(*instances: Instance, one_run: bool = True, **query: Any) -> Any:
    found = edits.of(instances, Pieces().reader())
    return answer(found, Asked(**query), now=START, one_run=one_run, reviewers={"a_dag"})


def request(prompt: str) -> dict[str, Any]:
    return edit_record()["request"] | {"prompt": prompt}


def twelve() -> list[Instance]:
    ended = [instance(map_index=n, returned=edit_record(f"edit_{n}")) for n in range(3)]
    going_on = [
        instance(map_index=n, state="deferred", submitted=submitted_record(f"edit_{n}")) for n in range(3, 11)
    ]
    return [*ended, *going_on, instance(map_index=11, state="failed")]


def test_totals_count_all_edits_of_the_scope_before_filters() -> None:
    found = asked(*twelve(), state="failed")
    assert [card["map_index"] for card in found["cards"]] == [11]
    assert found["matched"] == 1
    assert found["totals"] == {
        "edits": 12,
        "succeeded": 3,
        "running": 8,
        "failed": 1,
        "unknown": 0,
        "credits": 3 * 35 + 8 * 40,
        "credits_estimated": True,
        "mean_seconds": 20.0,
        "pictures": 3,
    }


def test_progress_is_told_while_a_run_is_going_on() -> None:
    assert asked(*twelve())["progress"] == "3 of 12 done, 8 running, 1 failed, about 50 s left"
    over = [one._replace(run_state="success", state="success") for one in twelve()[:3]]
    assert asked(*over)["progress"] is None
    assert asked(*twelve(), one_run=False)["progress"] is None


@pytest.mark.parametrize(("state", "live"), [("running", True), ("queued", True), ("success", False)])
def test_a_page_asks_again_while_the_run_goes_on(state: str, live: bool) -> None:
    assert asked(instance(run_state=state, returned=edit_record()))["live"] is live


def test_nothing_at_all_is_an_answer() -> None:
    found = asked()
    assert (found["cards"], found["matched"], found["live"]) == ([], 0, False)
    assert found["totals"]["credits"] is None
    assert found["usual_seconds"] == 20.0


def test_pages_follow_each_other() -> None:
    def page(offset: int) -> list[int]:
        found = asked(*twelve(), offset=offset, limit=5)
        return [card["map_index"] for card in found["cards"]]

    assert [page(0), page(5), page(10), page(15)] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11], []]


def test_a_text_is_found_in_prompts_whatever_its_case() -> None:
    one = instance(map_index=0, returned=edit_record("edit_0", request=request("Ein STRASSENSCHILD")))
    two = instance(map_index=1, returned=edit_record("edit_1", request=request("Blue")))
    found = asked(one, two, instance(map_index=2, state="running"), text=" straßen ")
    assert [card["prompt"] for card in found["cards"]] == ["Ein STRASSENSCHILD"]


def test_a_task_shows_the_edits_that_it_goes_on_with() -> None:
    found = asked(
        instance("edit", returned=edit_record("edit_1")),
        instance("land", "PhotoDownloadOperator", returned=edit_record("edit_1", files=[FILE])),
        instance("other", returned=edit_record("edit_2")),
        task_id="land",
        map_index=-1,
    )
    assert [(card["task_id"], card["aluo_task_id"]) for card in found["cards"]] == [("edit", "edit_1")]
    assert found["tasks"] == ["edit"]


def test_pictures_are_addressed_where_their_record_was_told() -> None:
    bare = edit_record("edit_1", request=None, files=[FILE])
    (card,) = asked(
        instance("edit", returned=[edit_record("edit_0"), submitted_record("edit_1")]),
        instance("land", "PhotoDownloadOperator", map_index=4, returned=bare),
        task_id="land",
    )["cards"]
    start = "aluo/api/dags/a_dag/runs/a_run/tasks"
    assert card["before"] == [{"name": "cup.jpg", "picture": f"{start}/edit/-1/pictures/1/before/0"}]
    size = {"width": 8, "height": 6, "bytes": 9, "format": "png", "landed": True}
    assert card["after"] == [{"name": "a.png", "picture": f"{start}/land/4/pictures/0/after/0"} | size]


def test_no_address_and_no_path_of_a_picture_is_told() -> None:
    record = edit_record(files=[FILE], error={"type": "X", "message": "https://u:p@cdn.example/a?sig=secret"})
    told = str(asked(instance(returned=record))["cards"])
    assert "secret" not in told
    assert "/landed" not in told
    assert "u:p" not in told


def test_an_edit_that_another_run_goes_on_with_is_paid_once_where_it_was_submitted() -> None:
    pending = instance(run_id="old", returned=submitted_record("edit_1"))
    landed = edit_record("edit_1", files=[FILE])
    for operator in ("PhotoDownloadOperator", "PhotoEditOperator"):  # a cleared task may tell of it, too
        found = asked(instance("land", operator, run_id="new", returned=landed), pending, one_run=False)
        assert found["totals"]["edits"] == len(found["cards"]) == 2
        assert (found["totals"]["credits"], found["totals"]["credits_estimated"]) == (35, False)
        assert [(one["run_id"], one["credits"]) for one in found["runs"]] == [("old", 35), ("new", None)]


def test_runs_are_told_oldest_first() -> None:
    newer = instance(run_id="new", returned=edit_record("edit_1"))
    older = instance(run_id="old", returned=[edit_record("edit_2"), edit_record("x", status="FAILED")])
    found = asked(newer, older, one_run=False)
    assert [card["run_id"] for card in found["cards"]] == ["new", "old", "old"]
    assert found["runs"] == [
        {"run_id": "old", "dag_id": "a_dag", "at": START.isoformat(), "edits": 2, "succeeded": 1, "failed": 1}
        | {"credits": 70, "mean_seconds": 20.0},
        {"run_id": "new", "dag_id": "a_dag", "at": START.isoformat(), "edits": 1, "succeeded": 1, "failed": 0}
        | {"credits": 35, "mean_seconds": 20.0},
    ]
    assert asked(newer, older)["runs"] == []


def test_keys_of_cards_are_unique_and_stay_the_same_when_an_edit_goes_on() -> None:
    waiting = instance(state="running")
    going_on = instance(state="deferred", submitted=submitted_record())
    done = instance(returned=edit_record())
    keys = {asked(one)["cards"][0]["key"] for one in (waiting, going_on, done)}
    assert len(keys) == 1
    assert len({card["key"] for card in asked(*twelve())["cards"]}) == 12


LABELS = labels([edit_record("edit_0"), edit_record("edit_1")])


def review(state: str = "awaiting_input", **more: Any) -> Instance:
    known = {
        "subject": "Good?",
        "options": [*LABELS, "Redo the others", "Reject all"],
        "multiple": True,
        "params": {"prompt": {"value": None}},
        "reviewed": [edit_record("edit_0"), edit_record("edit_1")],
    }
    return instance("review", "PhotoReviewOperator", state=state, **known | more)


TWO = [instance(map_index=n, returned=edit_record(f"edit_{n}")) for n in range(2)]


def test_a_card_tells_which_approval_waits_for_it_and_by_which_option() -> None:
    found = asked(*TWO, review())
    assert [(card["waiting_review"], card["option"]) for card in found["cards"]] == [
        (0, LABELS[0]),
        (0, LABELS[1]),
    ]
    (told,) = found["reviews"]
    assert (told["subject"], told["edits"], told["answered"], told["multiple"]) == ("Good?", 2, None, True)
    assert found["live"]


def test_an_answer_decides_before_the_task_has_told_so() -> None:
    by = {"id": "7", "name": "Ada"}
    answered = {"answered_at": START, "answered_by": by}
    cards = asked(*TWO, review(chosen=[LABELS[1], "Redo the others"], **answered))["cards"]
    assert [card["review"]["decision"] for card in cards] == ["redo", "approved"]
    assert cards[0]["review"] == {"decision": "redo", "by": "Ada", "at": START.isoformat(), "prompt": None}
    assert {card["waiting_review"] for card in cards} == {None}
    all_of_them = review(chosen=[LABELS[1], "Reject all"], **answered)
    assert [card["review"]["decision"] for card in asked(*TWO, all_of_them)["cards"]] == ["rejected"] * 2


def test_where_nothing_can_be_redone_an_answer_means_what_it_says() -> None:
    options = {"options": ["Approve", "Reject"], "multiple": False, "reviewed": [edit_record("edit_0")]}
    rejected = review(chosen=["Reject"], answered_at=START, **options)
    assert asked(TWO[0], rejected)["cards"][0]["review"]["decision"] == "rejected"
    of_a_set = asked(*TWO, review(options=[*LABELS, "Reject all"]))["cards"]
    assert [card["option"] for card in of_a_set] == LABELS


def test_an_answer_means_the_same_as_to_the_operator_that_asked() -> None:
    unknown = edit_record("edit_1", request=None)
    edits_ = [edit_record("edit_0"), unknown]
    chosen = ["Redo the others"]
    told = review(chosen=chosen, answered_at=START, reviewed=edits_)
    found = [card["review"]["decision"] for card in asked(*TWO, told)["cards"]]
    assert found == decisions(edits_, chosen) == ["redo", "rejected"]


@pytest.mark.parametrize("odd", [None, 7, {"version": 1}, edit_record("edit_1", request="x")])
def test_an_answer_about_records_that_people_have_changed_tells_no_decision(odd: Any) -> None:
    told = review(chosen=[LABELS[0], "Redo the others"], answered_at=START)
    told = told._replace(reviewed=[edit_record("edit_0"), odd])
    assert [card["review"] for card in asked(*TWO, told)["cards"]] == [None, None]


def test_options_are_told_by_what_they_are() -> None:
    assert asked(*TWO, review())["reviews"][0]["kinds"] == ["edit", "edit", "redo_others", "reject_all"]
    one = {"options": ["Approve", "Redo", "Reject"], "multiple": False, "reviewed": [edit_record("edit_0")]}
    assert asked(*TWO, review(**one))["reviews"][0]["kinds"] == ["approve", "redo", "reject"]


def test_each_try_of_a_review_is_told_apart() -> None:
    assert asked(*TWO, review(attempt=3))["reviews"][0]["attempt"] == 3


def test_only_so_many_approvals_are_told_beside_those_of_the_page() -> None:
    count = 2 * MOST_WAITING
    edits_ = [instance(map_index=n, returned=edit_record(f"edit_{n}")) for n in range(count)]
    one = {"options": ["Approve", "Reject"], "multiple": False}
    waiting = [review(map_index=n, reviewed=[edit_record(f"edit_{n}")], **one) for n in range(count - 10)]
    answered = [
        review(map_index=n, reviewed=[edit_record(f"edit_{n}")], chosen=["Approve"], answered_at=START, **one)
        for n in range(count - 10, count)
    ]
    found = asked(*edits_, *waiting, *answered, offset=count - 15, limit=6)
    assert found["reviews_waiting"] == count - 10
    assert len(found["reviews"]) == MOST_WAITING + 5 + 1
    by_card = {
        card["map_index"]: None
        if card["waiting_review"] is None
        else found["reviews"][card["waiting_review"]]["map_index"]
        for card in found["cards"]
    }
    assert by_card == {n: n for n in range(count - 15, count - 10)} | {count - 10: None}


def test_a_batch_that_has_told_nothing_is_said_to_be_one() -> None:
    under_way = instance("batch", "PhotoEditBatchOperator", state="running")
    found = asked(under_way)
    assert (found["cards"][0]["batch"], found["totals"]["running"]) == (True, 1)
    assert found["progress"] == "a batch is under way; its log tells how far it is"
    ended = instance("batch", "PhotoEditBatchOperator", returned=[edit_record()])
    assert [(card["batch"], card["state"]) for card in asked(ended)["cards"]] == [(False, "succeeded")]
    assert asked(instance(state="running"))["cards"][0]["batch"] is False


def test_the_page_learns_what_airflow_calls_its_tab() -> None:
    assert gallery.tab_of_run("a", "b").endswith(f"/plugin/{asked()['run_tab']}")


@pytest.mark.parametrize("state", ["failed", "success", "upstream_failed"])
def test_an_approval_that_ended_without_an_answer_asks_nobody_any_more(state: str) -> None:
    found = asked(*TWO, review(state=state))
    assert found["reviews"] == []
    assert {card["waiting_review"] for card in found["cards"]} == {None}


@pytest.mark.parametrize(
    ("chosen", "decision"), [("Approve", "approved"), ("Redo", "redo"), ("Reject", "rejected")]
)
def test_one_edit_is_decided_by_one_option(chosen: str, decision: str) -> None:
    options = {
        "options": ["Approve", "Redo", "Reject"],
        "multiple": False,
        "reviewed": [edit_record("edit_0")],
    }
    found = asked(TWO[0], review(**options))["cards"][0]
    assert (found["waiting_review"], found["option"]) == (0, None)
    card = asked(TWO[0], review(chosen=[chosen], answered_at=START, **options))["cards"][0]
    assert card["review"]["decision"] == decision


def test_a_record_tells_best_what_was_decided() -> None:
    said = {"decision": "redo", "by": "Ada", "at": "2026-11-29T12:00:00+00:00", "prompt": "Greener"}
    decided = review("success", reviewed=[edit_record("edit_0", review=said)])
    assert asked(TWO[0], decided)["cards"][0]["review"] == said


def test_a_task_of_its_edits_shows_the_approval_that_waits_for_them() -> None:
    assert len(asked(*TWO, review(), task_id="edit")["reviews"]) == 1
    assert len(asked(*TWO, review(), task_id="review")["reviews"]) == 1
    assert asked(*TWO, instance("other"), review(), task_id="other")["reviews"] == []


def test_approvals_are_told_to_those_only_who_may_read_them() -> None:
    found = answer(edits.of([*TWO, review()], Pieces().reader()), Asked(), now=START, one_run=True)
    assert found["reviews"] == []
    assert {card["waiting_review"] for card in found["cards"]} == {None}


@pytest.mark.parametrize("odd", [None, 7, "x", [1, None], {}])
def test_an_odd_approval_breaks_nothing(odd: Any) -> None:
    parts = {"options": odd, "params": odd, "chosen": odd, "answered_by": odd, "reviewed": odd}
    assert asked(*TWO, review(answered_at=START, **parts))["reviews"] == []
    found = asked(*TWO, review(**parts))
    assert len(found["cards"]) == 2
    assert found["reviews"][0]["options"] == []
