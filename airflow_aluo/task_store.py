"""Airflow's task state store: the one place where it is read and written.

What is in it outlives a try, a clear and the worker, and is gone with the DAG run. Airflow has it since 3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_aluo.protocol.errors import AluoError

if TYPE_CHECKING:
    from airflow.sdk import Context


class TaskStoreError(AluoError):
    """The task state store could not be asked; trying again helps. Chained from Airflow's own error."""


class TaskStore:
    """What a task remembers, by key; plain JSON. Nothing at all where this Airflow has no such store."""

    def __init__(self, context: Context) -> None:
        self._store: Any = context.get("task_state_store")

    @property
    def lasts(self) -> bool:
        """Whether a later try finds what this one puts."""
        return self._store is not None

    def get(self, key: str) -> Any:
        """Return what is remembered, or ``None``.

        :raises TaskStoreError: it cannot be known.
        """
        if self._store is None:
            return None
        try:
            return self._store.get(key)
        except Exception as error:
            raise TaskStoreError(
                f"Airflow's task state store could not be read ({error}), so this try does not know what "
                "earlier ones have done"
            ) from error

    def put(self, key: str, value: dict[str, Any]) -> None:
        """Remember.

        :raises TaskStoreError: it was not stored, or may not have been.
        """
        if self._store is None:
            return
        try:
            self._store.set(key, value)
        except Exception as error:
            raise TaskStoreError(f"Airflow's task state store could not be written ({error})") from error

    def delete(self, key: str) -> None:
        """Forget.

        :raises TaskStoreError: it is still there, or may be.
        """
        if self._store is None:
            return
        try:
            self._store.delete(key)
        except Exception as error:
            raise TaskStoreError(f"Airflow's task state store could not be written ({error})") from error
