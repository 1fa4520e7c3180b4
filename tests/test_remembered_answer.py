"""What a review remembers of its answer, and when that holds no more."""

from typing import Any

import pytest
from airflow.sdk import BaseOperator

from airflow_aluo.protocol.review import Answer
from airflow_aluo.protocol.schemas import schema
from airflow_aluo.remembered_answer import KEY, RememberedAnswer

RECORD = schema("edit_record")["examples"][0]
ANSWER = Answer(
    chosen=("1: a.jpg", "Redo the others"), prompt="Red", by="anna", at="2026-11-29T17:00:00+00:00"
)


def remembered(tasks: Any, edits: Any = (RECORD,)) -> RememberedAnswer:
    task = BaseOperator(task_id="review")
    return RememberedAnswer(tasks.context(task), list(edits), task.log)


def test_the_answer_to_the_same_question_is_found_by_a_retry(tasks: Any) -> None:
    assert remembered(tasks).recall() is None
    remembered(tasks).put(ANSWER)
    tasks.next_try()
    assert remembered(tasks).recall() == ANSWER


def test_it_is_no_answer_after_a_clear(tasks: Any) -> None:
    remembered(tasks).put(ANSWER)
    tasks.next_try(cleared=True)
    assert remembered(tasks).recall() is None


def test_what_a_clear_took_back_never_holds_again(tasks: Any) -> None:
    remembered(tasks).put(ANSWER)
    first = tasks.ti.max_tries
    tasks.next_try(cleared=True)
    assert remembered(tasks).recall() is None
    tasks.ti.max_tries = first  # as after a person has deleted the task instance
    assert remembered(tasks).recall() is None


def test_what_cannot_be_forgotten_is_said(tasks: Any, logs: list[str]) -> None:
    remembered(tasks).put(ANSWER)
    tasks.next_try(cleared=True)

    def broken(what: str) -> None:
        if what.startswith("delete"):
            raise OSError("gone")

    tasks.store.before = broken
    assert remembered(tasks).recall() is None
    assert [line for line in logs if line.startswith("warning: an earlier answer cannot be forgotten: ")]


def test_it_is_no_answer_about_other_edits(tasks: Any) -> None:
    remembered(tasks).put(ANSWER)
    assert remembered(tasks, [RECORD | {"aluo_task_id": "edit_2"}]).recall() is None


@pytest.mark.parametrize("value", ["yes", {}, {"answer": {"chosen": ["Approve"]}}, {"answer": None}, [1]])
def test_what_somebody_else_has_stored_there_is_no_answer(tasks: Any, value: Any) -> None:
    remembered(tasks).put(ANSWER)
    whose = tasks.store.get(KEY)
    tasks.store.set(KEY, (whose | value) if isinstance(value, dict) and value else value)
    assert remembered(tasks).recall() is None
