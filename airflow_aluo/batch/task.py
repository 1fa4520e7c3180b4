"""A batch as a task runs it: what is remembered, the event loop, and how the task may be ended meanwhile."""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

from airflow_aluo import lineage
from airflow_aluo.batch.conversing import Conversing
from airflow_aluo.batch.memory import BatchMemory
from airflow_aluo.batch.remembered import before_a_try, failure_to_json, from_json, prints, to_json
from airflow_aluo.batch.run import Batch
from airflow_aluo.batch.work import Work
from airflow_aluo.metrics import StatsTally
from airflow_aluo.protocol import record
from airflow_aluo.protocol.errors import AluoEditFailed, AluoError, AluoRequestInvalid, Problem
from airflow_aluo.signals_later import signals_later
from airflow_aluo.task_store import TaskStore
from airflow_aluo.transport.sharing import shared
from airflow_aluo.trigger_events import read_event

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from airflow_aluo.batch.work import How, Outcome
    from airflow_aluo.durable import Attempt
    from airflow_aluo.hooks.aluo import AluoHook
    from airflow_aluo.protocol.photo_edit import PhotoEdit
    from airflow_aluo.protocol.record import EditRecord
    from airflow_aluo.protocol.remembered import Entry

#: Edits that one trigger waits for: so many fit into its arguments and its event.
PIECE: Final = 100


class BatchTask:
    """The batch of one task instance.

    :param context: the task's.
    :param hook: the account's; its connection is fetched here, before any event loop runs.
    :param log: the task's.
    :param attempt: what the try knows of itself, but for the fingerprints.
    """

    def __init__(
        self, context: Context, hook: AluoHook, log: Any, edits: Sequence[PhotoEdit], attempt: Attempt
    ) -> None:
        self._hook, self._log, self._attempt = hook, log, attempt
        hook.tally = StatsTally.of_batch(hook.aluo_conn_id)
        self.edits, self.account = edits, hook.account
        conn_id, host = hook.aluo_conn_id, self.account.base_url
        self._prints = [prints(edit, aluo_conn_id=conn_id, host=host) for edit in edits]
        self.memory = BatchMemory(TaskStore(context), log, attempt.max_tries)
        #: Each edit's, once the batch has run.
        self.outcomes: list[Outcome] = []
        #: Edits that the triggerer could not see.
        self._here: set[int] = set()
        self._batch: Batch | None = None
        self._talk: Conversing | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        #: Why no more is to be submitted, nor waited for.
        self._over: str | None = None
        #: A person, or Airflow, has ended the task.
        self.told_to_end = False

    @property
    def records(self) -> list[EditRecord]:
        """The records of all edits, of failed ones, too."""
        return [one.record for one in self.outcomes if one.record is not None]

    def estimate(self, max_credits: float | None) -> None:
        """Say what the batch may cost.

        :raises AluoRequestInvalid: more than it may.
        """
        edits, price = len(self.edits), self.account.credits_per_edit
        cost = edits * price
        many = f"{edits} edit{'s' * (edits != 1)}"
        self._log.info("%s, estimated at %g credits (%g each)", many, cost, price)
        if max_credits is not None and cost > max_credits:
            expected = f"{cost:g} or more for {many} of {price:g} credits; or ask for fewer edits"
            problem = Problem("max_credits", f"{max_credits:g}", expected)
            raise AluoRequestInvalid("batch of photo edits", [problem])

    def recall(self, *, resumed: bool) -> None:
        """Fetch what earlier tries have done.

        :raises TaskStoreError: that cannot be known.
        """
        memory = self.memory
        memory.recall([" ".join(one.values()) for one in self._prints], trusted=resumed)
        if resumed:
            self._same_as_before()
            return
        if not memory.lasts:
            self._log.warning(
                "this Airflow has no task state store (3.3 has): if the worker dies and the task has "
                "retries, the next try submits, and pays, again"
            )
        if memory.returned and memory.cleared and self._attempt.on_clear != "reuse":
            self._log.info("the batch was returned, and the task was cleared since: submitting it anew")
            memory.start_anew()
        memory.begin(len(self.edits))
        for place, stored in list(memory.entries.items()):
            if "error" in stored:
                memory.later(place, before_a_try(stored))
        known = [entry for place, entry in memory.entries.items() if place < len(self.edits)]
        ids = sum("aluo_task_id" in entry for entry in known)
        if ids:
            done = sum(bool(entry.get("result_urls")) for entry in known)
            self._log.info(
                "%d of %d edits were accepted by Aluo before, %d of them have succeeded: going on with them",
                *(ids, len(self.edits), done),
            )

    def _same_as_before(self) -> None:
        """Make sure that a resumed try is about the edits that it was deferred with: it submits none.

        :raises AluoRequestInvalid: they are others by now.
        """
        entries = self.memory.entries
        if self.memory.recalled == len(self.edits) and all(
            entries.get(place, {}).get("prints") == " ".join(one.values())
            for place, one in enumerate(self._prints)
        ):
            return
        expected = (
            "those with which the task was deferred. Clear this task to go on: what Aluo accepted and is "
            "still asked for is not paid again"
        )
        problem = Problem("edits", "others than before, or not remembered any more", expected)
        raise AluoRequestInvalid("batch of photo edits", [problem])

    def heard(self, seen: Mapping[str, Any]) -> None:
        """Take over what the triggerer has seen, by Aluo's id; what it could not see is looked at here."""
        now = time.time()
        for place, entry in list(self.memory.entries.items()):
            if (one := seen.get(entry.get("aluo_task_id", ""))) is None:
                continue
            known = self._entry(place)
            try:
                finished = record.completed(known.edit, read_event(one), at=now)
            except AluoEditFailed as error:
                self._hook.tally.failed()
                found = {**entry, **failure_to_json(error, tried=True)}
            except AluoError:
                self._here.add(place)
                continue
            else:
                self._hook.tally.succeeded(finished, known.edit)
                found = to_json(replace(known, record=finished))
            self.memory.later(place, found)

    def _entry(self, place: int) -> Entry:
        names, stored = list(self._prints[place]), self.memory.entries[place]
        return from_json(stored, self.edits[place], names, self._hook.aluo_conn_id)

    def run(self, how: How, *, resumed: bool) -> list[int]:
        """Do all that can be done; return the places of the edits that are left to the triggerer.

        ``execution_timeout`` strikes once every submit under way is answered and its answer remembered.
        """
        work = Work(
            edits=self.edits,
            prints=self._prints,
            # What became of a submit is settled within the try: it is not for a resumed one to send it again.
            attempt=replace(self._attempt, on_unknown_outcome="fail") if resumed else self._attempt,
            how=replace(how, leave=how.leave and self.memory.lasts),
            here=self._here,
            resumed=resumed,
        )
        with signals_later(signal.SIGALRM, meanwhile=lambda: self._end("execution_timeout has passed")):
            left = asyncio.run(self._converse(work))
        if self.told_to_end:
            raise AluoError(
                "the task was told to end. What Aluo has accepted goes on there, and is gone on with when "
                "the task is cleared or tried again"
            )
        return left

    async def _converse(self, work: Work) -> list[int]:
        self._loop = asyncio.get_running_loop()
        async with shared().driver(self.account) as driver:
            self._talk = Conversing(
                self.account,
                driver,
                shared().turns(self.account),
                aluo_conn_id=self._hook.aluo_conn_id,
                memory=self.memory,
                tally=self._hook.tally,
                log=self._log,
                max_in_flight=work.how.max_in_flight,
            )
            self._batch = Batch(work, self._talk, self.memory)
            self._stop()
            try:
                return await self._batch.run()
            finally:
                self.outcomes = self._batch.outcomes

    def report(self) -> None:
        """Tell Airflow's lineage collector what was read and made."""
        for one in self.records:
            lineage.report_edit(self._hook, one)

    # --- ended from outside ---------------------------------------------------------------------------------

    def end(self) -> None:
        """Submit no more and wait no more. May be called by a signal's handler."""
        self.told_to_end = True
        self._end("the task was told to end")

    def _end(self, why: str) -> None:
        self._over = why
        if self._loop is not None and self._loop.is_running():
            self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        if self._over is not None and self._talk is not None and self._batch is not None:
            self._talk.stop(AluoError(self._over))
            self._batch.leave()

    # --- what is left ---------------------------------------------------------------------------------------

    def piece(self, left: Sequence[int], how: How) -> tuple[list[list[Any]], dict[str, Any], float]:
        """Return the edits that a trigger is to wait for next, the rule of all, and the last deadline.

        Each edit is Aluo's id and what is its own of the rule.
        """
        now, rules = time.time(), {}
        for place in left[:PIECE]:
            entry = self._entry(place)
            rules[record.task_id(entry.edit)] = asdict(
                record.wait_rule(
                    entry.edit,
                    deadline=entry.deadline or now + self._attempt.timeout,
                    poll_interval=how.poll_interval,
                    started_at=now,
                    tolerated_failures=how.tolerated_failures,
                )
            )
        common = dict(next(iter(rules.values())))
        own = [
            [aluo_task_id, {name: value for name, value in rule.items() if value != common[name]}]
            for aluo_task_id, rule in rules.items()
        ]
        return own, common, max(rule["deadline"] for rule in rules.values())
