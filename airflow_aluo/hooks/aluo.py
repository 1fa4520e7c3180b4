"""From an Airflow connection to an answer of Aluo's."""

from __future__ import annotations

import asyncio
import random
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

from airflow.sdk import BaseHook

from airflow_aluo import accounts, metrics
from airflow_aluo.protocol import calls, flows, photo_edit, record, waiting
from airflow_aluo.protocol.errors import AluoApiError, AluoError, AluoUnauthorized
from airflow_aluo.protocol.flows import Pause, Senses
from airflow_aluo.protocol.schedule import DEFAULT_TIMEOUT, MIN_PAUSE, RetryRule, WaitRule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_aluo.pace.account_pace import AccountPace
    from airflow_aluo.protocol.account import Account
    from airflow_aluo.protocol.calls import Upload
    from airflow_aluo.protocol.flows import Flow
    from airflow_aluo.protocol.photo_edit import PhotoEdit
    from airflow_aluo.protocol.record import EditRecord
    from airflow_aluo.protocol.replies import Snapshot
    from airflow_aluo.protocol.vocabulary import AspectRatio, OutputFormat
    from airflow_aluo.protocol.waiting import Progress

__all__ = ["AluoHook"]

T = TypeVar("T")

#: A submit waits for a 429's minute to pass; beyond that the task's own retries decide.
SUBMIT_RULE: Final = RetryRule(budget=120.0)

#: One look, one page of results, one picture.
CALL_RULE: Final = RetryRule(budget=60.0)

#: A person waits for the outcome of a connection's test.
ONE_TRY: Final = RetryRule(budget=0.0)

#: An edit that cannot exist, for :meth:`AluoHook.test_connection`.
_NO_SUCH_EDIT: Final = "airflow-connection-test"


class AluoHook(BaseHook):
    """Talks to Aluo's photo editor with the key, limits and addresses of an Airflow connection.

    For ``@task`` functions: what :meth:`generate` returns can be returned to XCom and taken by the sensor
    and the download operator. ``generate``, ``get_status`` and ``wait_for_completion`` have async twins whose
    names begin with ``a``.

    :param aluo_conn_id: the Airflow connection, of type ``aluo``: the host is the base URL (empty for
        ``https://api.aluo.ai/api``), the password is the API key (``sk-...``).
    """

    conn_name_attr = "aluo_conn_id"
    default_conn_name = "aluo_default"
    conn_type = "aluo"
    hook_name = "Aluo"

    def __init__(self, aluo_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.aluo_conn_id = aluo_conn_id

    @cached_property
    def account(self) -> Account:
        """The account that the connection names.

        :raises AluoRequestInvalid: the connection cannot be used; says all that is wrong with it.
        """
        return accounts.read(self.aluo_conn_id, self.get_connection(self.aluo_conn_id), self.log)

    async def aaccount(self) -> Account:
        """Return :attr:`account` without blocking the event loop."""
        if "account" not in self.__dict__:
            self.__dict__["account"] = await accounts.recently_read(self.aluo_conn_id, self._ask_for_account)
        return self.account

    async def _ask_for_account(self) -> Account:
        return accounts.read(self.aluo_conn_id, await self.aget_connection(self.aluo_conn_id), self.log)

    @cached_property
    def pace(self) -> AccountPace:
        """How fast the account may be asked by this hook in a worker, and when it looks."""
        from airflow_aluo.pace.account_pace import AccountPace

        return AccountPace(self.account.requests_per_minute, time.monotonic)

    @cached_property
    def tally(self) -> metrics.StatsTally:
        """What counts for the task that this process runs; another may be put in its place."""
        return metrics.StatsTally.of_task(self.aluo_conn_id)

    def generate(
        self,
        prompt: str,
        *,
        image_urls: Sequence[str] | str | None = None,
        image_files: Sequence[str] | str | None = None,
        aspect_ratio: AspectRatio | None = None,
        output_format: OutputFormat | None = None,
        num_images: int | None = None,
    ) -> EditRecord:
        """Submit an edit, at most once, and return its record; it is not waited for.

        :param prompt: what to change, in a sentence.
        :param image_urls: 1 to 5 addresses that Aluo can fetch; or …
        :param image_files: … 1 to 5 files to upload: local paths or object-storage addresses.
        :param aspect_ratio: of the result; left out, Aluo decides.
        :param output_format: of the result; png if left out.
        :param num_images: how many results; 1 if left out. Not with files: the vendor's form lacks it.
        :raises AluoRequestInvalid: before anything is sent; says all that is wrong.
        :raises AluoUnknownOutcome: the edit may have been accepted; it must not be sent again blindly.
        :raises AluoApiError: Aluo refused; nothing was accepted.
        :raises AluoConnectionError: nothing was sent.

        Source: https://aluo.ai/docs/api/photo-editor (read 2026-11-22)
        """
        edit = _asked(prompt, image_urls, image_files, aspect_ratio, output_format, num_images)
        from airflow_aluo.storage import load_photos

        with self.tally.outcome():
            return self.submit(edit, load_photos(edit.image_files))

    async def agenerate(
        self,
        prompt: str,
        *,
        image_urls: Sequence[str] | str | None = None,
        image_files: Sequence[str] | str | None = None,
        aspect_ratio: AspectRatio | None = None,
        output_format: OutputFormat | None = None,
        num_images: int | None = None,
    ) -> EditRecord:
        """Submit like :meth:`generate`. For a worker's event loop; never for a trigger: it may run twice."""
        edit = _asked(prompt, image_urls, image_files, aspect_ratio, output_format, num_images)
        from airflow_aluo.storage import load_photos

        uploads = await asyncio.to_thread(load_photos, edit.image_files)
        with self.tally.outcome():
            return await self.arun(lambda senses: self.order(edit, uploads, senses))

    def submit(self, edit: PhotoEdit, uploads: Sequence[Upload]) -> EditRecord:
        """Submit an edit that was read and checked already. Raises what :meth:`generate` raises."""
        return self.run(lambda senses: self.order(edit, uploads, senses))

    def get_status(self, aluo_task_id: str) -> Snapshot:
        """Look at an edit.

        :raises AluoApiError: Aluo refused to answer.
        :raises AluoConnectionError: no reply, after some tries.
        :raises AluoReplyError: a reply that is not Aluo's, after some tries.
        """
        return self.run(lambda senses: flows.send(calls.status(aluo_task_id), CALL_RULE, senses))

    async def aget_status(self, aluo_task_id: str) -> Snapshot:
        """Look at an edit like :meth:`get_status`."""
        return await self.arun(lambda senses: flows.send(calls.status(aluo_task_id), CALL_RULE, senses))

    def stay(
        self, pending: EditRecord, rule: WaitRule, progress: Progress, *, shorter_than: float = MIN_PAUSE
    ) -> EditRecord | Pause:
        """Wait while the pauses are short. Raises what :meth:`wait_for_completion` raises.

        :param progress: of the wait; the looks are added to it.
        :param shorter_than: seconds; a pause of this length is not spent here. By default one look is taken
            if it is due.
        :returns: the completed record if the edit has succeeded, else how long to pause.
        """
        aluo_task_id = record.task_id(pending)
        tell = self.log.info
        found = self.run(
            lambda senses: waiting.stay(aluo_task_id, rule, progress, senses, tell, shorter_than=shorter_than)
        )
        return found if isinstance(found, Pause) else record.completed(pending, found, at=time.time())

    def wait_for_completion(
        self,
        edit: EditRecord | str,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        poll_interval: float | None = None,
    ) -> EditRecord:
        """Wait until an edit has succeeded and return its record, now with ``result_urls``.

        :param edit: what :meth:`generate` returned, or Aluo's id of an edit.
        :param timeout: seconds to wait from now.
        :param poll_interval: seconds between two looks; left out, they are taken when they are likely to pay.
        :raises AluoEditFailed: the edit ended FAILED; no credits were taken.
        :raises AluoEditTimedOut: it was not finished in time; it goes on at Aluo.
        :raises AluoError: likewise what :meth:`get_status` raises, when no look succeeded for too long.
        """
        pending = record.of_edit(edit, aluo_conn_id=self.aluo_conn_id)
        with self.tally.outcome():
            finished = self.complete(pending, _rule(pending, timeout, poll_interval))
        self.tally.succeeded(finished, pending)
        return finished

    async def await_for_completion(
        self,
        edit: EditRecord | str,
        *,
        timeout: float = DEFAULT_TIMEOUT,  # noqa: ASYNC109  # it ends in a typed error, not in a cancellation
        poll_interval: float | None = None,
    ) -> EditRecord:
        """Wait like :meth:`wait_for_completion`."""
        pending = record.of_edit(edit, aluo_conn_id=self.aluo_conn_id)
        rule = _rule(pending, timeout, poll_interval)
        with self.tally.outcome():
            snapshot = await self.await_snapshot(record.task_id(pending), rule)
        finished = record.completed(pending, snapshot, at=time.time())
        self.tally.succeeded(finished, pending)
        return finished

    def complete(
        self, pending: EditRecord, rule: WaitRule, before_look: Callable[[], object] = lambda: None
    ) -> EditRecord:
        """Wait for a record's edit as the rule says. Raises what :meth:`wait_for_completion` raises.

        :param before_look: is called before each look.
        """
        aluo_task_id, tell = record.task_id(pending), self.log.info
        snapshot = accounts.while_keys_change(
            lambda: self.run(lambda senses: waiting.wait(aluo_task_id, rule, senses, tell, before_look)),
            lambda: self.account,
            lambda: self.__dict__.pop("account", None),
            lambda: self.log.warning(accounts.ANOTHER_KEY, self.aluo_conn_id),
        )
        return record.completed(pending, snapshot, at=time.time())

    async def await_snapshot(self, aluo_task_id: str, rule: WaitRule) -> Snapshot:
        """Wait as the rule says and return the last look. Raises what :meth:`wait_for_completion` raises."""
        return await accounts.awhile_keys_change(
            lambda: self.arun(lambda senses: waiting.wait(aluo_task_id, rule, senses, self.log.info)),
            self.aaccount,
            lambda: self.__dict__.pop("account", None),
            lambda: self.log.warning(accounts.ANOTHER_KEY, self.aluo_conn_id),
        )

    def test_connection(self) -> tuple[bool, str]:
        """Try the connection without spending credits: look at an edit that cannot exist."""
        try:
            answer = self.run(lambda senses: flows.send(calls.probe(_NO_SUCH_EDIT), ONE_TRY, senses))
        except AluoApiError as error:
            return error.code is not None and not isinstance(error, AluoUnauthorized), str(error)
        except AluoError as error:
            return False, str(error)
        return True, f"Aluo answered: {answer}"

    def run(self, conversation: Callable[[Senses], Flow[T]]) -> T:
        """Drive a conversation in a worker, at the account's pace, and return its result."""
        from airflow_aluo.transport.with_requests import RequestsDriver

        with RequestsDriver(self.account, self.pace) as driver:
            return driver.run(conversation(self._senses(self.pace)))

    async def arun(self, conversation: Callable[[Senses], Flow[T]]) -> T:
        """Drive a conversation in an event loop and return its result.

        Session and pace are shared with all others of the account in this event loop.
        """
        from airflow_aluo.transport.sharing import shared

        account = await self.aaccount()
        async with shared().driver(account) as driver:
            try:
                return await driver.run(conversation(self._senses(shared().turns(account).pace)))
            except AluoError as error:
                if accounts.tells_of_the_key(error):
                    accounts.forget(self.aluo_conn_id, account)
                raise

    def order(self, edit: PhotoEdit, uploads: Sequence[Upload], senses: Senses) -> Flow[EditRecord]:
        """Return the conversation that submits an edit, once the account is known."""
        self.log.info("submitting an edit, estimated at %g credits", self.account.credits_per_edit)
        return flows.order(
            edit,
            uploads,
            aluo_conn_id=self.aluo_conn_id,
            estimated_credits=self.account.credits_per_edit,
            rule=SUBMIT_RULE,
            senses=senses,
        )

    def _senses(self, pace: AccountPace) -> Senses:
        """Return wall clock, because deadlines must survive restarts, and dice that need no secrecy."""
        return Senses(now=time.time, dice=random.random, lookout=pace, tally=self.tally)


def _rule(pending: EditRecord, timeout: float, poll_interval: float | None) -> WaitRule:
    now = time.time()
    return record.wait_rule(pending, deadline=now + timeout, poll_interval=poll_interval, started_at=now)


def _asked(*values: Any) -> PhotoEdit:
    return photo_edit.read(dict(zip(photo_edit.PARAMETERS, values, strict=True)))
