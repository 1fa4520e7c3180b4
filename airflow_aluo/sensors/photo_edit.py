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
    TaskDeferralError,
    TaskDeferralTimeout,
    conf,
)
from airflow_aluo.arguments import count
from airflow_aluo.links import EDIT_LINKS
from airflow_aluo.protocol import record
from airflow_aluo.protocol.errors import AluoEditFailed, AluoEditTimedOut, AluoError
from airflow_aluo.protocol.schedule import (
    BACKSTOP,
    DEFAULT_POLL_INTERVAL,
    DEFAULT_TIMEOUT,
    DEFAULT_TOLERATED_FAILURES,
    MIN_PAUSE,
    SHORTEST_ABSENCE,
    WaitRule,
)
from airflow_aluo.task_errors import goes_on
from airflow_aluo.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow.sdk import Context, XComArg

    from airflow_aluo.hooks.aluo import AluoHook
    from airflow_aluo.metrics import StatsTally
    from airflow_aluo.protocol.record import EditRecord
    from airflow_aluo.remembered_wait import RememberedWait

__all__ = ["PhotoEditStatusSensor"]


class PhotoEditStatusSensor(BaseSensorOperator):
    """Waits until an edit has succeeded and returns its record, now with ``result_urls``.

    The outcome is the same in poke, reschedule and deferrable mode: an edit that ended FAILED, a refused
    key or a refused id fails the task without using up retries; looks that bring no answer are survived
    for a while, then left to the task's retries; a timeout is an ``AirflowSensorTimeout`` chained from
    ``AluoEditTimedOut``. With ``soft_fail`` a timeout skips the task and nothing else does; with
    ``never_fail`` every failure does.
    ``result_urls`` is an XCom of its own, too, so ``wait.output["result_urls"]`` works.

    :param aluo_task_id: what :class:`~airflow_aluo.operators.photo_edit.PhotoEditOperator` returned, or
        Aluo's id of an edit (templated).
    :param aluo_conn_id: the Airflow connection of the edit's account; by default the record's, or
        ``aluo_default`` for a bare id (templated).
    :param deferrable: wait in the triggerer, without a worker.
    :param timeout: seconds to wait, retries included: counted from the first try's start, or from a clear.
    :param poke_interval: seconds between two looks, in every mode; left out, looks are taken when they are
        likely to pay (see ``airflow_aluo/pace/planner.py``). ``exponential_backoff`` and ``max_wait`` hold in
        every mode, too. Pauses of less than 5 seconds are spent in the worker in reschedule mode.
    :param tolerated_failures: looks in a row that may fail without an answer; for two minutes any number may,
        and with ``silent_fail`` any number until the timeout.
    """

    template_fields: Sequence[str] = ("aluo_task_id", "aluo_conn_id")
    ui_color = "#e3f0ea"
    operator_extra_links = EDIT_LINKS

    #: The edit that this process looks at.
    _waited_for: EditRecord | None = None

    def __init__(
        self,
        *,
        aluo_task_id: str | EditRecord | XComArg,
        aluo_conn_id: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        timeout: timedelta | float = DEFAULT_TIMEOUT,
        poke_interval: timedelta | float | None = None,
        tolerated_failures: int = DEFAULT_TOLERATED_FAILURES,
        **kwargs: Any,
    ) -> None:
        interval = DEFAULT_POLL_INTERVAL if poke_interval is None else poke_interval
        super().__init__(timeout=timeout, poke_interval=interval, **kwargs)
        #: Looks are taken when they are likely to pay, not at an interval.
        self.planned = poke_interval is None and not self.exponential_backoff
        self.aluo_task_id = aluo_task_id
        self.aluo_conn_id = aluo_conn_id
        self.deferrable = deferrable
        self.tolerated_failures = count("tolerated_failures", tolerated_failures)
        self._upstream = Upstream.of("aluo_task_id", aluo_task_id)

    def poke(self, context: Context) -> PokeReturnValue:  # noqa: ARG002  # Airflow asks so
        """Look once; done when the edit has succeeded."""
        from airflow_aluo.protocol.flows import Pause
        from airflow_aluo.protocol.waiting import Progress

        with self._outcomes():
            pending = self._pending()
            rule = replace(self._rule(pending, time.time()), first_look_at=0.0, fresh=False)
            found = self._hook(pending).stay(pending, rule, Progress())
            if isinstance(found, Pause):
                return PokeReturnValue(is_done=False)
            self._tally().succeeded(found, pending)
            return PokeReturnValue(is_done=True, xcom_value=found)

    def execute(self, context: Context) -> EditRecord:
        """Wait in the chosen mode."""
        with self._outcomes():
            pending = self._pending()
            wait = self._remembered(context, pending)
            rule = self._rule(pending, wait.started_at)
            if not self.deferrable and not self.reschedule:
                return self._finished(context, self._hook(pending).complete(pending, rule))
            return self._wait_without_worker(context, pending, wait, rule)

    def _wait_without_worker(
        self, context: Context, pending: EditRecord, wait: RememberedWait, rule: WaitRule
    ) -> EditRecord:
        """Look if that can pay, then leave the worker until the triggerer or the next look."""
        from airflow_aluo.protocol.flows import Pause
        from airflow_aluo.protocol.waiting import handed_over

        if not wait.progress.looks:  # what is not remembered follows from the time
            wait.progress.looks = rule.looks_by(time.time())
        longest = MIN_PAUSE if self.deferrable else SHORTEST_ABSENCE
        found = self._hook(pending).stay(pending, rule, wait.progress, shorter_than=longest)
        if not isinstance(found, Pause):
            return self._finished(context, found)
        wait.save()
        now = time.time()
        if self.deferrable:
            return self._defer(pending, handed_over(rule, wait.progress, found, now))
        next_look = datetime.fromtimestamp(now + found.seconds, UTC)
        raise AirflowRescheduleException(next_look)  # type: ignore[no-untyped-call]  # Airflow's

    def _defer(self, pending: EditRecord, rule: WaitRule) -> NoReturn:
        from airflow_aluo.triggers.photo_edit import PhotoEditTrigger

        self.defer(
            trigger=PhotoEditTrigger(
                aluo_task_id=record.task_id(pending),
                aluo_conn_id=self._conn_id(pending),
                estimated_credits=pending["credits"]["estimated"],
                **asdict(rule),
            ),
            method_name=self.execute_complete.__name__,
            timeout=timedelta(seconds=max(rule.deadline - time.time(), 0.0) + BACKSTOP),
        )

    def execute_complete(self, context: Context, event: Any) -> EditRecord:
        """Go on when the triggerer has seen the edit's end."""
        from airflow_aluo.triggers.photo_edit import completed

        with self._outcomes():
            pending = self._pending()
            return self._finished(context, completed(event, self._hook(pending), pending))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume without the base sensor's habit of skipping on every failure under ``soft_fail``."""
        from airflow_aluo.triggers.photo_edit import last_look

        with self._outcomes():
            try:
                return BaseOperator.resume_execution(self, next_method, next_kwargs, context)
            except TaskDeferralTimeout:
                pending = self._pending()
                rule = self._rule(pending, time.time() - self.timeout)  # the last look decides
                return self._finished(context, self._hook(pending).complete(pending, rule))
            except TaskDeferralError as error:
                pending = self._pending()
                reason = f"the triggerer gave up ({error})"
                return self._finished(context, last_look(self._hook(pending), pending, reason))

    def on_kill(self) -> None:
        """Say what becomes of the edit: there is no way to cancel it."""
        if (edit := self._waited_for) is not None:
            becomes = goes_on(edit["aluo_task_id"], edit["credits"]["estimated"])
            self.log.warning("the task is told to end. %s; clear this task to wait for it again", becomes)

    def _pending(self) -> EditRecord:
        self._upstream.check(self.aluo_task_id, self.upstream_task_ids)
        found = record.of_edit(self.aluo_task_id, aluo_conn_id=self.aluo_conn_id or "aluo_default")
        self._waited_for = found
        return found

    def _conn_id(self, pending: EditRecord) -> str:
        return self.aluo_conn_id or pending["aluo_conn_id"] or "aluo_default"

    def _hook(self, pending: EditRecord) -> AluoHook:
        from airflow_aluo.hooks.aluo import AluoHook

        return AluoHook(self._conn_id(pending))

    def _remembered(self, context: Context, pending: EditRecord) -> RememberedWait:
        from airflow_aluo.remembered_wait import RememberedWait

        first = context["ti"].get_first_reschedule_date(context) if self.reschedule else None
        started_at = first.timestamp() if first else None
        return RememberedWait(context, record.task_id(pending), self.log, started_at)

    def _rule(self, pending: EditRecord, started_at: float) -> WaitRule:
        """Return how to wait. ``started_at``: epoch seconds at which the wait began."""
        rule = record.wait_rule(
            pending,
            deadline=started_at + self.timeout,
            poll_interval=None if self.planned else self.poke_interval,
            started_at=started_at,
            tolerated_failures=self.tolerated_failures,
        )
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
            with self._counting():
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
        self._tally().succeeded(finished, self._waited_for)
        return finished

    @contextmanager
    def _counting(self) -> Iterator[None]:
        try:
            yield
        except AluoEditFailed:
            self._tally().failed()
            raise

    def _tally(self) -> StatsTally:
        assert self._waited_for is not None  # noqa: S101  # its end was seen
        return self._hook(self._waited_for).tally
