"""A batch at work: submits as fast as the account allows, waits for all, lands what is ready."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.batch.asked import invalid
from airflow_aluo.batch.conversing import CONCERN_ALL, Conversing, NotTriedError
from airflow_aluo.batch.one import OneEdit
from airflow_aluo.batch.photos import ahead, load, unreadable
from airflow_aluo.batch.progress import FIRST, LAST, Counts, line
from airflow_aluo.batch.remembered import (
    addresses_are_missing,
    after_failure,
    failure_from_json,
    failure_to_json,
    from_json,
    to_json,
)
from airflow_aluo.batch.work import Outcome
from airflow_aluo.driving import abegin, uninterrupted
from airflow_aluo.durable import Step, decide
from airflow_aluo.landing import land
from airflow_aluo.protocol import record, waiting
from airflow_aluo.protocol.chained import did_not_land
from airflow_aluo.protocol.errors import AluoError, AluoUnauthorized
from airflow_aluo.protocol.remembered import Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_aluo.batch.memory import BatchMemory
    from airflow_aluo.batch.work import Work
    from airflow_aluo.durable import Attempt
    from airflow_aluo.protocol.calls import Upload
    from airflow_aluo.protocol.record import EditRecord
    from airflow_aluo.protocol.remembered import Entry

#: Edits whose pictures are landed at once.
LANDERS: Final = 8


class Batch:
    """The edits of one task, from the first submit to the last picture."""

    def __init__(self, work: Work, talk: Conversing, memory: BatchMemory) -> None:
        self._work, self._talk, self._memory = work, talk, memory
        self.outcomes = [Outcome() for _ in work.edits]
        self._tasks: set[asyncio.Task[None]] = set()
        #: How many of them wait for an edit that can be left to the triggerer.
        self._waits = 0
        #: Something has changed that may end the batch's stay here.
        self._moved = asyncio.Event()
        self._landing = asyncio.Semaphore(LANDERS)
        #: Nothing is waited for any more; because Aluo refuses the key, if that is why.
        self._left = False
        self._refused: AluoUnauthorized | None = None
        self._said = ""

    async def run(self) -> list[int]:
        """Do all that can be done; return the places of the edits that are left to the triggerer.

        :raises AluoRequestInvalid: files to upload are not there; nothing was sent.
        """
        places = self._sorted()
        if problems := await asyncio.to_thread(unreadable, self._work.edits, places[0]):
            raise invalid(problems)
        telling = asyncio.ensure_future(self._tell())
        try:
            async with self._memory.writing():
                try:
                    left = await self._work_off(*places)
                except BaseException:
                    self._talk.stop(AluoError("the batch was broken off"))
                    self.leave()
                    raise
                finally:
                    while self._tasks:
                        await asyncio.wait(self._tasks)
        finally:
            telling.cancel()
            self._talk.pace.unsubmitted = 0
        self._say()
        return left

    def leave(self) -> None:
        """Wait no more; what is being submitted or landed is brought to its end."""
        self._left = True
        for task in self._tasks:
            task.cancel()

    # --- the order ------------------------------------------------------------------------------------------

    async def _work_off(self, new: list[int], seen: list[int], begun: list[int]) -> list[int]:
        """Begin with each edit: those that an earlier try has begun at once, the others in their turn."""
        self._begin(begun)
        for number, (place, loading) in enumerate(ahead(new, self._load)):
            self._talk.pace.unsubmitted = len(new) - number
            try:
                photos = await loading
                await self._talk.turn_to_submit(place)
            except AluoError as error:
                self._fail(place, error, None)
            else:
                self._begin([place], photos)
        self._talk.pace.unsubmitted = 0
        await self._until_ended()
        if not self._left:  # else each piece of the wait would end with a look at each of them
            self._begin(seen)
            await self._until_ended()
        open_ones = [place for place, one in enumerate(self.outcomes) if one == Outcome()]
        if self._refused is not None:
            for place in open_ones:
                self._fail(place, self._refused, None)
            return []
        known = set(seen)
        return [place for place in open_ones if place not in known] or open_ones

    def _sorted(self) -> tuple[list[int], list[int], list[int]]:
        """Return the places of what is to be submitted, to be looked at once more, and to be gone on with."""
        new: list[int] = []
        seen: list[int] = []
        begun: list[int] = []
        for place in range(len(self._work.edits)):
            stored = self._memory.entries.get(place, {})
            if self._work.resumed and "error" in stored:  # in this very try
                error, tried = failure_from_json(stored)
                self._fail(place, error if tried else NotTriedError(error), None)
                continue
            entry = self._remembered(place)
            if decide(entry, self._attempt(place)).step is Step.SUBMIT:
                new.append(place)
            elif self._work.resumed and entry and addresses_are_missing(entry):
                seen.append(place)
            else:
                begun.append(place)
        return new, seen, begun

    def _remembered(self, place: int) -> Entry | None:
        """Return what is to be gone on with of an edit."""
        stored = self._memory.entries.get(place)
        if stored is None or stored["stage"] == "failed":
            return None
        names = list(self._work.prints[place])
        entry = from_json(stored, self._work.edits[place], names, self._talk.aluo_conn_id)
        return replace(entry, stage=Stage.RETURNED) if self._memory.returned and entry.record else entry

    def _attempt(self, place: int) -> Attempt:
        return replace(self._work.attempt, fingerprint=self._work.prints[place])

    async def _load(self, place: int) -> Sequence[Upload]:
        if self._talk.stopped is not None:
            raise NotTriedError(self._talk.stopped)
        return await load(self._work.edits[place])

    def _begin(self, places: Iterable[int], photos: Sequence[Upload] | None = None) -> None:
        for place in places:
            if self._left:
                return
            task = asyncio.ensure_future(self._one(place, photos))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._moved.set()

    async def _until_ended(self) -> None:
        """Wait until all that has begun has ended, or can be left to the triggerer."""
        while self._tasks:
            self._moved.clear()
            # What is not stored is lost on the way to the triggerer and back.
            if self._may_leave() and await self._memory.settle() and self._may_leave():
                self.leave()
            await self._moved.wait()

    def _may_leave(self) -> bool:
        return self._work.how.leave and not self._left and self._waits == len(self._tasks) > 0

    # --- one edit -------------------------------------------------------------------------------------------

    async def _one(self, place: int, photos: Sequence[Upload] | None) -> None:
        pending: EditRecord | None = None
        try:
            entry = await self._begun(place, photos)
            photos, pending = None, entry.edit  # megabytes, of each edit that is waited for
            if not pending["result_urls"]:
                pending = await self._finished(place, entry)
                self._memory.later(place, to_json(replace(entry, record=pending)))
            if self._work.how.land and not pending["files"]:
                async with self._landing:
                    pending = await uninterrupted(self._landed(place, entry, pending))
            self.outcomes[place].record = pending
        except asyncio.CancelledError:
            if not self._left:
                raise
        except AluoError as error:
            self._fail(place, error, pending)
            if isinstance(error, AluoUnauthorized):  # whoever asks next is refused, too
                self._refused = error
                self._talk.stop(error)
                self.leave()
        except Exception as error:
            self._talk.log.exception("edit %d of the batch failed", place)
            self._fail(place, AluoError(f"{type(error).__name__}: {error}"), pending)

    async def _begun(self, place: int, photos: Sequence[Upload] | None) -> Entry:
        """Return the edit that is to be waited for, or has succeeded already; submitted if need be."""
        entry = self._remembered(place)
        if self._work.resumed and entry is not None and entry.record is not None:
            return entry
        edit = OneEdit(self._talk, place, self._work.edits[place], photos)
        try:
            begun = await abegin(edit, self._attempt(place), entry)
        except CONCERN_ALL as error:
            self._talk.stop(error)
            raise
        else:
            self._talk.tally.succeeded(begun.edit, entry.record if entry else None)
            return begun
        finally:
            self._talk.answered(place)

    async def _finished(self, place: int, entry: Entry) -> EditRecord:
        """Wait until an edit has succeeded, and return its record."""
        now, talk = time.time(), self._talk
        rule = record.wait_rule(
            entry.edit,
            deadline=entry.deadline or now + self._work.attempt.timeout,
            poll_interval=self._work.how.poll_interval,
            started_at=now,
            tolerated_failures=self._work.how.tolerated_failures,
        )
        wait = waiting.wait(record.task_id(entry.edit), rule, talk.senses, talk.log.debug)
        can_be_left = place not in self._work.here and not addresses_are_missing(entry)
        self._waits += can_be_left
        self._moved.set()
        try:
            with talk.tally.outcome():
                finished = record.completed(entry.edit, await talk.driver.run(wait), at=time.time())
            talk.tally.succeeded(finished, entry.edit)
            return finished
        finally:
            self._waits -= can_be_left

    async def _landed(self, place: int, entry: Entry, finished: EditRecord) -> EditRecord:
        """Land an edit's pictures, and return its record with the files."""
        assert self._work.how.land is not None  # noqa: S101  # the caller has asked
        talk = self._talk
        landed = await land(finished, self._work.how.land, talk.driver, talk.log.debug, tally=talk.tally)
        self._memory.later(place, to_json(replace(entry, record=landed)))
        return landed

    def _fail(self, place: int, error: AluoError, pending: EditRecord | None) -> None:
        """Note that an edit failed."""
        stored, edit = self._memory.entries.get(place), self._work.edits[place]
        tried = not isinstance(error, NotTriedError)
        reason = error.reason if isinstance(error, NotTriedError) else error
        # What is remembered of one that was not tried is an edit that this try wants no more.
        if tried and pending is None and (entry := self._remembered(place)):
            pending = entry.record
        failed = (
            record.not_accepted(edit, reason, aluo_conn_id=self._talk.aluo_conn_id, tried=tried)
            if pending is None
            else record.failed(pending, error, at=time.time())
        )
        self.outcomes[place] = Outcome(failed, reason, tried=tried)
        marks: dict[str, Any] | None = None
        if self._work.how.leave:
            prints, max_tries = " ".join(self._work.prints[place].values()), self._work.attempt.max_tries
            marks = {"max_tries": max_tries, "prints": prints, **failure_to_json(reason, tried=tried)}
        landing = bool(failed["result_urls"])
        if (after := after_failure(stored, reason, marks=marks, landing=landing)) != stored:
            self._memory.later(place, after)

    # --- what is told ---------------------------------------------------------------------------------------

    async def _tell(self) -> None:
        pause = FIRST
        while True:
            await asyncio.sleep(pause)
            if self._say():
                pause = min(pause * 2, LAST)

    def _say(self) -> bool:
        """Say how it goes, if that is news."""
        before, self._said = self._said, self._line()
        if self._said != before:
            self._talk.log.info("%s", self._said)
        return self._said != before

    def _line(self) -> str:
        done = sum(one.record is not None and one.error is None for one in self.outcomes)
        failed = [one.record for one in self.outcomes if one.record is not None and one.error is not None]
        lost = sum(map(did_not_land, failed))
        counts = Counts(len(self.outcomes), done, len(self._tasks), len(failed) - lost, lost)
        return line(counts, self._talk.pace.seconds_a_call, self._talk.pace.usual(0.9))
