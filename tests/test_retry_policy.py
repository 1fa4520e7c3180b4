from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.protocol import errors
from airflow_aluo.retry_policy import AluoRetryPolicy
from tests.which_airflow import has, needs_retry_policies


def decided(error: BaseException, **kwargs: Any) -> Any:
    return AluoRetryPolicy(**kwargs).evaluate(error, try_number=1, max_tries=3)


@needs_retry_policies
def test_out_of_credits_waits_until_somebody_may_have_topped_up() -> None:
    error = errors.AluoOutOfCredits("Insufficient credits", http_status=402)
    assert (decided(error).action.name, decided(error).retry_delay) == ("RETRY", timedelta(hours=1))
    assert decided(error, out_of_credits_delay=timedelta(minutes=5)).retry_delay == timedelta(minutes=5)


@needs_retry_policies
@pytest.mark.parametrize(("asked", "seconds"), [(None, 15), (7.0, 7), (0.0, 0), (300.0, 300)])
def test_a_limit_is_waited_out_as_long_as_it_asks(asked: float | None, seconds: int) -> None:
    decision = decided(errors.AluoRateLimited("slow down", http_status=429, retry_after=asked))
    assert (decision.action.name, decision.retry_delay) == ("RETRY", timedelta(seconds=seconds))


@needs_retry_policies
@pytest.mark.parametrize(
    "error",
    [
        errors.AluoUnknownOutcome("nobody knows"),
        errors.AluoUnauthorized("no", http_status=401),
        errors.AluoRequestInvalid("photo edit", [errors.Problem("prompt", "''", "a sentence")]),
        errors.AluoEditTimedOut("late", aluo_task_id="edit_1", last_status=None),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_only_a_person_can_mend_is_not_tried_again(error: errors.AluoError) -> None:
    decision = decided(error)
    assert decision.action.name == "FAIL"
    assert type(error).__name__ in decision.reason


@needs_retry_policies
@pytest.mark.parametrize(
    "error",
    [
        errors.AluoError("the next try submits once more"),
        errors.AluoEditFailed("ended FAILED", aluo_task_id="edit_1"),
        errors.AluoConnectionError("no reply", sent=False),
        errors.AluoServerError("an error", http_status=500),
        ValueError("somebody else's"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_anything_else_is_left_to_the_tasks_own_settings(error: BaseException) -> None:
    assert decided(error).action.name == "DEFAULT"


def test_it_can_be_given_to_all_tasks_of_a_dag_mapped_ones_included() -> None:
    policy = AluoRetryPolicy()
    common = {"prompt": "Blue", "image_urls": ["https://x.example/a.png"]}
    with DAG("a_dag", schedule=None, default_args={"retries": 3, "retry_policy": policy}):
        plain = PhotoEditOperator(task_id="plain", **common)
        mapped = PhotoEditOperator.partial(task_id="mapped", image_urls=common["image_urls"]).expand(
            prompt=["Blue", "Red"]
        )
    assert plain.retries == mapped.retries == 3
    if has("airflow.sdk.definitions.retry_policy"):
        assert plain.retry_policy is mapped.retry_policy is policy
