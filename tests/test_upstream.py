from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, task

from airflow_aluo.protocol.errors import AluoRequestInvalid
from airflow_aluo.upstream import Upstream


def check(upstream: Upstream, value: Any) -> str:
    with pytest.raises(AluoRequestInvalid) as caught:
        upstream.check(value)
    (problem,) = caught.value.problems
    assert (caught.value.subject, problem.parameter, problem.value) == ("task", "edits", "nothing came")
    return problem.expected


@pytest.mark.parametrize("nothing", [None, "None", "", " "])
def test_a_value_that_did_not_come_names_the_task_that_should_have_sent_it(nothing: str | None) -> None:
    with DAG("a_dag", schedule=None):
        upstream = Upstream.of("edits", BaseOperator(task_id="edit_photo").output)
    expected = check(upstream, nothing)
    assert expected.startswith("an edit record from task 'edit_photo'; ")
    assert "Clear it" in expected


def test_every_task_of_a_list_is_named_once() -> None:
    with DAG("a_dag", schedule=None):
        first, second = (BaseOperator(task_id=name) for name in ("b", "a"))
        upstream = Upstream.of("edits", [first.output, second.output["result_urls"], first.output])
    assert upstream.task_ids == ("a", "b")
    assert check(upstream, None).startswith("an edit record from task 'a' and 'b'; ")


def test_the_tasks_behind_a_mapped_task_are_named() -> None:
    @task
    def prepare(number: int) -> int:
        return number

    with DAG("a_dag", schedule=None):
        upstream = Upstream.of("edits", prepare.expand(number=[1, 2]).map(str))
    assert upstream.task_ids == ("prepare",)


@pytest.mark.parametrize("value", [None, "{{ params.edits }}", ["https://a.b/1.png"], {"version": 1}, 1])
def test_what_is_written_into_the_dag_comes_from_no_task(value: Any) -> None:
    upstream = Upstream.of("edits", value)
    assert upstream.task_ids == ()
    assert check(upstream, None) == "an edit record or an edit's id"


@pytest.mark.parametrize("value", ["edit-1", {}, [], [None], 0])
def test_any_value_that_came_is_for_others_to_judge(value: Any) -> None:
    Upstream.of("edits", value).check(value)


def test_a_mapped_task_whose_value_tells_nothing_names_the_tasks_before_it() -> None:
    with pytest.raises(AluoRequestInvalid, match="an edit record from task 'edit' and 'shop'"):
        Upstream.of("edits", None).check(None, {"shop", "edit"})
