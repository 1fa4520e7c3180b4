"""How long a sensor has waited for an edit: over its tries, reschedules and restarts of anything."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.protocol.waiting import Progress
from airflow_aluo.task_store import TaskStore, TaskStoreError

if TYPE_CHECKING:
    from airflow.sdk import Context

#: The key under which the task state store keeps a wait.
KEY: Final = "aluo_wait"


class RememberedWait:
    """When a wait began, and how it has gone since.

    A wait begins with the task's first try and anew when a person clears the task (``max_tries`` tells, see
    ``durable.py``) or when it is another edit that is waited for. No money hangs on it: where nothing can be
    remembered, Airflow's date of the first reschedule or this moment is the beginning.

    :param context: the task's.
    :param aluo_task_id: the edit's.
    :param log: the task's.
    :param fallback: epoch seconds of the beginning where nothing is remembered; ``None`` for now.
    """

    #: Epoch seconds.
    started_at: float
    #: Of this try.
    progress: Progress

    def __init__(self, context: Context, aluo_task_id: str, log: Any, fallback: float | None) -> None:
        self._store, self._log = TaskStore(context), log
        self._whose = {"aluo_task_id": aluo_task_id, "max_tries": context["ti"].max_tries}
        self._try_number = context["ti"].try_number
        #: What is stored is not known, so nothing is put in its place.
        self._blind = False
        if not self._store.lasts:
            log.info(
                "this Airflow has no task state store (3.3 has): a retry waits for the whole timeout anew"
            )
        found = self._recall()
        if found is None:
            self.started_at, self.progress = fallback or time.time(), Progress()
            self.save()
        else:
            self.started_at, self.progress = found

    def _recall(self) -> tuple[float, Progress] | None:
        try:
            found = self._store.get(KEY)
        except TaskStoreError as error:
            self._log.warning("how long this task has waited already is not known: %s", error)
            self._blind = True
            return None
        try:
            if {name: found[name] for name in self._whose} != self._whose:
                return None
            same_try = found["try_number"] == self._try_number
            return float(found["started_at"]), Progress(**found["progress"]) if same_try else Progress()
        except (KeyError, TypeError, ValueError):
            return None

    def save(self) -> None:
        """Remember how it has gone so far, as well as can be."""
        if self._blind:
            return
        value = self._whose | {
            "try_number": self._try_number,
            "started_at": self.started_at,
            "progress": asdict(self.progress),
        }
        try:
            self._store.put(KEY, value)
        except TaskStoreError as error:
            self._log.warning("how long this task has waited cannot be remembered: %s", error)
