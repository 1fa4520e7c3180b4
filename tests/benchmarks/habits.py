"""Clients as people write them, in virtual time."""

import asyncio
import itertools
import math
import time
from dataclasses import dataclass

from pretend_aluo import PretendAluo, Refused

#: Seconds that a slow POST takes, about.
SLOW = 20.0


@dataclass(frozen=True)
class Habit:
    """A client that asks whenever it likes, and after a 429 once more when ``Retry-After`` says so.

    A loop submits, and each edit is waited for by a coroutine of its own.
    """

    name: str
    #: Seconds from an edit's acceptance to the first look, and between two looks.
    first: float
    every: float
    #: Each pause is so many times the one before, up to ``longest`` seconds.
    factor: float = 1.0
    longest: float = 60.0
    #: Looks begin when all edits are submitted.
    submits_all_first: bool = False
    #: POSTs that are under way at once; ``None`` for what a slow POST needs, and one if it is fast.
    at_once: int | None = None
    #: Its own limiter spaces its calls evenly, first come, first served.
    spaced: bool = False

    async def work(self, aluo: PretendAluo, limit: int, edits: int) -> None:
        """Work off so many edits."""
        line = _Line(60.0 / limit if self.spaced else 0.0)
        needed = math.ceil(limit / 60 * SLOW) if aluo.slow_post else 1
        room, submitted = asyncio.Semaphore(self.at_once or needed), asyncio.Event()
        count = itertools.count(1)

        async def one() -> None:
            async with room:
                number = await self._submit(aluo, line)
            if next(count) == edits or not self.submits_all_first:
                submitted.set()
            await submitted.wait()
            await self._wait(aluo, number, line)

        await asyncio.gather(*(one() for _ in range(edits)))

    async def _submit(self, aluo: PretendAluo, line: "_Line") -> int:
        while True:
            await line.turn()
            try:
                return await aluo.generate()
            except Refused as refused:
                await asyncio.sleep(refused.seconds)

    async def _wait(self, aluo: PretendAluo, number: int, line: "_Line") -> None:
        pause = self.every
        await asyncio.sleep(self.first)
        while True:
            await line.turn()
            try:
                if await aluo.status(number):
                    return
            except Refused as refused:
                await asyncio.sleep(refused.seconds)
                continue
            await asyncio.sleep(pause)
            pause = min(pause * self.factor, self.longest)


class _Line:
    """Lets one go every so many seconds; all at once if 0."""

    def __init__(self, apart: float) -> None:
        self._apart, self._next = apart, 0.0

    async def turn(self) -> None:
        if self._apart:
            now = time.monotonic()
            self._next = max(self._next, now) + self._apart
            await asyncio.sleep(self._next - self._apart - now)


HABITS = (
    Habit("every 5 s", 5, 5),
    Habit("every 10 s", 10, 10),
    Habit("backoff 1, 2, 4 ... 60 s", 1, 2, factor=2),
    Habit("wait 15 s, then every 5 s", 15, 5),
    Habit("submit all first, every 10 s", 10, 10, submits_all_first=True),
    Habit("own limiter, every 10 s", 10, 10, spaced=True),
    Habit("all POSTs at once, every 10 s", 10, 10, at_once=1_000_000),
)
