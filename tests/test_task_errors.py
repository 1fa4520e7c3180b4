import inspect

import pytest

from airflow_aluo.airflow_names import AirflowFailException
from airflow_aluo.protocol import errors
from airflow_aluo.task_errors import final_errors_fail

PROBLEM = errors.Problem("prompt", "''", "a sentence")
EXAMPLES = [
    errors.AluoError("x"),
    errors.AluoRequestInvalid("photo edit", [PROBLEM]),
    errors.AluoConnectionError("x", sent=True),
    errors.AluoConnectionError("x", sent=False),
    errors.AluoReplyError("x", http_status=200),
    errors.AluoApiError("x", http_status=418),
    errors.AluoRequestRejected("x", http_status=400),
    errors.AluoUnauthorized("x", http_status=401),
    errors.AluoOutOfCredits("x", http_status=402),
    errors.AluoRateLimited("x", http_status=429),
    errors.AluoServerError("x", http_status=500),
    errors.AluoEditError("x", aluo_task_id="edit-1"),
    errors.AluoEditFailed("x", aluo_task_id="edit-1"),
    errors.AluoEditTimedOut("x", aluo_task_id="edit-1", last_status=None),
    errors.AluoPictureError("x", url="http://a.b/"),
    errors.AluoAddressRefused("x", url="http://a.b/"),
    errors.AluoUnknownOutcome("x"),
]
FINAL = {
    "AluoAddressRefused",
    "AluoEditTimedOut",
    "AluoRequestInvalid",
    "AluoRequestRejected",
    "AluoUnauthorized",
    "AluoUnknownOutcome",
}


def test_every_error_is_among_the_examples() -> None:
    known = {
        name for name, found in inspect.getmembers(errors, inspect.isclass) if issubclass(found, Exception)
    }
    assert {type(error).__name__ for error in EXAMPLES} == known


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_a_final_error_uses_up_no_retry_and_every_other_is_left_alone(error: errors.AluoError) -> None:
    with pytest.raises((errors.AluoError, AirflowFailException)) as caught, final_errors_fail():
        raise error
    if type(error).__name__ in FINAL:
        assert type(caught.value) is AirflowFailException
        assert str(caught.value) == str(error)
        assert caught.value.__cause__ is error
    else:
        assert caught.value is error


def test_an_error_of_somebody_else_is_left_alone() -> None:
    with pytest.raises(KeyError, match="mine"), final_errors_fail():
        raise KeyError("mine")


def test_without_an_error_nothing_happens() -> None:
    with final_errors_fail():
        pass
