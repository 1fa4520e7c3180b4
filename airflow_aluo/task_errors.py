"""How an error of ours ends an Airflow task: the one place where ``protocol`` errors meet Airflow's."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_aluo.airflow_names import AirflowFailException
from airflow_aluo.protocol.errors import AluoError

if TYPE_CHECKING:
    from collections.abc import Iterator


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
