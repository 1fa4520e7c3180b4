"""A task's one paid edit: submitted once, remembered across tries, never left without a word."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from airflow_aluo import announced
from airflow_aluo.airflow_names import AirflowFailException, AirflowTaskTimeout
from airflow_aluo.driving import begin, finish
from airflow_aluo.durable import Seen, look
from airflow_aluo.edit_memory import EditMemory
from airflow_aluo.protocol import record
from airflow_aluo.protocol.errors import AluoEditFailed, AluoError, AluoRequestInvalid, AluoUnknownOutcome
from airflow_aluo.protocol.flows import Pause, unknown_outcome
from airflow_aluo.protocol.remembered import Entry, Stage, fingerprint
from airflow_aluo.protocol.waiting import Progress, handed_over, missing
from airflow_aluo.signals_later import signals_later
from airflow_aluo.task_errors import how_to_go_on
from airflow_aluo.task_store import TaskStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from airflow.sdk import Context

    from airflow_aluo.durable import Attempt, Look
    from airflow_aluo.hooks.aluo import AluoHook
    from airflow_aluo.protocol.calls import Upload
    from airflow_aluo.protocol.photo_edit import PhotoEdit
    from airflow_aluo.protocol.record import EditRecord
    from airflow_aluo.protocol.schedule import WaitRule


class PaidEdit:
    """What a task knows of its edit: the :class:`~airflow_aluo.driving.World` of its decisions.

    :param context: the task's.
    :param hook: the account's.
    :param log: the task's.
    """

    #: The edit, once Aluo has accepted it.
    accepted: EditRecord | None = None
    #: The task is about to return it.
    returning: bool = False
    #: A request is under way, or its answer was lost.
    submitting: bool = False
    #: Epoch seconds of the look that came before the wait; 0 for none.
    looked_at: float = 0.0
    #: The same if it found the edit running, else 0.
    found_running_at: float = 0.0
    #: Epoch seconds until which that look's answer asked to wait.
    wait_until: float = 0.0

    def __init__(self, context: Context, hook: AluoHook, log: Any) -> None:
        self._log = log
        self._ti = context["ti"]
        self.hook = hook
        #: See :class:`~airflow_aluo.driving.World`.
        self.memory = EditMemory(TaskStore(context), log)
        self._photos: AluoRequestInvalid | Sequence[Upload] = ()
        self._edit: PhotoEdit | None = None

    # --- the story -----------------------------------------------------------------------------------------

    def ask(self, edit: PhotoEdit) -> dict[str, str]:
        """Say what this try asks for; return its fingerprint.

        Photos that are gone by now matter only if they have to be sent.
        """
        from airflow_aluo.storage import load_photos

        self._edit = edit
        try:
            self._photos = load_photos(edit.image_files)
        except AluoRequestInvalid as error:
            self._photos = error
        known = () if isinstance(self._photos, AluoRequestInvalid) else self._photos
        found = fingerprint(edit, known, aluo_conn_id=self.hook.aluo_conn_id, host=self.hook.account.base_url)
        if isinstance(self._photos, AluoRequestInvalid):
            del found["image_files"]
        return found

    def begin(self, attempt: Attempt) -> Entry:
        """Return the edit to wait for or to return. Raises what :func:`~airflow_aluo.driving.begin` raises.

        ``execution_timeout`` strikes only once the answer to a submit is remembered.
        """
        if not self.memory.lasts:
            self._log.warning(
                "this Airflow has no task state store (3.3 has): if the worker dies after the submit and the "
                "task has retries, the next try submits, and pays, again"
            )
        try:
            entry = begin(self, attempt)
        except AluoError:
            self._settle()  # that nothing was accepted, or that a person was told
            raise
        self.accepted = entry.edit
        if isinstance(self._photos, AluoRequestInvalid) and self._edit and entry.edit["request"]:
            asked = list(self._edit.image_files)
            if entry.edit["request"]["image_files"] != asked:  # the photo that is gone may be another one
                raise self._photos
        return entry

    @contextmanager
    def uninterrupted(self) -> Iterator[None]:
        """Let ``execution_timeout`` wait for the block's end, and then not hide why the block failed."""
        try:
            with signals_later(signal.SIGALRM):
                yield
        except AirflowTaskTimeout as error:
            if isinstance(error.__context__, AluoError):
                raise error.__context__ from None
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Without a store, let no failure after a submit lead to another one.

        :raises AirflowFailException: chained from the failure; names the edit.
        """
        if (
            self.memory.lasts
            or self.accepted is None
            or isinstance(error, AluoEditFailed | AirflowFailException)
        ):
            return
        if isinstance(error, Exception | AirflowTaskTimeout):
            raise AirflowFailException(f"{error}. {how_to_go_on(self.accepted, remembered=False)}") from error

    def announce(self, pending: EditRecord) -> None:
        """Let other tasks, links and the resumed task know the edit, by XCom."""
        if not self.memory.owes:  # else Airflow cannot be reached, and the wait is what counts
            announced.announce(self._ti, pending)

    def resumed(self) -> Entry:
        """Return the edit that was being waited for when the task was deferred.

        :raises AirflowFailException: nothing tells any more which it was.
        """
        try:
            entry = self.memory.recall()
            if entry is None or entry.record is None:
                entry = _entry(record.parse(announced.edit(self._ti)), self._ti.max_tries)
                self.memory.save(entry)
        except (Exception, AirflowTaskTimeout) as error:
            if self.memory.lasts and not isinstance(error, AluoRequestInvalid):
                raise  # the next try asks again
            how = "look for the edit in this task's log; clearing this task may submit, and pay, anew"
            raise AirflowFailException(
                f"nothing tells which edit this task waits for ({error}); {how}"
            ) from error
        self.accepted = entry.edit
        return entry

    def wait(self, pending: EditRecord, rule: WaitRule) -> EditRecord:
        """Wait in the worker. Raises what :meth:`AluoHook.wait_for_completion` raises."""
        return self.hook.complete(pending, rule, self.memory.save_again)

    def finish(self, entry: Entry, finished: EditRecord) -> EditRecord:
        """Remember that the task returns this edit, and return it; its addresses are an XCom, too."""
        self.accepted, self.returning = finished, True
        self._settle()
        self._log.info("returning edit %s, %s", finished["aluo_task_id"], _what_there_is(finished))
        self._ti.xcom_push(key="aluo_task_id", value=finished["aluo_task_id"])
        if finished["result_urls"]:
            self._ti.xcom_push(key="result_urls", value=finished["result_urls"])
        finish(self, entry, finished)
        self.hook.tally.succeeded(finished, entry.record if entry.stage is Stage.RETURNED else None)
        self._settle()
        return finished

    def _settle(self) -> None:
        if self.memory.owes:
            self.hook.run(lambda _: self.memory.settle(self.now))

    @contextmanager
    def paid(self, pending: EditRecord) -> Iterator[None]:
        """Let no failure after the acceptance lead to another submit.

        An edit that ended FAILED is forgotten: another try submits anew. Where a later try will know of the
        edit, what it may mend is left to the task's retries.

        :raises AirflowFailException: chained from what another try cannot mend; names the edit.
        """
        try:
            yield
        except AluoEditFailed:
            self.hook.tally.failed()
            self.memory.forget()
            self._settle()
            raise
        except (Exception, AirflowTaskTimeout) as error:
            how = self._how_to_go_on(self.accepted or pending)
            if missing(error):
                how = "Aluo knows this edit no more; clear this task to submit, and pay, anew"
            if self.memory.knows and not (isinstance(error, AluoError) and error.final):
                self._log.warning("%s", how)
                raise
            raise AirflowFailException(f"{type(error).__name__}: {error}. {how}") from error

    def say_what_becomes_of_it(self) -> None:
        """Log it, for the task is being killed: there is no way to cancel an edit."""
        if self.accepted is not None:
            self._log.warning("the task is told to end. %s", self._how_to_go_on(self.accepted))
        elif self.submitting:
            self._log.warning("the task is told to end while it submits. %s", unknown_outcome("killed"))

    def _how_to_go_on(self, edit: EditRecord) -> str:
        return how_to_go_on(edit, remembered=self.memory.knows, returning=self.returning)

    def peek(self, pending: EditRecord, rule: WaitRule) -> EditRecord | WaitRule:
        """Look once if that can pay. No answer is no end.

        :returns: the completed record if the edit has succeeded, else how to go on waiting.
        """
        progress = Progress()
        found = self.hook.stay(pending, rule, progress)
        if not isinstance(found, Pause):
            return found
        return handed_over(rule, progress, found, time.time())

    # --- the world of driving.py ---------------------------------------------------------------------------

    def now(self) -> float:
        """Epoch seconds."""
        return time.time()

    def tell(self, message: str) -> None:
        """Log."""
        self._log.info("%s", message)

    def unknown(self) -> None:
        """Count it."""
        self.hook.tally.unknown()

    def submit(self) -> EditRecord:
        """Send the request once.

        :raises AluoRequestInvalid: it cannot be sent.
        """
        if isinstance(self._photos, AluoRequestInvalid):
            raise self._photos
        assert self._edit is not None  # noqa: S101  # ask() comes first
        self._log.info("asking %s", self.hook.account.base_url)
        self.accepted, self.submitting = None, True
        try:
            self.accepted = self.hook.submit(self._edit, self._photos)
        except AluoUnknownOutcome:
            raise
        except AluoError:
            self.submitting = False
            raise
        except (Exception, AirflowTaskTimeout) as error:
            raise unknown_outcome(f"{type(error).__name__} struck during the submit") from error
        self.submitting = False
        self._log.info("Aluo accepted the edit as %s", self.accepted["aluo_task_id"])
        return self.accepted

    def look(self, pending: EditRecord) -> Look:
        """Look once at a remembered edit.

        :raises AluoApiError: Aluo refused to answer.
        """
        self.accepted, self.looked_at = pending, time.time()
        found = self.hook.run(lambda senses: look(pending, senses, self._log.info))
        if found.seen is Seen.FAILED:
            self.hook.tally.failed()
        if found.pause is not None:
            self.found_running_at, self.wait_until = found.running_at, time.time() + found.pause.seconds
        return found


def _what_there_is(finished: EditRecord) -> str:
    """Say what an edit has given, or where it stands."""
    pictures = len(finished["result_urls"])
    return f"{pictures} picture{'s' * (pictures != 1)}" if pictures else f"which is {finished['status']}"


def _entry(pending: EditRecord, max_tries: Any) -> Entry:
    """Return the entry of an edit of which only the record is known."""
    return Entry(
        stage=Stage.ACCEPTED,
        max_tries=max_tries,
        fingerprint={},
        intended_at=record.iso(time.time()),
        record=pending,
        deadline=time.time(),
    )
