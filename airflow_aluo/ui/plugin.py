"""What Airflow loads: the gallery's tabs, and the application behind them.

Every part of Airflow imports this, the scheduler, too: the application is made when the first request comes.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from airflow.plugins_manager import AirflowPlugin

from airflow_aluo.gallery import MOUNT, TABS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    _Application = Callable[[Any, Any, Any], Awaitable[None]]

#: What the tabs are called.
_NAME: Final = "Photo edits"

#: What each tab shows, below the mount. Relative: Airflow may lie below a path. Where there is no value, as
#: for the map index of a task that is not mapped, Airflow leaves the words in braces.
_PLACES: Final = {
    "nav": "",
    "dag": "dags/{DAG_ID}",
    "dag_run": "dags/{DAG_ID}/runs/{RUN_ID}",
    "task": "dags/{DAG_ID}/tasks/{TASK_ID}",
    "task_instance": "dags/{DAG_ID}/runs/{RUN_ID}/tasks/{TASK_ID}/{MAP_INDEX}",
}


class Gallery:
    """The application, made when it is asked for the first time."""

    _application: _Application | None = None

    def __init__(self) -> None:
        self._lock = Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        await self._made()(scope, receive, send)

    def _made(self) -> _Application:
        with self._lock:
            if self._application is None:
                from airflow_aluo.ui.app import Secured, build

                self._application = Secured(build())
        return self._application


def _views() -> list[dict[str, Any]]:
    return [
        {
            "name": _NAME,
            "href": f"{MOUNT}/{place}",
            "destination": destination,
            "url_route": TABS[destination],
            "icon": f"{MOUNT}/static/icon.svg",
            **({"category": "browse"} if destination == "nav" else {}),
        }
        for destination, place in _PLACES.items()
    ]


class AluoPlugin(AirflowPlugin):
    """Shows the edits of DAGs, runs and tasks in Airflow's pages."""

    name = "aluo"
    fastapi_apps: list[Any] = [{"app": Gallery(), "url_prefix": f"/{MOUNT}", "name": _NAME}]  # noqa: RUF012
    external_views: list[Any] = _views()  # both are Airflow's, for each plugin's class
