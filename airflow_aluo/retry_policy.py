"""When Airflow tries a task again that one of our errors has ended."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.protocol.errors import AluoError, AluoOutOfCredits, AluoRateLimited
from airflow_aluo.protocol.schedule import DEFAULT_RETRY_AFTER

try:
    from airflow.sdk import ExceptionRetryPolicy, RetryDecision, RetryRule
except ImportError:  # pragma: no cover  # Airflow 3.1 and 3.2 have no retry policies

    class ExceptionRetryPolicy:  # type: ignore[no-redef]
        """Stands where Airflow's would; no Airflow without it asks it anything."""

        def __init__(self, rules: Any) -> None:
            self.rules = rules

    RetryDecision = RetryRule = dict  # type: ignore[misc,assignment]

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["AluoRetryPolicy"]

#: How long after "insufficient credits" the next try waits: somebody has to top up the account.
OUT_OF_CREDITS_DELAY: Final = timedelta(hours=1)


class AluoRetryPolicy(ExceptionRetryPolicy):
    """Decides by the error when, and whether, a task is tried again within its ``retries``.

    ========================================  =============================================================
    error                                     next try
    ========================================  =============================================================
    ``AluoOutOfCredits`` (402)                after ``out_of_credits_delay``
    ``AluoRateLimited`` (429)                 after the time that Aluo asked for
    any whose ``final`` is true, such as      never: only a person can go on. (The operators see to that
    ``AluoUnauthorized``, ``AluoUnknown-``    without a policy; this is for the hook in your own ``@task``)
    ``Outcome``, ``AluoRequestInvalid``
    any other                                 as the task's ``retry_delay`` says
    ========================================  =============================================================

    Give it to tasks by ``default_args={"retries": 3, "retry_policy": AluoRetryPolicy()}``; set inside a
    mapped operator it is ignored by Airflow. Airflow before 3.3 has no retry policies and ignores it
    everywhere.

    :param out_of_credits_delay: how long to wait after 402.
    """

    def __init__(self, *, out_of_credits_delay: timedelta = OUT_OF_CREDITS_DELAY) -> None:
        super().__init__(
            rules=[
                RetryRule(
                    exception=AluoOutOfCredits,
                    retry_delay=out_of_credits_delay,
                    reason="Aluo account is out of credits; top it up",
                )
            ]
        )

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> Any:
        """Return the decision about one failure."""
        if isinstance(exception, AluoError) and exception.final:
            return RetryDecision.fail(reason=f"{type(exception).__name__}: another try cannot help")
        if isinstance(exception, AluoRateLimited):
            asked = DEFAULT_RETRY_AFTER if exception.retry_after is None else exception.retry_after
            return RetryDecision.retry(delay=timedelta(seconds=asked), reason="Aluo asked to wait")
        return super().evaluate(exception, try_number, max_tries, context)
