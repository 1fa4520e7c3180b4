"""How a batch ends its task."""

import logging
from typing import Any

import pytest

from airflow_aluo.airflow_names import AirflowFailException
from airflow_aluo.batch.ending import ended
from airflow_aluo.batch.work import Outcome
from airflow_aluo.protocol import record
from airflow_aluo.protocol.errors import (
    AluoEditFailed,
    AluoError,
    AluoOutOfCredits,
    AluoRequestRejected,
    AluoUnauthorized,
)
from airflow_aluo.task_store import TaskStoreError

DONE = Outcome(record.of_edit("edit_1", aluo_conn_id="aluo_default"))
FAILED = AluoEditFailed("edit_2 ended FAILED", aluo_task_id="edit_2")
REJECTED = AluoRequestRejected("change the request", http_status=400)
NO_CREDITS = AluoOutOfCredits("top up", http_status=402, retry_after=5.0)
REFUSED = AluoUnauthorized("check the key", http_status=401)
GONE = TaskStoreError("the store is gone")


def failed(error: AluoError, *, tried: bool = True) -> Outcome:
    return Outcome(DONE.record, error, tried)


def end(*outcomes: Outcome, on_partial_failure: str = "fail") -> Any:
    return ended(outcomes, on_partial_failure=on_partial_failure, on_clear="auto", log=logging.getLogger())


def test_records_are_returned_where_nothing_failed() -> None:
    assert end(DONE, DONE) == [DONE.record, DONE.record]


@pytest.mark.parametrize(
    ("outcomes", "error"),
    [
        ([failed(FAILED)], AluoError),
        ([failed(FAILED), failed(REJECTED)], AluoError),  # a retry mends one of them
        ([failed(REJECTED), failed(REFUSED, tried=False)], AirflowFailException),
        ([failed(NO_CREDITS), failed(NO_CREDITS, tried=False)], AluoOutOfCredits),
        ([failed(FAILED), failed(NO_CREDITS)], AluoOutOfCredits),
        ([failed(REJECTED), failed(GONE, tried=False)], TaskStoreError),
    ],
)
def test_the_error_is_of_the_kind_that_says_what_helps(
    outcomes: list[Outcome], error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        end(DONE, *outcomes)
    assert type(caught.value) is error
    assert caught.value.__cause__ in [one.error for one in outcomes]


def test_the_error_says_how_many_and_why() -> None:
    with pytest.raises(AluoOutOfCredits) as caught:
        end(DONE, *[failed(FAILED)] * 7, failed(NO_CREDITS), failed(NO_CREDITS, tried=False))
    said = str(caught.value)
    assert said.startswith("8 of 10 edits failed: [1] AluoEditFailed: edit_2 ended FAILED; [2] ")
    assert (
        "; and 3 more. 1 of 10 edits were not tried, nothing was sent for them: top up. 1 succeeded" in said
    )
    assert (caught.value.http_status, caught.value.retry_after) == (402, 5.0)


def test_failures_may_be_returned_but_not_nothing_else() -> None:
    assert len(end(DONE, failed(FAILED), on_partial_failure="return")) == 2
    with pytest.raises(AluoError, match="1 of 1 edits failed"):
        end(failed(FAILED), on_partial_failure="return")
