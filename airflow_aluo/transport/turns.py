"""Whoever asks one account in an event loop waits here for a turn, at the account's pace."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

from airflow_aluo.pace.line import Line

if TYPE_CHECKING:
    from airflow_aluo.pace.account_pace import AccountPace
    from airflow_aluo.pace.line import Kind


class Turns:
    """Gives turns, one after the other, as fast as the account allows. Lives in one event loop."""

    def __init__(self, pace: AccountPace) -> None:
        self.pace = pace
        self._line: Line[asyncio.Future[None]] = Line()
        self._timer: asyncio.TimerHandle | None = None

    async def take(self, kind: Kind, *, by: float = math.inf) -> None:
        """Wait for a turn, and count it as taken. Who is cancelled meanwhile leaves the line.

        :param by: epoch seconds after which the turn is taken in any case.
        """
        if not self.pace.waiting and self.pace.delay() <= 0:
            self.pace.take()
            return
        turn = asyncio.get_running_loop().create_future()
        self._line.join(kind, turn)
        self.pace.waiting = len(self._line)
        self._go_on()
        try:
            async with asyncio.timeout(None if by == math.inf else max(by - time.time(), 0.0)):
                await self._until(turn, kind)
        except TimeoutError:
            self.pace.take()

    async def _until(self, turn: asyncio.Future[None], kind: Kind) -> None:
        try:
            await turn
        except asyncio.CancelledError:
            self._line.leave(kind, turn)
            self.pace.waiting = len(self._line)
            if not self._line and self._timer is not None:
                self._timer.cancel()  # it would keep the event loop from being forgotten
                self._timer = None
            raise

    def refused(self, rest: float) -> None:
        """Let the whole account rest so many seconds: a call was refused (429)."""
        self.pace.refused(rest)

    def _go_on(self) -> None:
        """Give the turns that are due, and come back when the next one is."""
        if self._timer is not None:
            return
        while self._line:
            if (delay := self.pace.delay()) > 0:
                self._timer = asyncio.get_running_loop().call_later(delay, self._again)
                break
            turn = self._line.next(submits_first=self.pace.submits_first)
            if not turn.done():  # who was cancelled a moment ago is about to leave
                self.pace.take()
                turn.set_result(None)
        self.pace.waiting = len(self._line)

    def _again(self) -> None:
        self._timer = None
        self._go_on()
