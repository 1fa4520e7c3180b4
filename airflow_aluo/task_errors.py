"""How an error of ours ends an Airflow task: the one place where ``protocol`` errors meet Airflow's."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_aluo.airflow_names import AirflowFailException
from airflow_aluo.protocol.errors import AluoError

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


def goes_on(aluo_task_id: str | None, estimated_credits: float | None, *, succeeded: bool = False) -> str:
    """Return what becomes of an edit that is not waited for any more."""
    cost = "credits" if estimated_credits is None else f"{estimated_credits:g} credits"
    if succeeded:
        return f"edit {aluo_task_id} has succeeded at Aluo and costs {cost}"
    return f"edit {aluo_task_id} goes on at Aluo, where nothing can cancel it, and may cost {cost}"


def how_to_go_on(edit: EditRecord, *, remembered: bool, returning: bool = False) -> str:
    """Return what a person can do about such an edit.

    :param remembered: a later try will know of it.
    :param returning: the task is about to return it, and may be remembered as having done so.
    """
    succeeded = bool(edit["result_urls"])
    becomes = goes_on(edit["aluo_task_id"], edit["credits"]["estimated"], succeeded=succeeded)
    if remembered and returning:
        return f"{becomes}; a retry returns it, clearing this task may submit, and pay, anew"
    if remembered:
        return f"{becomes}; clear this task to go on with it, if it still asks for the same"
    return (
        f"{becomes}; PhotoEditStatusSensor(aluo_task_id={edit['aluo_task_id']!r}) waits for it, "
        "clearing this task may submit, and pay, anew"
    )
