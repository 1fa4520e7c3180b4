"""Waiting for an edit in the triggerer."""

from __future__ import annotations

import asyncio
import functools
import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_aluo.airflow_names import AirflowNotFoundException
from airflow_aluo.protocol import record
from airflow_aluo.protocol.errors import AluoError, AluoRateLimited, dump
from airflow_aluo.protocol.flows import NO_ANSWER
from airflow_aluo.protocol.replies import Phase
from airflow_aluo.protocol.schedule import SHORTEST_ABSENCE, WaitRule
from airflow_aluo.protocol.schemas import validator
from airflow_aluo.protocol.waiting import succeeded
from airflow_aluo.task_errors import goes_on
from airflow_aluo.trigger_events import read_event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from airflow_aluo.hooks.aluo import AluoHook
    from airflow_aluo.protocol.record import EditRecord

__all__ = [
    "PhotoEditBatchTrigger",
    "PhotoEditEvent",
    "PhotoEditTrigger",
    "completed",
    "last_look",
]

#: Bytes of JSON that an event of a batch carries, about: one more edit may come on top.
MOST_IN_EVENT: Final = 32 << 10


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
        began = time.monotonic()
        outcome = await self._outcome()
        await _until_airflow_knows(began)
        yield PhotoEditEvent(outcome)

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
        hook = functools.partial(_hook, self, self.aluo_conn_id)
        return await _waited(hook, self.aluo_task_id, self.rule, self.log)


class PhotoEditBatchTrigger(BaseTrigger):
    """Waits for some edits of a batch and fires one :class:`PhotoEditEvent` with how each has ended.

    It fires when all have ended, or earlier: when it has seen as much as an event should carry (Airflow logs
    whole events and stores them in its database), or when those that have ended should wait no longer for the
    others. It never raises.

    :param aluo_conn_id: the Airflow connection of the edits' account.
    :param edits: for each edit Aluo's id, and which fields of its
        :class:`~airflow_aluo.protocol.schedule.WaitRule` are not ``rule``'s.
    :param rule: the fields that all have in common.
    :param lands_within: seconds after the first end in which the others may end too; ``None``: there is time.
    """

    def __init__(
        self,
        *,
        aluo_conn_id: str,
        edits: list[list[Any]],
        rule: dict[str, Any],
        lands_within: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.aluo_conn_id, self.edits, self.rule = aluo_conn_id, edits, rule
        self.lands_within = lands_within
        self._rules = [(aluo_task_id, WaitRule(**rule | own)) for aluo_task_id, own in edits]

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that make this trigger again."""
        arguments = {
            "aluo_conn_id": self.aluo_conn_id,
            "edits": self.edits,
            "rule": self.rule,
            "lands_within": self.lands_within,
        }
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and fire once."""
        began = time.monotonic()
        hook = functools.cache(functools.partial(_hook, self, self.aluo_conn_id))
        waits = {
            asyncio.ensure_future(_waited(hook, aluo_task_id, rule, self.log)): aluo_task_id
            for aluo_task_id, rule in self._rules
        }
        try:
            seen = await self._seen(waits)
        finally:
            for one in waits:
                one.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        await _until_airflow_knows(began)
        yield PhotoEditEvent({"batch": seen})

    async def _seen(self, waits: Mapping[asyncio.Task[dict[str, Any]], str]) -> dict[str, Any]:
        """Return how those edits have ended of which the next event tells."""
        seen: dict[str, Any] = {}
        size = 0
        ends: float | None = None
        under_way = set(waits)
        while under_way and size < MOST_IN_EVENT:
            left = None if ends is None else max(ends - time.monotonic(), 0.0)
            done, under_way = await asyncio.wait(under_way, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
            if ends is None and self.lands_within is not None:
                ends = time.monotonic() + self.lands_within
            for one in done:
                if size < MOST_IN_EVENT:
                    seen[waits[one]] = one.result()
                    size += len(json.dumps(one.result()))
        return seen

    async def on_kill(self) -> None:
        """Say what becomes of the edits when a person ends the task; see :meth:`PhotoEditTrigger.on_kill`."""
        self.log.warning(
            "the wait for %d edits was ended from outside. They go on at Aluo, where nothing can cancel "
            "them; what the task does next about them stands in its own log",
            len(self.edits),
        )


async def _until_airflow_knows(began: float) -> None:
    """Leave Airflow time to hear that the task has left its worker.

    :param began: when the trigger did, by the monotonic clock.
    """
    await asyncio.sleep(max(began + SHORTEST_ABSENCE - time.monotonic(), 0.0))


def _hook(trigger: BaseTrigger, aluo_conn_id: str) -> AluoHook:
    from airflow_aluo.hooks.aluo import AluoHook
    from airflow_aluo.metrics import StatsTally

    hook = AluoHook(aluo_conn_id)
    hook.tally = StatsTally.of_trigger(trigger, aluo_conn_id)
    return hook


async def _waited(
    hook: Callable[[], AluoHook], aluo_task_id: str, rule: WaitRule, log: Any
) -> dict[str, Any]:
    """Wait for an edit and return how that ended, as an event holds it."""
    try:
        snapshot = await hook().await_snapshot(aluo_task_id, rule)
    except AluoError as error:
        return {"error": dump(error)}
    except AirflowNotFoundException as error:
        return {"error": dump(AluoError(str(error)))}
    except Exception as error:
        # The worker that logs a trigger's traceback has not masked the key yet: it stays here.
        log.exception("the wait for edit %s failed", aluo_task_id)
        what = f"the wait for edit {aluo_task_id} failed in the triggerer: {type(error).__name__}"
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
