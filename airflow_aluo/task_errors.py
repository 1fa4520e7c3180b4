"""How an error of ours ends an Airflow task: the one place where ``protocol`` errors meet Airflow's."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_aluo.airflow_names import AirflowFailException, AirflowTaskTimeout
from airflow_aluo.protocol.errors import AluoEditFailed, AluoError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_aluo.protocol.record import EditRecord


@contextmanager
def final_errors_fail() -> Iterator[None]:
    """Fail the task at once on an error that another try cannot mend; leave the others to its retries.

    :raises AirflowFailException: chained from the final error; uses up no retry.
    """
    try:
        yield
    except AluoError as error:
        if error.final:
            raise AirflowFailException(str(error)) from error
        raise


@contextmanager
def submit_is_final() -> Iterator[None]:
    """Let no surprise during the submit, such as ``execution_timeout``, lead to another try.

    :raises AluoUnknownOutcome: chained from what went wrong.
    """
    try:
        yield
    except AluoError:
        raise
    except (Exception, AirflowTaskTimeout) as error:
        from airflow_aluo.protocol.flows import unknown_outcome

        raise unknown_outcome(f"{type(error).__name__} struck during the submit") from error


@contextmanager
def paid_for(accepted: EditRecord) -> Iterator[None]:
    """Let no failure after the acceptance lead to another try, which would submit and pay again.

    Only an edit that ended FAILED may be tried again: Aluo took nothing for it.

    :raises AirflowFailException: chained from what went wrong; names the edit.
    """
    try:
        yield
    except AluoEditFailed:
        raise
    except (Exception, AirflowTaskTimeout) as error:
        how = how_to_go_on(accepted["aluo_task_id"])
        raise AirflowFailException(f"{type(error).__name__}: {error}. {how}") from error


def how_to_go_on(aluo_task_id: str | None) -> str:
    """Return what a person can do about an edit that was accepted and is not waited for any more."""
    return (
        f"Aluo accepted this edit as {aluo_task_id}; it goes on there and may cost credits. "
        f"PhotoEditStatusSensor(aluo_task_id={aluo_task_id!r}) waits for it; "
        "clearing this task submits, and pays, anew"
    )
