"""Names that moved, or came, between the versions of Airflow that this package supports."""

from typing import Any

try:
    from airflow.sdk.configuration import conf
    from airflow.sdk.exceptions import (
        AirflowFailException,
        AirflowNotFoundException,
        AirflowRescheduleException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
        TaskDeferralError,
        TaskDeferralTimeout,
    )
except ImportError:  # pragma: no cover  # Airflow 3.1
    from airflow.configuration import conf
    from airflow.exceptions import (  # type: ignore[no-redef,attr-defined]
        AirflowFailException,
        AirflowNotFoundException,
        AirflowRescheduleException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
        TaskDeferralError,
        TaskDeferralTimeout,
    )

try:
    from airflow.sdk import ExceptionRetryPolicy, RetryDecision, RetryRule
except ImportError:  # pragma: no cover  # Airflow 3.1 and 3.2 have no retry policies

    class ExceptionRetryPolicy:  # type: ignore[no-redef]
        """Stands where Airflow's would; no Airflow without it asks it anything."""

        def __init__(self, rules: Any) -> None:
            self.rules = rules

    RetryDecision = RetryRule = dict  # type: ignore[misc,assignment]

__all__ = [
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowRescheduleException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "AirflowTaskTimeout",
    "ExceptionRetryPolicy",
    "RetryDecision",
    "RetryRule",
    "TaskDeferralError",
    "TaskDeferralTimeout",
    "conf",
]
