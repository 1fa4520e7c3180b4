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
    AluoPictureError,
    AluoRequestRejected,
    AluoUnauthorized,
    AluoUnknownOutcome,
)
from airflow_aluo.task_store import TaskStoreError

DONE = Outcome(record.of_edit("edit_1", aluo_conn_id="aluo_default"))
FAILED = AluoEditFailed("edit_2 ended FAILED", aluo_task_id="edit_2")
REJECTED = AluoRequestRejected("change the request", http_status=400)
NO_CREDITS = AluoOutOfCredits("top up", http_status=402, retry_after=5.0)
REFUSED = AluoUnauthorized("check the key", http_status=401)
GONE = TaskStoreError("the store is gone")


#: Paid for, and not landed.
TOO_LARGE = AluoPictureError("picture 1.png is too large", url="https://cdn.aluo.ai/1.png")
FINISHED = record.of_edit("edit_3", aluo_conn_id="aluo_default") | {
    "status": "SUCCESS",
    "result_urls": ["https://cdn.aluo.ai/1.png"],
}
LOST = Outcome(record.failed(FINISHED, TOO_LARGE, at=0.0), TOO_LARGE)


def failed(error: AluoError, *, tried: bool = True) -> Outcome:
    edit = record.of_edit("edit_2", aluo_conn_id="aluo_default")
    if isinstance(error, AluoEditFailed):
        return Outcome(record.failed(edit, error, at=0.0), error, tried)
    return Outcome(edit | {"aluo_task_id": None}, error, tried)


def end(*outcomes: Outcome, on_partial_failure: str = "fail", on_clear: str = "auto") -> Any:
    told = {"on_partial_failure": on_partial_failure, "on_clear": on_clear}
    return ended(outcomes, **told, log=logging.getLogger())


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
    assert said.endswith(
        "; and 3 more. 1 of 10 edits was not tried, nothing was sent for them: top up. 1 is accepted by "
        "Aluo: a retry, or a clear of this failed task, does not pay it again"
    )
    assert (caught.value.http_status, caught.value.retry_after) == (402, 5.0)


def test_failures_may_be_returned_but_not_nothing_else() -> None:
    assert len(end(DONE, failed(FAILED), on_partial_failure="return")) == 2
    with pytest.raises(AluoError, match="1 of 1 edit failed"):
        end(failed(FAILED), on_partial_failure="return")


def test_an_edit_that_did_not_land_is_paid_and_not_called_failed() -> None:
    with pytest.raises(AluoError) as caught:
        end(DONE, LOST, failed(FAILED))
    assert str(caught.value) == (
        "1 of 3 edits failed: [2] AluoEditFailed: edit_2 ended FAILED. 1 of 3 edits succeeded, but did not "
        "land: [1] AluoPictureError: picture 1.png is too large. 2 are accepted by Aluo: a retry, or a clear "
        "of this failed task, does not pay them again, and gets what is missing of them"
    )


def test_what_nobody_knows_is_not_called_a_picture_that_did_not_land() -> None:
    """An earlier try asked with another prompt: its pictures are not what this one wants."""
    unknown = AluoUnknownOutcome("this try asks with another prompt")
    with pytest.raises(AirflowFailException) as caught:
        end(Outcome(record.failed(FINISHED, unknown, at=0.0), unknown))
    assert str(caught.value) == (
        "1 of 1 edit failed: [0] AluoUnknownOutcome: this try asks with another prompt. 1 is accepted by "
        "Aluo: a retry, or a clear of this failed task, does not pay it again"
    )


def test_nothing_is_said_of_paying_where_nothing_was_paid() -> None:
    with pytest.raises(AluoError) as caught:
        end(failed(FAILED), on_clear="new")
    assert "pay" not in str(caught.value)


def test_a_clear_that_submits_anew_is_not_called_free() -> None:
    with pytest.raises(
        AluoError, match="Aluo: a retry does not pay it again, and gets what is missing of it"
    ):
        end(LOST, on_clear="new")


@pytest.mark.parametrize(
    ("on_clear", "said"),
    [
        ("auto", 'submits, and pays, all anew; on_clear="reuse" would submit only what failed'),
        ("new", 'submits, and pays, all anew; on_clear="reuse" would submit only what failed'),
        ("reuse", "clearing this task submits only what failed, and gets what is missing"),
    ],
)
def test_a_warning_says_what_a_clear_does(caplog: pytest.LogCaptureFixture, on_clear: str, said: str) -> None:
    assert len(end(LOST, failed(FAILED), on_partial_failure="return", on_clear=on_clear)) == 2
    assert "1 gave pictures; " in caplog.text
    assert said in caplog.text
