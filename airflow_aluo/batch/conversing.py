"""What all edits of a batch share while they talk with Aluo: account, session, pace, and when to stop."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from airflow_aluo.pace.line import Kind
from airflow_aluo.pace.slots import Slots
from airflow_aluo.protocol.errors import (
    AluoConnectionError,
    AluoError,
    AluoOutOfCredits,
    AluoRateLimited,
    AluoUnauthorized,
    AluoUnknownOutcome,
)
from airflow_aluo.protocol.flows import Pause, Senses
from airflow_aluo.task_store import TaskStoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_aluo.batch.memory import BatchMemory
    from airflow_aluo.metrics import StatsTally
    from airflow_aluo.protocol.account import Account
    from airflow_aluo.protocol.flows import Flow
    from airflow_aluo.transport.turns import Turns
    from airflow_aluo.transport.with_aiohttp import AiohttpDriver

T = TypeVar("T")

#: Seconds after which the number of submits under way is judged anew: they grow older.
JUDGED: Final = 0.25

#: A submit that failed so says that the next one would fail, too.
CONCERN_ALL: Final = (
    AluoOutOfCredits,
    AluoUnauthorized,
    AluoRateLimited,
    AluoConnectionError,
    TaskStoreError,
)

#: Submits in a row whose outcome nobody knows, after which no more are sent: each may be paid for nothing.
UNKNOWN_IN_A_ROW: Final = 3

#: Seconds after which who pauses notices that the batch has stopped.
_NOTICED: Final = 0.5


class NotTriedError(AluoError):
    """The batch stopped before this edit was submitted; nothing was sent for it.

    :param reason: why it stopped.
    """

    def __init__(self, reason: AluoError) -> None:
        super().__init__(f"not tried: {reason.message}")
        self.reason = reason


class Conversing:
    """One batch's conversation with one account.

    :param max_in_flight: submits that may be under way at once, ``None`` for what the account's pace needs.
    """

    def __init__(
        self,
        account: Account,
        driver: AiohttpDriver,
        turns: Turns,
        *,
        aluo_conn_id: str,
        memory: BatchMemory,
        tally: StatsTally,
        log: Any,
        max_in_flight: int | None,
    ) -> None:
        self.account, self.aluo_conn_id, self.driver = account, aluo_conn_id, driver
        self.memory, self.tally, self.log = memory, tally, log
        self.pace = turns.pace
        self.senses = Senses(now=time.time, dice=random.random, lookout=turns.pace, tally=tally)
        self._turns = turns
        self._slots = Slots(max_in_flight, time.monotonic)
        #: Who waits for a slot and a turn waits here first: one at a time.
        self._door = asyncio.Lock()
        self._freed = asyncio.Event()
        #: Why no more edits are submitted.
        self.stopped: AluoError | None = None
        self._stopping = asyncio.Event()
        self._unknown_in_a_row = 0

    def stop(self, why: AluoError) -> None:
        """Submit no more edits; what is under way goes on."""
        if self.stopped is None:
            self.log.warning("no more edits are submitted: %s", why)
            self.stopped = why
            self._stopping.set()
            self._freed.set()

    async def turn_to_submit(self, place: int) -> None:
        """Wait until a submit may be sent.

        :raises NotTriedError: the batch has stopped meanwhile.
        """
        async with self._door:
            while len(self._slots) >= self._slots.most(self.pace.requests_per_minute) and not self.stopped:
                self._freed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(JUDGED):
                        await self._freed.wait()
            if self.stopped is None:
                turn = asyncio.ensure_future(self._turns.take(Kind.SUBMIT))
                stopping = asyncio.ensure_future(self._stopping.wait())
                try:
                    await asyncio.wait({turn, stopping}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    turn.cancel()
                    stopping.cancel()
            if self.stopped is not None:
                raise NotTriedError(self.stopped)
            self._slots.begin(place)

    def answered(self, place: int) -> None:
        """Note that a submit has been answered and the answer remembered, if one was sent."""
        if place in self._slots:
            self._slots.end(place)
            self._freed.set()

    def judge(self, error: AluoError | None) -> None:
        """Judge by the answer to a submit whether others are worth sending. ``error``: ``None`` for none."""
        if not isinstance(error, AluoUnknownOutcome):
            self._unknown_in_a_row = 0
            return
        self._unknown_in_a_row += 1
        if self._unknown_in_a_row >= UNKNOWN_IN_A_ROW:
            self.stop(
                AluoUnknownOutcome(
                    f"{UNKNOWN_IN_A_ROW} submits in a row were never answered, and each may be charged; see "
                    f"what is wrong, then clear this task ({error.seen or 'no answer'})"
                )
            )

    def refused(self, pause: Pause) -> None:
        """Let the whole account rest, if that is why somebody pauses."""
        if pause.account_rests is not None:
            self._turns.refused(pause.account_rests)

    def while_going(self, flow: Flow[T]) -> Flow[T]:
        """Go a conversation, but no further than its next pause once the batch has stopped.

        :raises NotTriedError: in a pause of a submit: all that was sent so far was refused.
        """
        step: Callable[[Any], Any] = flow.send
        value: Any = None
        try:
            while True:
                wanted, step, value = step(value), flow.send, None
                if isinstance(wanted, Pause):
                    self.refused(wanted)
                    yield from self._pause(wanted.seconds)
                    continue
                try:
                    value = yield wanted
                except AluoError as error:
                    step, value = flow.throw, error
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            flow.close()

    def _pause(self, seconds: float) -> Flow[None]:
        until = self.senses.now() + seconds
        while (left := until - self.senses.now()) > 0:
            if self.stopped is not None:
                raise NotTriedError(self.stopped)
            yield Pause(min(left, _NOTICED))
