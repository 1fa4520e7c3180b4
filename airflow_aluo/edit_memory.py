"""Where a task's entry about its edit is kept: in Airflow's task state store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.protocol.flows import Pause
from airflow_aluo.protocol.remembered import KEY, Entry
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
    """The :class:`~airflow_aluo.durable.Memory` of a task: reads and writes its entry, and nothing else.

    :param store: the task's.
    :param log: the task's.
    """

    def __init__(self, store: TaskStore, log: Any) -> None:
        self._store, self._log = store, log
        #: What is stored, as far as it was heard.
        self._stored: Entry | None = None
        self._unsaved: Entry | None = None

    @property
    def lasts(self) -> bool:
        """Whether a later try finds anything here."""
        return self._store.lasts

    @property
    def owes(self) -> bool:
        """Whether something could not be stored yet."""
        return self._unsaved is not None

    @property
    def knows(self) -> bool:
        """Whether a later try will know of the edit."""
        if self._unsaved is None or self._unsaved.record is None:
            return self.lasts and not self.owes
        stored = self._stored.record if self._stored else None
        return stored is not None and stored["aluo_task_id"] == self._unsaved.edit["aluo_task_id"]

    def recall(self) -> Entry | None:
        """Return what is remembered.

        :raises TaskStoreError: nobody knows whether anything is. Nothing was sent.
        :raises AluoRequestInvalid: it is nothing of ours.
        """
        value = self._store.get(KEY)
        self._stored = None if value is None else Entry.from_json(value)
        return self._stored

    def keep(self, entry: Entry) -> None:
        """Remember.

        :raises TaskStoreError: it is not sure that this is remembered now.
        """
        self._store.put(KEY, entry.to_json())
        self._stored, self._unsaved = entry, None

    def save(self, entry: Entry) -> None:
        """Remember, if not now then when :meth:`save_again` is called."""
        try:
            self.keep(entry)
        except TaskStoreError as error:
            self._unsaved = entry
            what = "that the outcome of a submit is unknown"
            if entry.record:  # if the worker dies now, a person must know
                what = f"edit {entry.record['aluo_task_id']}"
                self._log.error("%s", how_to_go_on(entry.record, remembered=self.knows))
            self._log.error("%s could not be remembered, trying again later: %s", what, error)

    def save_again(self) -> None:
        """Remember what could not be stored before, if anything."""
        if self._unsaved is not None:
            self.save(self._unsaved)

    def settle(self, now: Callable[[], float]) -> Flow[None]:
        """Store what could not be stored before, patiently: a conversation without calls.

        :param now: epoch seconds.
        """
        ends_at, pause = now() + PATIENCE, 1.0
        while self.owes and now() < ends_at:
            yield Pause(pause)
            self.save_again()
            pause = min(pause * 2, LONGEST_PAUSE)

    def forget(self) -> None:
        """Remember nothing any more, as well as can be."""
        self._unsaved = None
        try:
            self._store.delete(KEY)
        except TaskStoreError as error:
            self._log.warning("what is remembered of the edit could not be deleted: %s", error)
