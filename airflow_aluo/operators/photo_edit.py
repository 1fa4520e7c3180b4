"""Submit an edit, and wait for it if asked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from airflow.sdk import BaseOperator

from airflow_aluo.airflow_names import (
    AirflowFailException,
    TaskDeferralError,
    TaskDeferralTimeout,
    conf,
)
from airflow_aluo.arguments import known_at_run_time, seconds
from airflow_aluo.protocol import photo_edit, record
from airflow_aluo.protocol.errors import (
    AluoRequestInvalid,
)
from airflow_aluo.protocol.rendered import collection, optional, without_query
from airflow_aluo.protocol.schedule import BACKSTOP, DEFAULT_POLL_INTERVAL, DEFAULT_TIMEOUT
from airflow_aluo.task_errors import final_errors_fail, how_to_go_on, paid_for, submit_is_final

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

    from airflow_aluo.protocol.record import EditRecord
    from airflow_aluo.protocol.vocabulary import AspectRatio, OutputFormat

__all__ = ["PhotoEditOperator"]

#: Names a mapped edit in the UI by its photo.
_BY_PHOTO: Final = "{{ task.photo_name }}"

#: The XCom that holds the record of the edit as it was submitted.
_SUBMITTED: Final = "submitted"


class PhotoEditOperator(BaseOperator):
    """Edits photos by a sentence: submits to Aluo's photo editor and, by default, waits for the result.

    Returns the edit record (``schemas/edit_record.schema.json``); ``aluo_task_id`` and ``result_urls`` are
    XComs of their own, too, so ``edit.output["result_urls"]`` works. What is not a template is checked
    when the DAG is parsed, the rest before anything is sent.

    Once Aluo has accepted an edit, no failure of this operator uses retries: another try would submit, and
    pay, again. Only an edit that ended FAILED (it cost nothing) and a request that was not accepted are tried
    again. What fails outside of it (the worker dies, Airflow cannot store what was returned, a
    ``map_index_template`` cannot be rendered) is for Airflow to judge: with ``retries`` it pays again.

    :param prompt: what to change, in a sentence (templated; may name a ``.txt`` or ``.jinja`` file).
    :param image_urls: 1 to 5 addresses that Aluo can fetch (templated); or …
    :param image_files: … 1 to 5 files to upload: local paths or object-storage addresses (templated).
    :param aspect_ratio: of the result; left out, Aluo decides (templated).
    :param output_format: of the result; png if left out (templated).
    :param num_images: how many results; 1 if left out. Not with files: the vendor's form has no such field
        (templated).
    :param aluo_conn_id: the Airflow connection, of type ``aluo`` (templated).
    :param wait_for_completion: wait until the edit has ended; else return as soon as it was accepted.
    :param deferrable: wait in the triggerer, without a worker.
    :param timeout: seconds to wait for the edit, counted from its acceptance.
    :param poll_interval: seconds between two looks.
    :param map_index_template: names mapped edits in the UI; by default after their photo.

    Source: https://aluo.ai/docs/api/photo-editor (read 2026-11-22)
    """

    template_fields: Sequence[str] = (*photo_edit.PARAMETERS, "aluo_conn_id")
    template_ext: Sequence[str] = (".txt", ".jinja")
    template_fields_renderers: ClassVar[dict[str, str]] = {"image_urls": "json", "image_files": "json"}
    ui_color = "#e3f0ea"

    #: Aluo's id of the edit that this process has submitted.
    _accepted: str | None = None
    #: This process has begun to submit.
    _submitting: bool = False

    def __init__(
        self,
        *,
        prompt: str,
        image_urls: Sequence[str] | str | XComArg | None = None,
        image_files: Sequence[str] | str | XComArg | None = None,
        aspect_ratio: AspectRatio | str | None = None,
        output_format: OutputFormat | str | None = None,
        num_images: int | str | None = None,
        aluo_conn_id: str = "aluo_default",
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        timeout: timedelta | float = DEFAULT_TIMEOUT,
        poll_interval: timedelta | float = DEFAULT_POLL_INTERVAL,
        map_index_template: str | None = _BY_PHOTO,
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template or _BY_PHOTO, **kwargs)
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
        self.poll_interval = seconds("poll_interval", poll_interval)
        photo_edit.check_known(self._parameters(), pending=_pending)

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """Check what all mapped edits have in common when the DAG is parsed, too.

        What is mapped over is checked when Airflow makes each of them, before anything is sent.
        """
        for name in ("timeout", "poll_interval"):
            seconds(name, kwargs.get(name, 0))
        given = {name: kwargs[name] for name in photo_edit.PARAMETERS if name in kwargs}
        mapped = {"prompt": "{{ mapped }}", "image_urls": "{{ mapped }}", "image_files": "{{ mapped }}"}
        photo_edit.check_known(mapped | given, pending=_pending)
        partial: OperatorPartial = super().partial(**kwargs)
        if partial.kwargs.get("map_index_template") is None:  # older Airflows do not ask __init__
            partial.kwargs["map_index_template"] = _BY_PHOTO
        return partial

    @property
    def photo_name(self) -> str:
        """The first photo's name, for the UI."""
        images = collection(optional(self.image_urls) or self.image_files or "")
        if isinstance(images, Sequence) and not isinstance(images, str):
            images = next(iter(images), "")
        return without_query(str(images)).removesuffix("?…").rstrip("/").rpartition("/")[2]

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
        """Render; on resuming after the submit, a failure to do so must not lead to another try."""
        try:
            super().render_template_fields(context, jinja_env)
        except Exception as error:
            ti = context["ti"]
            found = ti.xcom_pull(task_ids=ti.task_id, key="aluo_task_id", map_indexes=ti.map_index)
            if found is None:
                raise
            raise AirflowFailException(
                f"templates cannot be rendered again ({error}). {how_to_go_on(found)}"
            ) from error

    def execute(self, context: Context) -> EditRecord:
        """Submit, and wait if asked."""
        from airflow_aluo.hooks.aluo import AluoHook
        from airflow_aluo.storage import load_photos

        hook = AluoHook(self.aluo_conn_id)
        with final_errors_fail():
            edit = photo_edit.read(self._parameters())
            uploads = load_photos(edit.image_files)
            self.log.info("asking %s", hook.account.base_url)
            self._submitting = True
            with submit_is_final():
                accepted = hook.submit(edit, uploads)
        with paid_for(accepted):
            self._accepted = record.task_id(accepted)
            self.log.info("Aluo accepted the edit as %s", accepted["aluo_task_id"])
            context["ti"].xcom_push(key=_SUBMITTED, value=accepted)
            context["ti"].xcom_push(key="aluo_task_id", value=accepted["aluo_task_id"])
            if not self.wait_for_completion:
                return accepted
            rule = record.wait_rule(
                accepted, now=time.time(), timeout=self.timeout, poll_interval=self.poll_interval
            )
            if not self.deferrable:
                return self._finished(context, hook.complete(accepted, rule))
            if rule.first_look_at <= time.time() and (finished := hook.peek(accepted)):
                return self._finished(context, finished)
            from airflow_aluo.triggers.photo_edit import PhotoEditTrigger

            return self.defer(
                trigger=PhotoEditTrigger(
                    aluo_task_id=record.task_id(accepted), aluo_conn_id=self.aluo_conn_id, **asdict(rule)
                ),
                method_name=self.execute_complete.__name__,
                timeout=timedelta(seconds=self.timeout + BACKSTOP),
            )

    def execute_complete(self, context: Context, event: Any) -> EditRecord:
        """Go on when the triggerer has seen the edit's end."""
        from airflow_aluo.triggers.photo_edit import read_event

        accepted = self._remembered(context)
        with paid_for(accepted):
            return self._finished(context, record.completed(accepted, read_event(event), at=time.time()))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Fail at once where the triggerer could not wait: another try would pay again."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except (TaskDeferralError, TaskDeferralTimeout) as error:
            from airflow_aluo.hooks.aluo import AluoHook

            accepted = self._remembered(context)
            with paid_for(accepted):
                if finished := AluoHook(self.aluo_conn_id).peek(accepted):  # one last look
                    return self._finished(context, finished)
            how = how_to_go_on(accepted["aluo_task_id"])
            raise AirflowFailException(f"the triggerer gave up ({error}). {how}") from error

    def _remembered(self, context: Context) -> EditRecord:
        """Return what was submitted before the task was deferred.

        It is read from XCom and not passed by ``defer``: ``dag.test()`` loses what is passed.
        """
        ti = context["ti"]
        found = ti.xcom_pull(task_ids=ti.task_id, key=_SUBMITTED, map_indexes=ti.map_index)
        try:
            return record.parse(found)
        except AluoRequestInvalid as error:
            how = "look up the edit in this task's earlier log; clearing this task submits, and pays, anew"
            raise AirflowFailException(
                f"XCom {_SUBMITTED!r} of this task is gone ({error}); {how}"
            ) from error

    def on_kill(self) -> None:
        """Say what becomes of an edit that is being waited for: there is no way to cancel it."""
        if self._accepted:
            self.log.warning("the task was killed. %s", how_to_go_on(self._accepted))
        elif self._submitting:
            from airflow_aluo.protocol.flows import unknown_outcome

            self.log.warning("the task was killed while it submitted. %s", unknown_outcome("killed"))

    def _parameters(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in photo_edit.PARAMETERS}

    def _finished(self, context: Context, finished: EditRecord) -> EditRecord:
        self.log.info("edit %s is %s", finished["aluo_task_id"], finished["status"])
        context["ti"].xcom_push(key="result_urls", value=finished["result_urls"])
        return finished


def _pending(value: Any) -> bool:
    return known_at_run_time(value, template_ext=PhotoEditOperator.template_ext)
