"""How an error of ours ends an Airflow task: the one place where ``protocol`` errors meet Airflow's."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_aluo.airflow_names import AirflowFailException, AirflowTaskTimeout
from airflow_aluo.protocol.errors import AluoError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_aluo.protocol.record import EditRecord


@contextmanager
def final_errors_fail(but: type[AluoError] | tuple[type[AluoError], ...] = ()) -> Iterator[None]:
    """Fail the task at once on an error that another try cannot mend; leave the others to its retries.

    :param but: errors that are left to the retries although they are final.
    :raises AirflowFailException: chained from the final error; uses up no retry.
    """
    try:
        yield
    except AluoError as error:
        if error.final and not isinstance(error, but):
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


def goes_on(aluo_task_id: str | None, estimated_credits: float | None, *, succeeded: bool = False) -> str:
    """Return what becomes of an edit that is not waited for any more."""
    cost = "credits" if estimated_credits is None else f"{estimated_credits:g} credits"
    if succeeded:
        return f"edit {aluo_task_id} has succeeded at Aluo and costs {cost}"
    return f"edit {aluo_task_id} goes on at Aluo, where nothing can cancel it, and may cost {cost}"


def how_to_go_on(edit: EditRecord, *, remembered: bool) -> str:
    """Return what a person can do about such an edit. ``remembered``: a later try will know of it."""
    succeeded = bool(edit["result_urls"])
    becomes = goes_on(edit["aluo_task_id"], edit["credits"]["estimated"], succeeded=succeeded)
    if remembered:
        return f"{becomes}; clear this task to go on with it"
    return (
        f"{becomes}; PhotoEditStatusSensor(aluo_task_id={edit['aluo_task_id']!r}) waits for it, "
        "clearing this task submits, and pays, anew"
    )
