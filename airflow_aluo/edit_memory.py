"""Where a task's entry about its edit is kept: in Airflow's task state store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.protocol.flows import Pause
from airflow_aluo.protocol.remembered import KEY, Entry, Stage
from airflow_aluo.task_errors import how_to_go_on
from airflow_aluo.task_store import TaskStore, TaskStoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_aluo.protocol.flows import Flow

#: Seconds for which storing is tried again where nothing else is left to do: longer than Airflow's API server
#: takes to restart.
PATIENCE: Final = 60.0
#: Seconds between two such tries, at most.
LONGEST_PAUSE: Final = 10.0


class EditMemory:
    """The :class:`~airflow_aluo.driving.Memory` of a task: reads and writes its entry, and nothing else.

    :param store: the task's.
    :param log: the task's.
    """

    def __init__(self, store: TaskStore, log: Any) -> None:
        self._store, self._log = store, log
        #: What is stored, as far as it was heard.
        self._stored: Entry | None = None
        #: Something could not be stored, or deleted, yet.
        self.owes = False
        #: What should be stored, if something is owed.
        self._owed: Entry | None = None

    @property
    def lasts(self) -> bool:
        """Whether a later try finds anything here."""
        return self._store.lasts

    @property
    def knows(self) -> bool:
        """Whether a later try will know of the edit."""
        if not self.owes or self._owed is None or self._owed.record is None:
            return self.lasts and not self.owes
        stored = self._stored.record if self._stored else None
        return stored is not None and stored["aluo_task_id"] == self._owed.edit["aluo_task_id"]

    def recall(self) -> Entry | None:
        """Return what is remembered.

        :raises TaskStoreError: nobody knows whether anything is.
        :raises AluoRequestInvalid: it is nothing of ours.
        """
        value = self._store.get(KEY)
        self._stored = None if value is None else Entry.from_json(value)
        return self._stored

    def keep(self, entry: Entry) -> None:
        """Remember.

        :raises TaskStoreError: it is not sure that this is remembered now.
        """
        self._write(entry)

    def save(self, entry: Entry) -> None:
        """Remember, if not now then when :meth:`save_again` is called."""
        self._try(entry)

    def forget(self) -> None:
        """Remember nothing any more, if not now then when :meth:`save_again` is called."""
        self._try(None)

    def save_again(self) -> None:
        """Do what could not be done before, if anything."""
        if self.owes:
            self._try(self._owed)

    def settle(self, now: Callable[[], float]) -> Flow[None]:
        """Do what could not be done before, patiently: a conversation without calls.

        :param now: epoch seconds.
        """
        ends_at, pause = now() + PATIENCE, 1.0
        while self.owes and now() < ends_at:
            yield Pause(pause)
            self.save_again()
            pause = min(pause * 2, LONGEST_PAUSE)

    def _try(self, entry: Entry | None) -> None:
        try:
            self._write(entry)
        except TaskStoreError as error:
            said, self.owes, self._owed = self.owes, True, entry
            if not said:  # once, not at each try
                self._say(entry, error)

    def _write(self, entry: Entry | None) -> None:
        if entry is None:
            self._store.delete(KEY)
        else:
            self._store.put(KEY, entry.to_json())
        self._stored, self.owes, self._owed = entry, False, None

    def _say(self, entry: Entry | None, error: TaskStoreError) -> None:
        if entry is None:
            self._log.warning("what is remembered of the edit could not be deleted, trying again: %s", error)
        elif entry.record is None:
            self._log.error("an unknown outcome could not be remembered, trying again: %s", error)
        else:  # if the worker dies now, a person must know
            returning = entry.stage is Stage.RETURNED
            how = how_to_go_on(entry.record, remembered=self.knows, returning=returning)
            what = entry.record["aluo_task_id"]
            self._log.error("edit %s could not be remembered, trying again: %s. %s", what, error, how)
