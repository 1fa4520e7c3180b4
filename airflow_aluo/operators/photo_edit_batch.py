"""Many edits in one task."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

from airflow.sdk import BaseOperator

from airflow_aluo.airflow_names import TaskDeferralError, TaskDeferralTimeout, conf
from airflow_aluo.arguments import (
    OnClear,
    OnUnknownOutcome,
    amount,
    choice,
    count,
    folder,
    positive,
    seconds,
    seconds_or_none,
    told_of,
)
from airflow_aluo.batch import asked
from airflow_aluo.batch.arguments import SHARED, OnPartialFailure, check_common, known_later
from airflow_aluo.links import EDIT_LINKS
from airflow_aluo.pictures import MOST_BYTES
from airflow_aluo.protocol.rendered import optional
from airflow_aluo.protocol.schedule import BACKSTOP, DEFAULT_TIMEOUT, DEFAULT_TOLERATED_FAILURES
from airflow_aluo.task_errors import final_errors_fail
from airflow_aluo.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from airflow.sdk import Context, ObjectStoragePath, XComArg
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

    from airflow_aluo.batch.results import ResultsPart
    from airflow_aluo.batch.task import BatchTask
    from airflow_aluo.batch.work import How
    from airflow_aluo.protocol.record import EditRecord
    from airflow_aluo.protocol.vocabulary import AspectRatio, OutputFormat

    Photo = EditRecord | ResultsPart | str

__all__ = ["PhotoEditBatchOperator"]

#: Seconds that a deferred batch's pictures wait for others, so that they land together: each time costs a
#: task's start in a worker.
LANDS_WITHIN: Final = 60.0


class PhotoEditBatchOperator(BaseOperator):
    """Edits many photos in one task, as fast as the account allows.

    Submits and looks at once for all edits, at the account's pace (``airflow_aluo/pace``), and lands each
    picture when it is ready if ``destination`` is given. Returns a list that downstream tasks can use
    whole or map over: the edit records in the order of ``edits``, or, beyond 48 KB, references to pieces of a
    JSON Lines file that holds them (schema ``results_part``); ``PhotoDownloadOperator`` takes both. The XCom
    ``summary`` says how many succeeded, how many of these did not land, and what that cost.

    Every edit is paid once, by the rules of ``PhotoEditOperator``: a retry goes on where the last try ended
    and submits only what failed or was not tried yet. If a worker dies, at most ``max_in_flight`` edits are
    left with an unknown outcome. A photo to upload is told by its address across tries, not by its content.

    :param edits: dictionaries of an edit's parameters (``prompt``, ``image_urls``, ``image_files``,
        ``aspect_ratio``, ``output_format``, ``num_images``), or the address of a ``.jsonl`` or ``.csv`` file
        of them, local or in an object store (templated); or …
    :param photos: … addresses of photos, or edits' records (templated), each edited by …
    :param prompts: … each of these sentences (templated).
    :param aspect_ratio: of edits that name none (templated); ``output_format``, ``num_images`` likewise.
    :param aluo_conn_id: the Airflow connection, of type ``aluo`` (templated).
    :param destination: a local folder or an object-storage address in which pictures land (templated).
    :param results_path: a folder, or a ``.jsonl`` file, for the records if they are too many for XCom; by
        default ``destination`` (templated).
    :param deferrable: wait for what has been submitted in the triggerer, without a worker. Pictures then land
        when a hundred edits have ended, or all, or a minute after the first of them.
    :param timeout: seconds to wait for each edit, counted from its acceptance, or from a clear.
    :param poll_interval: seconds between two looks; left out, they are taken when they are likely to pay.
    :param tolerated_failures: looks in a row at an edit that may fail without an answer; for two minutes any
        number may.
    :param max_in_flight: submits that may be under way at once; left out, what the account's pace needs
        (``airflow_aluo/pace/slots.py``).
    :param max_credits: most that the whole batch may be estimated at; checked before anything is sent.
    :param max_bytes: largest picture that is landed; 64 MiB by default.
    :param strict: do not land a picture in another format, or a ratio more than 2 % off, than was asked for.
    :param on_partial_failure: ``fail`` once everything else has finished, or ``return`` all records; those of
        failed edits, and of those whose pictures did not land, have an ``error``. If no edit succeeds, the
        task fails in any case.
    :param on_unknown_outcome: see ``PhotoEditOperator``; ``on_clear``, too: a batch is returned as a whole.

    Source: https://aluo.ai/docs/api/photo-editor (read 2026-11-22)
    """

    template_fields: Sequence[str] = (
        "edits",
        "photos",
        "prompts",
        *SHARED,
        "aluo_conn_id",
        "destination",
        "results_path",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = dict.fromkeys(
        ("edits", "photos", "prompts"), "json"
    )
    ui_color = "#e3f0ea"
    operator_extra_links = EDIT_LINKS

    _task: BatchTask | None = None
    _told_to_end = False

    def __init__(
        self,
        *,
        edits: Sequence[Mapping[str, Any]] | str | Path | ObjectStoragePath | XComArg | None = None,
        photos: Sequence[Photo | Sequence[Photo]] | Photo | XComArg | None = None,
        prompts: Sequence[str] | str | XComArg | None = None,
        aspect_ratio: AspectRatio | str | None = None,
        output_format: OutputFormat | str | None = None,
        num_images: int | str | None = None,
        aluo_conn_id: str = "aluo_default",
        destination: str | Path | ObjectStoragePath | None = None,
        results_path: str | Path | ObjectStoragePath | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        timeout: timedelta | float = DEFAULT_TIMEOUT,
        poll_interval: timedelta | float | None = None,
        tolerated_failures: int = DEFAULT_TOLERATED_FAILURES,
        max_in_flight: int | None = None,
        max_credits: float | None = None,
        max_bytes: int = MOST_BYTES,
        strict: bool = True,
        on_partial_failure: OnPartialFailure = "fail",
        on_unknown_outcome: OnUnknownOutcome = "fail",
        on_clear: OnClear = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.edits = edits if edits is None or not hasattr(edits, "__fspath__") else str(edits)
        self.photos = photos
        self.prompts = prompts
        self.aspect_ratio = aspect_ratio
        self.output_format = output_format
        self.num_images = num_images
        self.aluo_conn_id = aluo_conn_id
        self.destination = None if destination is None else str(destination)
        self.results_path = None if results_path is None else str(results_path)
        self.deferrable = deferrable
        self.strict = strict
        with told_of("batch of photo edits"):
            self.timeout = seconds("timeout", timeout)
            self.poll_interval = seconds_or_none("poll_interval", poll_interval)
            self.tolerated_failures = count("tolerated_failures", tolerated_failures)
            self.max_in_flight = positive("max_in_flight", max_in_flight)
            self.max_credits = amount("max_credits", max_credits)
            self.max_bytes = positive("max_bytes", max_bytes) or MOST_BYTES
            self.on_partial_failure = choice(OnPartialFailure)("on_partial_failure", on_partial_failure)
            self.on_unknown_outcome = choice(OnUnknownOutcome)("on_unknown_outcome", on_unknown_outcome)
            self.on_clear = choice(OnClear)("on_clear", on_clear)
            self._check_destination()
        self._upstream = Upstream.of("edits", [edits, photos, prompts])
        asked.check_known(edits, photos=photos, prompts=prompts, shared=self._shared(), pending=known_later)

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """Check what all mapped batches have in common when the DAG is parsed, too."""
        check_common(kwargs)
        partial: OperatorPartial = super().partial(**kwargs)
        return partial

    def execute(self, context: Context) -> list[EditRecord] | list[ResultsPart]:
        """Submit what no earlier try has, wait, land, and return the records."""
        return self._work(context, resumed=False)

    def execute_complete(self, context: Context, event: Any) -> list[EditRecord] | list[ResultsPart]:
        """Go on when the triggerer has seen the ends of some edits."""
        seen = event.get("batch") if isinstance(event, dict) else None
        if not isinstance(seen, dict) or not seen:
            self.log.warning("the triggerer sent no event of PhotoEditBatchTrigger: waiting here")
            self.deferrable, seen = False, {}
        return self._work(context, resumed=True, seen=seen)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on in the worker where the triggerer could not wait."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except (TaskDeferralError, TaskDeferralTimeout) as error:
            self.log.warning("the triggerer gave up (%s): waiting here", error)
            self.deferrable = False
            return self._work(context, resumed=True)

    def _work(
        self, context: Context, *, resumed: bool, seen: Mapping[str, Any] | None = None
    ) -> list[EditRecord] | list[ResultsPart]:
        from airflow_aluo.batch.ending import ended, paid_once
        from airflow_aluo.batch.results import summary

        with final_errors_fail():
            task = self._task = self._asked(context)
            if self._told_to_end:
                task.end()
            if not resumed:
                task.estimate(self.max_credits)
            task.recall(resumed=resumed)
            task.heard(seen or {})
            how = self._how(context)
            with paid_once(task.memory):
                if left := task.run(how, resumed=resumed):
                    self._defer(task, left, how)
                context["ti"].xcom_push(key="summary", value=summary(task.records, None))
                told = {"on_partial_failure": self.on_partial_failure, "on_clear": self.on_clear}
                return self._returned(context, task, ended(task.outcomes, **told, log=self.log))

    def _asked(self, context: Context) -> BatchTask:
        """Return the batch, checked: nothing was sent yet."""
        from airflow_aluo.batch.task import BatchTask
        from airflow_aluo.durable import Attempt
        from airflow_aluo.hooks.aluo import AluoHook

        if not any(optional(value) is not None for value in (self.edits, self.photos, self.prompts)):
            self._upstream.check(None, self.upstream_task_ids)
        edits = asked.read(
            self.edits, photos=self.photos, prompts=self.prompts, shared=self._shared(), log=self.log
        )
        attempt = Attempt(
            max_tries=context["ti"].max_tries,
            fingerprint={},
            on_clear=self.on_clear,
            on_unknown_outcome=self.on_unknown_outcome,
            timeout=self.timeout,
        )
        return BatchTask(context, AluoHook(self.aluo_conn_id), self.log, edits, attempt)

    def _how(self, context: Context) -> How:
        from airflow_aluo.batch.work import How
        from airflow_aluo.landing import how_of_task

        land = None
        self._check_destination()
        if self.destination is not None:
            options = {"max_bytes": self.max_bytes, "strict": self.strict}
            land = how_of_task(context["ti"], self.destination, self.log, **options)
        return How(
            poll_interval=self.poll_interval,
            tolerated_failures=self.tolerated_failures,
            max_in_flight=self.max_in_flight,
            land=land,
            leave=self.deferrable,
        )

    def _defer(self, task: BatchTask, left: Sequence[int], how: How) -> NoReturn:
        from airflow_aluo.triggers.photo_edit import PhotoEditBatchTrigger

        edits, rule, deadline = task.piece(left, how)
        lands_within = None if how.land is None else LANDS_WITHIN
        are = "edit is" if len(left) == 1 else "edits are"
        self.log.info("%d %s under way; the triggerer waits for %d of them", len(left), are, len(edits))
        self.defer(
            trigger=PhotoEditBatchTrigger(
                aluo_conn_id=self.aluo_conn_id, edits=edits, rule=rule, lands_within=lands_within
            ),
            method_name=self.execute_complete.__name__,
            timeout=timedelta(seconds=max(deadline - time.time(), 0.0) + BACKSTOP),
        )

    def _returned(
        self, context: Context, task: BatchTask, records: list[EditRecord]
    ) -> list[EditRecord] | list[ResultsPart]:
        from airflow_aluo.batch.results import file_name_of, returned, summary

        ti = context["ti"]
        name = file_name_of(ti)
        found = returned(
            records, results_path=self.results_path, destination=self.destination, name=name, log=self.log
        )
        ti.xcom_push(key="summary", value=summary(records, found.path))
        task.memory.finish(len(records))
        task.report()
        return found.value

    def on_kill(self) -> None:
        """Submit no more, and let what is under way be remembered."""
        self._told_to_end = True
        if self._task is not None:
            self._task.end()

    def _check_destination(self) -> None:
        """Make sure that pictures land, if they are to: a template may have made nothing of its folder.

        :raises AluoRequestInvalid: a destination is given, and is none.
        """
        if self.destination is not None:
            folder("destination", self.destination)

    def _shared(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in SHARED}
