"""What a task tells other tasks, and itself once it is resumed, about its edit: by XCom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.task_errors import how_to_go_on
from airflow_aluo.task_store import TaskStore

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_aluo.protocol.record import EditRecord

#: The XCom that holds the record of the edit as it was submitted. Airflow keeps it while the task is
#: deferred, and wipes it at the next try.
SUBMITTED: Final = "submitted"

#: The XCom that holds the edits under review, in the order of the options; then with what was decided.
REVIEWED: Final = "reviewed"


def announce(ti: Any, pending: EditRecord) -> None:
    """Tell of an edit that is waited for."""
    ti.xcom_push(key=SUBMITTED, value=pending)
    ti.xcom_push(key="aluo_task_id", value=pending["aluo_task_id"])


def edit(ti: Any) -> Any:
    """Return what this try told of its edit, ``None`` if nothing."""
    return ti.xcom_pull(task_ids=ti.task_id, key=SUBMITTED, map_indexes=ti.map_index)


def how_to_go_on_unremembered(context: Context) -> str | None:
    """Return what to do about an edit that this try submitted before it was deferred.

    ``None`` if there is none, or if a later try would know of it.
    """
    if TaskStore(context).lasts:
        return None
    try:
        found = edit(context["ti"])
    except Exception as error:  # noqa: BLE001  # whatever it is, it must not lead to another submit
        return f"whether an edit was submitted could not be asked ({error}); look at this task's log"
    return None if found is None else how_to_go_on(found, remembered=False)
