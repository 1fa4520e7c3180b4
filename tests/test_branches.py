"""Which tasks after a review run: of groups, of mapped groups, and of joins."""

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, task, task_group

from airflow_aluo.airflow_names import DownstreamTasksSkipped
from airflow_aluo.branches import Branches, skip_in_group
from airflow_aluo.protocol.errors import AluoRequestInvalid
from airflow_aluo.protocol.schemas import schema

from airflow_aluo.operators.photo_review import PhotoReviewOperator  # isort: skip

RECORD = schema("edit_record")["examples"][0]


@task
def step(given: Any = None) -> None:
    assert given is None


def asks(task_id: str = "review") -> PhotoReviewOperator:
    return PhotoReviewOperator(task_id=task_id, edits=RECORD)


def ids(tasks: list[Any]) -> list[str]:
    return [one.task_id for one in tasks]


def branches(review: Any, given: Any, map_index: int | None = -1) -> Branches:
    return Branches(review, SimpleNamespace(map_index=map_index), given)


def test_a_join_behind_a_branch_that_runs_is_left_to_its_own_rule() -> None:
    with DAG("a_dag", schedule=None):
        review = asks()
        again, join = step.override(task_id="again")(), step.override(task_id="join")()
        review >> [again, join]
        again >> join
    found = branches(review, {"redo": "again", "approve": "join"})
    assert ids(found.skipped({"redo"})) == []
    assert ids(found.skipped({"approved"})) == ["again"]
    assert ids(found.skipped({"rejected"})) == ["again", "join"]


def test_a_task_that_is_named_twice_runs_for_either_decision() -> None:
    with DAG("a_dag", schedule=None):
        review = asks()
        review >> step.override(task_id="tell")()
    found = branches(review, {"redo": "tell", "reject": "tell"})
    assert ids(found.skipped({"redo"})) == ids(found.skipped({"rejected"})) == []
    assert ids(found.skipped({"approved"})) == ["tell"]


def test_a_task_group_stands_for_its_first_tasks() -> None:
    @task_group
    def more() -> None:
        step.override(task_id="first")() >> step.override(task_id="second")()

    with DAG("a_dag", schedule=None):
        review = asks()
        review >> more()
    assert ids(branches(review, {"redo": "more"}).skipped({"approved"})) == ["more.first"]


def test_a_teardown_is_never_skipped() -> None:
    with DAG("a_dag", schedule=None):
        review = asks()
        setup, down = step.override(task_id="setup")(), step.override(task_id="down")()
        setup >> review >> down
        down.as_teardown(setups=setup)
    assert ids(branches(review, None).skipped({"rejected"})) == []


@pytest.fixture
def mapped() -> DAG:
    @task_group
    def each(photo: Any) -> Any:
        review = asks()
        again = step.override(task_id="again")(photo)
        review >> again
        return review.output

    with DAG("a_dag", schedule=None) as dag:
        step.override(task_id="shared")(each.expand(photo=["a", "b"]))
    return dag


def test_in_a_mapped_task_group_only_its_own_tasks_are_skipped(mapped: DAG) -> None:
    review = mapped.get_task("each.review")
    assert ids(branches(review, None, 1).skipped({"rejected"})) == ["each.again"]
    assert ids(branches(review, {"redo": "each.again"}, 1).skipped({"approved"})) == ["each.again"]
    with pytest.raises(
        AluoRequestInvalid, match=r"'shared'; expected a task directly after .*: each.again \(of its"
    ):
        branches(review, {"approve": "shared"}, 1)


def test_a_review_that_is_mapped_itself_skips_nothing_that_is_the_others_too() -> None:
    with DAG("a_dag", schedule=None) as dag:
        reviews = PhotoReviewOperator.partial(task_id="review").expand(edits=[RECORD, RECORD])
        step(reviews.output)
    assert ids(branches(dag.get_task("review").unmap({"edits": RECORD}), None, 0).skipped({"rejected"})) == []


@pytest.mark.parametrize("result", [None, [RECORD]])
def test_skipping_within_a_group_keeps_what_the_task_returns(result: Any) -> None:
    pushed = {}
    ti = SimpleNamespace(map_index=3, xcom_push=lambda key, value: pushed.update({key: value}))
    with pytest.raises(DownstreamTasksSkipped) as raised:
        skip_in_group(ti, ["each.again"], result)
    assert raised.value.tasks == [("each.again", 3)]
    assert pushed == ({} if result is None else {"return_value": result})
