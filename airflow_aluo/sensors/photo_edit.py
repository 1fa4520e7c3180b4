"""Wait for an edit that another task has submitted."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator, BaseSensorOperator, PokeReturnValue

from airflow_aluo.airflow_names import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferralTimeout,
    conf,
)
from airflow_aluo.protocol import record
from airflow_aluo.protocol.errors import AluoEditFailed, AluoEditTimedOut, AluoError
from airflow_aluo.protocol.schedule import BACKSTOP, DEFAULT_POLL_INTERVAL, DEFAULT_TIMEOUT, WaitRule
from airflow_aluo.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow.sdk import Context, XComArg

    from airflow_aluo.protocol.record import EditRecord

__all__ = ["PhotoEditStatusSensor"]


class PhotoEditStatusSensor(BaseSensorOperator):
    """Waits until an edit has succeeded and returns its record, now with ``result_urls``.

    The outcome is the same in poke, reschedule and deferrable mode: an edit that ended FAILED, a refused
    key or a refused id fails the task without using up retries; looks that bring no answer are survived
    for a while (in reschedule mode until the timeout, for nobody counts them); a timeout is an
    ``AirflowSensorTimeout`` chained from ``AluoEditTimedOut``. With ``soft_fail`` a timeout skips the task
    and nothing else does; with ``never_fail`` every failure does.
    ``result_urls`` is an XCom of its own, too, so ``wait.output["result_urls"]`` works.

    :param aluo_task_id: what :class:`~airflow_aluo.operators.photo_edit.PhotoEditOperator` returned, or
        Aluo's id of an edit (templated).
    :param aluo_conn_id: the Airflow connection of the edit's account; by default the record's, or
        ``aluo_default`` for a bare id (templated).
    :param deferrable: wait in the triggerer, without a worker.
    :param timeout: seconds to wait.
    :param poke_interval: seconds between two looks, in every mode; ``exponential_backoff`` and ``max_wait``
        hold in every mode, too.
    """

    template_fields: Sequence[str] = ("aluo_task_id", "aluo_conn_id")
    ui_color = "#e3f0ea"

    def __init__(
        self,
        *,
        aluo_task_id: str | EditRecord | XComArg,
        aluo_conn_id: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        timeout: timedelta | float = DEFAULT_TIMEOUT,
        poke_interval: timedelta | float = DEFAULT_POLL_INTERVAL,
        **kwargs: Any,
    ) -> None:
        super().__init__(timeout=timeout, poke_interval=poke_interval, **kwargs)
        self.aluo_task_id = aluo_task_id
        self.aluo_conn_id = aluo_conn_id
        self.deferrable = deferrable
        self._upstream = Upstream.of("aluo_task_id", aluo_task_id)

    def poke(self, context: Context) -> PokeReturnValue:  # noqa: ARG002  # Airflow asks so
        """Look once; done when the edit has succeeded."""
        with self._outcomes():
            pending = self._pending()
            finished = self._hook(pending).peek(pending)
            return PokeReturnValue(finished is not None, finished)

    def execute(self, context: Context) -> EditRecord:
        """Wait in the chosen mode."""
        with self._outcomes():
            pending = self._pending()
            rule = self._rule(context, pending)
            if not self.deferrable and not self.reschedule:
                return self._finished(context, self._hook(pending).complete(pending, rule))
            return self._wait_without_worker(context, pending, rule)

    def _wait_without_worker(self, context: Context, pending: EditRecord, rule: WaitRule) -> EditRecord:
        """Look if that can pay, then leave the worker until the triggerer or the next look."""
        hook, now = self._hook(pending), time.time()
        if now >= rule.deadline:
            return self._finished(context, hook.complete(pending, rule))  # the last look decides
        if rule.first_look_at <= now and (finished := hook.peek(pending)):
            return self._finished(context, finished)
        if self.deferrable:
            return self._defer(pending, rule)
        waited = now - (rule.deadline - self.timeout)
        pause = rule.first_pause(now) or rule.next_pause(rule.looks_after(waited), now) or 0.0
        next_look = datetime.fromtimestamp(now + pause, UTC)
        raise AirflowRescheduleException(next_look)  # type: ignore[no-untyped-call]  # Airflow's

    def _defer(self, pending: EditRecord, rule: WaitRule) -> NoReturn:
        from airflow_aluo.triggers.photo_edit import PhotoEditTrigger

        self.defer(
            trigger=PhotoEditTrigger(
                aluo_task_id=record.task_id(pending), aluo_conn_id=self._conn_id(pending), **asdict(rule)
            ),
            method_name=self.execute_complete.__name__,
            timeout=timedelta(seconds=self.timeout + BACKSTOP),
        )

    def execute_complete(self, context: Context, event: Any) -> EditRecord:
        """Go on when the triggerer has seen the edit's end."""
        from airflow_aluo.triggers.photo_edit import read_event

        with self._outcomes():
            finished = record.completed(self._pending(), read_event(event), at=time.time())
            return self._finished(context, finished)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume without the base sensor's habit of skipping on every failure under ``soft_fail``."""
        with self._outcomes():
            try:
                return BaseOperator.resume_execution(self, next_method, next_kwargs, context)
            except TaskDeferralTimeout:
                pending = self._pending()
                rule = WaitRule(deadline=time.time(), poll_interval=self.poke_interval)
                return self._finished(context, self._hook(pending).complete(pending, rule))

    def _pending(self) -> EditRecord:
        self._upstream.check(self.aluo_task_id, self.upstream_task_ids)
        return record.of_edit(self.aluo_task_id, aluo_conn_id=self.aluo_conn_id or "aluo_default")

    def _conn_id(self, pending: EditRecord) -> str:
        return self.aluo_conn_id or pending["aluo_conn_id"] or "aluo_default"

    def _hook(self, pending: EditRecord) -> Any:
        from airflow_aluo.hooks.aluo import AluoHook

        return AluoHook(self._conn_id(pending))

    def _rule(self, context: Context, pending: EditRecord) -> WaitRule:
        """Return how to wait: in reschedule mode the clock runs from the first start."""
        started = context["ti"].get_first_reschedule_date(context) if self.reschedule else None
        now = started.timestamp() if started else time.time()
        rule = record.wait_rule(pending, now=now, timeout=self.timeout, poll_interval=self.poke_interval)
        return replace(
            rule,
            exponential_backoff=self.exponential_backoff,
            max_wait=self.max_wait.total_seconds() if self.max_wait else None,
            silent_fail=self.silent_fail,
        )

    @contextmanager
    def _outcomes(self) -> Iterator[None]:
        """Say in Airflow's exceptions how a wait ended, the same in every mode."""
        try:
            yield
        except AluoEditTimedOut as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(str(error)) from error
            raise AirflowSensorTimeout(str(error)) from error
        except AluoError as error:
            if self.never_fail:
                raise AirflowSkipException(str(error)) from error
            if isinstance(error, AluoEditFailed):
                hint = "clear the task that submitted it, with downstream, to submit it anew"
                raise AirflowFailException(f"{error}; {hint}") from error
            if error.final:
                raise AirflowFailException(str(error)) from error
            raise
        except (AirflowRescheduleException, AirflowSkipException):
            raise
        except (Exception, AirflowTaskTimeout) as error:
            if self.never_fail:
                raise AirflowSkipException(str(error)) from error
            raise

    def _finished(self, context: Context, finished: EditRecord) -> EditRecord:
        self.log.info("edit %s is %s", finished["aluo_task_id"], finished["status"])
        context["ti"].xcom_push(key="result_urls", value=finished["result_urls"])
        return finished
