"""Links of the operators to the gallery: buttons above a task instance's details, also while it waits.

Airflow asks for them in the worker, when a try has ended or gives its worker up, and keeps them as XComs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseOperatorLink

from airflow_aluo import gallery

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

__all__ = ["PhotoEditsLink", "ResultLink", "RunLink"]


class PhotoEditsLink(BaseOperatorLink):
    """Leads to the gallery's tab of a task instance: its edits, before and after."""

    name = "Photo edits"
    xcom_key = gallery.LINK

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:  # noqa: ARG002  # Airflow asks so
        """Return an address relative to Airflow's own. ``ti_key``: whose; a task instance will do."""
        return gallery.tab(*_instance(ti_key))


class ResultLink(BaseOperatorLink):
    """Leads to the task instance's first picture, large; until it is there, to the edit under way."""

    name = "Result"
    xcom_key = "_link_aluo_result"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:  # noqa: ARG002  # Airflow asks so
        """Return an address relative to Airflow's own. ``ti_key``: whose; a task instance will do."""
        return f"{gallery.of_task_instance(*_instance(ti_key))}?open=first"


class RunLink(BaseOperatorLink):
    """Leads to the gallery's tab of the whole run, for a task that has no edits of its own."""

    name = "Photo edits of the run"
    xcom_key = "_link_aluo_run"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:  # noqa: ARG002  # Airflow asks so
        """Return an address relative to Airflow's own. ``ti_key``: whose; a task instance will do."""
        dag_id, run_id, *_ = _instance(ti_key)
        return gallery.tab_of_run(dag_id, run_id)


#: Of every task that has edits.
EDIT_LINKS: Final = (PhotoEditsLink(), ResultLink())


def _instance(ti_key: Any) -> tuple[str, str, str, int]:
    index = -1 if ti_key.map_index is None else ti_key.map_index
    return ti_key.dag_id, ti_key.run_id, ti_key.task_id, index
