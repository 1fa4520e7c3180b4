"""Where the gallery shows what: addresses below Airflow's own, for links, reviews and the gallery itself.

All are relative to Airflow's address, whatever path a proxy serves it under. And what it sends along.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

#: Where the API server mounts the gallery.
MOUNT: Final = "aluo"

#: The tab's names in Airflow's addresses, by what it stands beside.
TABS: Final = {
    "nav": "aluo-edits",
    "dag": "aluo-edits-dag",
    "dag_run": "aluo-edits-run",
    "task": "aluo-edits-task",
    "task_instance": "aluo-edits-instance",
}

#: The XCom by which a task instance that tells of edits is known, whatever its operator is called; Airflow
#: keeps there what the link to the gallery leads to.
LINK: Final = "_link_aluo_photo_edits"

#: Sent with every answer of the gallery. Prompts and names are strangers' text, and a script in this page
#: could act as the person who looks at it: nothing but the page's own files runs, and it talks to nobody but
#: this server.
HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}


def of_task_instance(dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    """Return the gallery of one task instance, without Airflow's pages around it."""
    return f"{MOUNT}/{_run(dag_id, run_id)}/tasks/{quote(task_id, safe='')}/{map_index}"


def tab(dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    """Return Airflow's page of a task instance, with the gallery's tab open."""
    mapped = "" if map_index < 0 else f"/mapped/{map_index}"
    instance = f"{_run(dag_id, run_id)}/tasks/{quote(task_id, safe='')}{mapped}"
    return f"{instance}/plugin/{TABS['task_instance']}"


def tab_of_run(dag_id: str, run_id: str) -> str:
    """Return Airflow's page of a run, with the gallery's tab open."""
    return f"{_run(dag_id, run_id)}/plugin/{TABS['dag_run']}"


def picture(  # noqa: PLR0917  # the address has so many parts
    dag_id: str, run_id: str, task_id: str, map_index: int, position: int, kind: str, number: int
) -> str:
    """Return a picture of an edit that a task instance has told of.

    :param position: of the edit's record in what the task instance told, from 0.
    :param kind: ``before`` or ``after``.
    :param number: of the picture in the edit, from 0.
    """
    instance = f"{_run(dag_id, run_id)}/tasks/{quote(task_id, safe='')}/{map_index}"
    return f"{MOUNT}/api/{instance}/pictures/{position}/{kind}/{number}"


def _run(dag_id: str, run_id: str) -> str:
    return f"dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"
