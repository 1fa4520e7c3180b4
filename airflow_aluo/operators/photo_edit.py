"""Submit an edit, and wait for it if asked."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from airflow.sdk import BaseOperator

from airflow_aluo.airflow_names import (
    AirflowFailException,
    TaskDeferralError,
    TaskDeferralTimeout,
    conf,
)
from airflow_aluo.arguments import OnClear, OnUnknownOutcome, choice, count, seconds, seconds_or_none
from airflow_aluo.edit_arguments import TEMPLATE_EXT, check_common, known_later
from airflow_aluo.links import EDIT_LINKS
from airflow_aluo.protocol import chained, photo_edit, record
from airflow_aluo.protocol.rendered import optional
from airflow_aluo.protocol.schedule import (
    BACKSTOP,
    DEFAULT_TIMEOUT,
    DEFAULT_TOLERATED_FAILURES,
    WaitRule,
)
from airflow_aluo.task_errors import final_errors_fail
from airflow_aluo.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import PathLike

    from airflow.sdk import Context, XComArg
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

    from airflow_aluo.paid_edit import PaidEdit
    from airflow_aluo.protocol.record import EditRecord
    from airflow_aluo.protocol.remembered import Entry
    from airflow_aluo.protocol.vocabulary import AspectRatio, OutputFormat

    _Photo = EditRecord | PathLike[str] | str
    Photos = _Photo | Sequence[_Photo] | XComArg

__all__ = ["PhotoEditOperator"]

#: Names a mapped edit in the UI by its photo.
_BY_PHOTO: Final = "{{ task.photo_name }}"


class PhotoEditOperator(BaseOperator):
    """Edits photos by a sentence: submits to Aluo's photo editor and, by default, waits for the result.

    Returns the edit record (``schemas/edit_record.schema.json``); ``aluo_task_id`` and ``result_urls`` are
    XComs of their own, too, so ``edit.output["result_urls"]`` works. What is not a template is checked
    when the DAG is parsed, the rest before anything is sent.

    An edit is paid once. What a try learns is remembered in Airflow's task state store, and the next try goes
    on with it: it waits for the edit that was accepted, or returns the one that has succeeded. Only an edit
    that ended FAILED (it cost nothing) and a request that surely was not accepted are submitted anew.
    ``execution_timeout`` never strikes within a submit (with its pauses for a 429, minutes), but after it.

    Clearing a task that has returned its edit asks for a new one; clearing it before that goes on with the
    edit under way, with a new deadline.

    :param prompt: what to change, in a sentence (templated; may name a ``.txt`` or ``.jinja`` file).
    :param image_urls: 1 to 5 addresses that Aluo can fetch (templated); or …
    :param image_files: … 1 to 5 files to upload: local paths or object-storage addresses (templated). Either
        takes records of edits, too: ``image_urls=edit.output``, ``image_files=download.output``. Pictures
        that were landed are uploaded, for their addresses may have expired.
    :param aspect_ratio: of the result; left out, Aluo decides (templated).
    :param output_format: of the result; png if left out (templated).
    :param num_images: how many results; 1 if left out. Not with files: the vendor's form has no such field
        (templated).
    :param aluo_conn_id: the Airflow connection, of type ``aluo`` (templated).
    :param wait_for_completion: wait until the edit has ended; else return as soon as it was accepted.
    :param deferrable: wait in the triggerer, without a worker.
    :param timeout: seconds to wait for the edit, counted from its acceptance, or from a clear.
    :param poll_interval: seconds between two looks; left out, they are taken when they are likely to pay (see
        ``airflow_aluo/pace/planner.py``).
    :param tolerated_failures: looks in a row that may fail without an answer; for two minutes any number may.
    :param on_unknown_outcome: what to do when nobody knows whether Aluo accepted a submit: ``fail`` at once
        and tell a person, who clears the task to submit it anew; or ``resubmit`` in the next try, which may
        pay twice.
    :param on_clear: what a cleared task does: ``auto`` as said above; ``reuse`` an edit that was returned;
        or submit a ``new`` one in any case.
    :param map_index_template: names mapped edits in the UI; by default after their photo.

    Source: https://aluo.ai/docs/api/photo-editor (read 2026-11-22)
    """

    template_fields: Sequence[str] = (*photo_edit.PARAMETERS, "aluo_conn_id")
    template_ext: Sequence[str] = TEMPLATE_EXT
    template_fields_renderers: ClassVar[dict[str, str]] = {"image_urls": "json", "image_files": "json"}
    ui_color = "#e3f0ea"
    operator_extra_links = EDIT_LINKS

    #: What this process knows of its edit.
    _paid: PaidEdit | None = None

    def __init__(
        self,
        *,
        prompt: str,
        image_urls: Photos | None = None,
        image_files: Photos | None = None,
        aspect_ratio: AspectRatio | str | None = None,
        output_format: OutputFormat | str | None = None,
        num_images: int | str | None = None,
        aluo_conn_id: str = "aluo_default",
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        timeout: timedelta | float = DEFAULT_TIMEOUT,
        poll_interval: timedelta | float | None = None,
        tolerated_failures: int = DEFAULT_TOLERATED_FAILURES,
        on_unknown_outcome: OnUnknownOutcome = "fail",
        on_clear: OnClear = "auto",
        map_index_template: str | None = _BY_PHOTO,
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template or _BY_PHOTO, **kwargs)
        self._upstream = Upstream.of("image_urls and image_files", [image_urls, image_files])
        self.prompt = prompt
        self.image_urls = image_urls
        self.image_files = image_files
        self.aspect_ratio = aspect_ratio
        self.output_format = output_format
        self.num_images = num_images
        self.aluo_conn_id = aluo_conn_id
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.timeout = seconds("timeout", timeout)
        self.poll_interval = seconds_or_none("poll_interval", poll_interval)
        self.tolerated_failures = count("tolerated_failures", tolerated_failures)
        self.on_unknown_outcome = choice(OnUnknownOutcome)("on_unknown_outcome", on_unknown_outcome)
        self.on_clear = choice(OnClear)("on_clear", on_clear)
        photo_edit.check_known(self._parameters(), pending=known_later)

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """Check what all mapped edits have in common when the DAG is parsed, too.

        What is mapped over is checked when Airflow makes each of them, before anything is sent.
        """
        check_common(kwargs)
        partial: OperatorPartial = super().partial(**kwargs)
        if partial.kwargs.get("map_index_template") is None:  # older Airflows do not ask __init__
            partial.kwargs["map_index_template"] = _BY_PHOTO
        return partial

    @property
    def photo_name(self) -> str:
        """The first photo's name, for the UI."""
        return chained.first_name(self.image_urls, self.image_files)

    def resolve_template_files(self) -> None:
        """Read a file for the prompt only: an image whose name ends in ``.txt`` is no template."""
        fields, self.template_fields = self.template_fields, ("prompt",)
        try:
            super().resolve_template_files()
        finally:
            self.template_fields = fields

    def render_template(self, content: Any, *args: Any, **kwargs: Any) -> Any:
        """Render; only the prompt may name a file."""
        if (
            isinstance(content, str)
            and content is not self.prompt
            and content.endswith(tuple(self.template_ext))
        ):
            content += "{# an address #}"  # Airflow takes what ends in template_ext for a file's name
        return super().render_template(content, *args, **kwargs)

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        """Render; once an edit is submitted, a failure to do so must not lead to another submit."""
        try:
            super().render_template_fields(context, jinja_env)
        except Exception as error:
            from airflow_aluo.announced import how_to_go_on_unremembered

            if (how := how_to_go_on_unremembered(context)) is None:
                raise
            raise AirflowFailException(f"templates cannot be rendered again ({error}). {how}") from error

    def execute(self, context: Context) -> EditRecord:
        """Submit unless an earlier try has, and wait if asked."""
        from airflow_aluo.durable import Attempt

        with final_errors_fail(), self._edit_of(context) as paid:
            self._check_upstream()
            entry = paid.begin(
                Attempt(
                    max_tries=context["ti"].max_tries,
                    fingerprint=paid.ask(photo_edit.read(self._parameters())),
                    on_clear=self.on_clear,
                    on_unknown_outcome=self.on_unknown_outcome,
                    timeout=self.timeout,
                )
            )
            with paid.paid(entry.edit):
                paid.announce(entry.edit)
                if entry.edit["result_urls"] or not self.wait_for_completion:
                    return self._finish(paid, entry, entry.edit)
                return self._wait(paid, entry)

    def _wait(self, paid: PaidEdit, entry: Entry) -> EditRecord:
        """Wait here or in the triggerer."""
        rule = record.wait_rule(
            entry.edit,
            deadline=entry.deadline or 0.0,
            poll_interval=self.poll_interval,
            started_at=time.time(),
            tolerated_failures=self.tolerated_failures,
        )
        if paid.looked_at:
            rule = replace(
                rule,
                looked_at=paid.found_running_at,
                first_look_at=max(paid.wait_until, paid.looked_at + (self.poll_interval or 0.0)),
            )
        if not self.deferrable or paid.memory.owes:  # what is owed would be lost with the worker
            return self._finish(paid, entry, paid.wait(entry.edit, rule))
        found = paid.peek(entry.edit, rule)
        if not isinstance(found, WaitRule):
            return self._finish(paid, entry, found)
        from airflow_aluo.triggers.photo_edit import PhotoEditTrigger

        return self.defer(
            trigger=PhotoEditTrigger(
                aluo_task_id=record.task_id(entry.edit),
                aluo_conn_id=self.aluo_conn_id,
                estimated_credits=entry.edit["credits"]["estimated"],
                **asdict(found),
            ),
            method_name=self.execute_complete.__name__,
            timeout=timedelta(seconds=max(found.deadline - time.time(), 0.0) + BACKSTOP),
        )

    def execute_complete(self, context: Context, event: Any) -> EditRecord:
        """Go on when the triggerer has seen the edit's end."""
        from airflow_aluo.triggers.photo_edit import completed

        return self._resumed(context, lambda paid, pending: completed(event, paid.hook, pending))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Look once more where the triggerer could not wait."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except (TaskDeferralError, TaskDeferralTimeout) as error:
            from airflow_aluo.triggers.photo_edit import last_look

            reason = f"the triggerer gave up ({error})"
            return self._resumed(context, lambda paid, pending: last_look(paid.hook, pending, reason))

    def _resumed(self, context: Context, ending: Callable[[PaidEdit, EditRecord], EditRecord]) -> EditRecord:
        with final_errors_fail(), self._edit_of(context) as paid:
            entry = paid.resumed()
            with paid.paid(entry.edit):
                return self._finish(paid, entry, ending(paid, entry.edit))

    def _finish(self, paid: PaidEdit, entry: Entry, edit: EditRecord) -> EditRecord:
        from airflow_aluo.lineage import report_edit

        finished = paid.finish(entry, edit)
        report_edit(paid.hook, finished)
        return finished

    def on_kill(self) -> None:
        """Say what becomes of the edit: there is no way to cancel it."""
        if self._paid:
            self._paid.say_what_becomes_of_it()

    def _edit_of(self, context: Context) -> PaidEdit:
        from airflow_aluo.hooks.aluo import AluoHook
        from airflow_aluo.paid_edit import PaidEdit

        self._paid = PaidEdit(context, AluoHook(self.aluo_conn_id), self.log)
        return self._paid

    def _check_upstream(self) -> None:
        """Name the task that should have sent the photos."""
        if self._upstream.task_ids and optional(self.image_urls) is None:
            self._upstream.check(self.image_files)

    def _parameters(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in photo_edit.PARAMETERS}
