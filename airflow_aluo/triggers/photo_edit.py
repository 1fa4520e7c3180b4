"""Waiting for an edit in the triggerer."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_aluo.airflow_names import AirflowNotFoundException
from airflow_aluo.protocol.errors import AluoError, dump, load
from airflow_aluo.protocol.replies import Credits, Phase, Snapshot
from airflow_aluo.protocol.schedule import WaitRule
from airflow_aluo.protocol.schemas import validator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["PhotoEditEvent", "PhotoEditTrigger", "read_event"]


class PhotoEditEvent(TriggerEvent):
    """How a wait ended: plain JSON, schema ``trigger_event``.

    Airflow logs whole events; this one does not show what it carries, for result addresses may be signed.
    """

    def __init__(self, payload: dict[str, Any]) -> None:
        super().__init__(payload)  # type: ignore[no-untyped-call]  # Airflow's

    def __repr__(self) -> str:
        return f"{type(self).__name__}<{next(iter(self.payload))}>"

    __str__ = __repr__


class PhotoEditTrigger(BaseTrigger):
    """Waits until an edit has ended and fires one :class:`PhotoEditEvent`.

    It never raises: what went wrong travels in the event, as plain JSON that holds no key.

    :param aluo_task_id: Aluo's id of the edit.
    :param aluo_conn_id: the Airflow connection of the edit's account.
    :param rule: the fields of :class:`~airflow_aluo.protocol.schedule.WaitRule`: until when to wait and how
        often to look. Its deadline is wall clock, for it outlives restarts of the triggerer.
    """

    def __init__(self, *, aluo_task_id: str, aluo_conn_id: str, **rule: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.aluo_task_id = aluo_task_id
        self.aluo_conn_id = aluo_conn_id
        self.rule = WaitRule(**rule)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that make this trigger again."""
        names = {"aluo_task_id": self.aluo_task_id, "aluo_conn_id": self.aluo_conn_id}
        return f"{type(self).__module__}.{type(self).__qualname__}", names | asdict(self.rule)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and fire once."""
        yield PhotoEditEvent(await self._outcome())

    async def _outcome(self) -> dict[str, Any]:
        from airflow_aluo.hooks.aluo import AluoHook

        try:
            snapshot = await AluoHook(self.aluo_conn_id).await_snapshot(self.aluo_task_id, self.rule)
        except AluoError as error:
            return {"error": dump(error)}
        except AirflowNotFoundException as error:
            return {"error": dump(AluoError(str(error)))}
        except Exception as error:
            # The worker that logs a trigger's traceback has not masked the key yet: it stays here.
            self.log.exception("the wait for edit %s failed", self.aluo_task_id)
            what = f"the wait for edit {self.aluo_task_id} failed in the triggerer: {type(error).__name__}"
            return {"error": dump(AluoError(f"{what}; its log has the details"))}
        return {"snapshot": asdict(snapshot) | {"result_urls": list(snapshot.result_urls)}}


def read_event(event: Any) -> Snapshot:
    """Return the succeeded edit as the trigger saw it; what ended the wait instead is raised.

    :raises AluoError: the trigger's error rebuilt, or one that says that the event cannot be read.
    """
    if not validator("trigger_event").is_valid(event):
        raise AluoError(f"the triggerer sent something that is no event of PhotoEditTrigger: {event!r:.200}")
    if "error" in event:
        raise load(event["error"])
    found = dict(event["snapshot"])
    said = Credits(**found.pop("credits"))
    snapshot = Snapshot(**found | {"result_urls": tuple(found["result_urls"]), "credits": said})
    if snapshot.phase is not Phase.SUCCEEDED or not snapshot.result_urls:
        raise AluoError(f"the triggerer ended the wait for an edit that is {snapshot.status!r}")
    return snapshot
