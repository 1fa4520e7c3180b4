"""Waiting for an edit in the triggerer."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_aluo.airflow_names import AirflowNotFoundException
from airflow_aluo.protocol import record
from airflow_aluo.protocol.errors import AluoError, AluoRateLimited, dump, load
from airflow_aluo.protocol.flows import NO_ANSWER
from airflow_aluo.protocol.replies import Credits, Phase, Snapshot
from airflow_aluo.protocol.schedule import WaitRule
from airflow_aluo.protocol.schemas import validator
from airflow_aluo.protocol.waiting import succeeded
from airflow_aluo.task_errors import goes_on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_aluo.hooks.aluo import AluoHook
    from airflow_aluo.protocol.record import EditRecord

__all__ = ["PhotoEditEvent", "PhotoEditTrigger", "completed", "last_look", "read_event"]


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
    :param estimated_credits: what the edit may cost, where that is known.
    :param rule: the fields of :class:`~airflow_aluo.protocol.schedule.WaitRule`: until when to wait and how
        often to look. Its deadline is wall clock, for it outlives restarts of the triggerer.
    """

    def __init__(
        self, *, aluo_task_id: str, aluo_conn_id: str, estimated_credits: float | None = None, **rule: Any
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.aluo_task_id = aluo_task_id
        self.aluo_conn_id = aluo_conn_id
        self.estimated_credits = estimated_credits
        self.rule = WaitRule(**rule)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that make this trigger again."""
        names = {
            "aluo_task_id": self.aluo_task_id,
            "aluo_conn_id": self.aluo_conn_id,
            "estimated_credits": self.estimated_credits,
        }
        return f"{type(self).__module__}.{type(self).__qualname__}", names | asdict(self.rule)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and fire once."""
        yield PhotoEditEvent(await self._outcome())

    async def on_kill(self) -> None:
        """Say what becomes of the edit when a person ends the task: there is no way to cancel it.

        Airflow calls this also where another triggerer has taken the wait over (seen in 3.3.2, see
        https://github.com/apache/airflow/pull/73454), so nothing is said or done here that is not true then.
        """
        self.log.warning(
            "this wait was ended from outside. %s; what the task does next about it stands in its own log",
            goes_on(self.aluo_task_id, self.estimated_credits),
        )

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


def completed(event: Any, hook: AluoHook, pending: EditRecord) -> EditRecord:
    """Return an edit's completed record, given the event that ended the wait for it.

    An event that says nothing (``dag.test()`` makes words of some) is no end: one look decides.

    :raises AluoError: what ended the wait instead.
    """
    if not validator("trigger_event").is_valid(event):
        return last_look(hook, pending, f"the triggerer sent no event of PhotoEditTrigger: {event!r:.200}")
    return record.completed(pending, read_event(event), at=time.time())


def last_look(hook: AluoHook, pending: EditRecord, reason: str) -> EditRecord:
    """Look at an edit whose wait ended without a word.

    :param reason: why.
    :raises AluoError: it has not succeeded.
    """
    aluo_task_id = record.task_id(pending)
    try:
        snapshot = hook.get_status(aluo_task_id)
    except (AluoRateLimited, *NO_ANSWER) as error:
        raise AluoError(f"{reason}; edit {aluo_task_id} could not be looked at either: {error}") from error
    if snapshot.phase is Phase.RUNNING:
        raise AluoError(f"{reason}; edit {aluo_task_id} is {snapshot.status}")
    return record.completed(pending, succeeded(aluo_task_id, snapshot), at=time.time())


def read_event(event: Any) -> Snapshot:
    """Return the succeeded edit as the trigger saw it; what ended the wait instead is raised.

    :raises AluoError: the trigger's error rebuilt, or one that says that the event cannot be read.
    """
    if not validator("trigger_event").is_valid(event):
        raise AluoError(f"no event of PhotoEditTrigger: {event!r:.200}")
    if "error" in event:
        raise load(event["error"])
    found = dict(event["snapshot"])
    said = Credits(**found.pop("credits"))
    snapshot = Snapshot(**found | {"result_urls": tuple(found["result_urls"]), "credits": said})
    if snapshot.phase is not Phase.SUCCEEDED or not snapshot.result_urls:
        raise AluoError(f"the triggerer ended the wait for an edit that is {snapshot.status!r}")
    return snapshot
