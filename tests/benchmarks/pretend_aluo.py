"""An Aluo for virtual time: it counts calls, refuses those beyond the limit, and lets edits take time."""

import asyncio
import math
import random
import time
from collections import deque
from statistics import fmean

from edit_durations import Draw

#: Seconds over which calls are counted.
WINDOW = 60.0
#: Least and greatest seconds that a call, and its answer, are on their way: 50 ms there and back, about.
WAY = (0.015, 0.035)


class Refused(Exception):  # noqa: N818 - it is what happened
    """HTTP 429. ``seconds``: what ``Retry-After`` says, whole ones as the sandbox's."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = float(math.ceil(seconds))


class PretendAluo:
    """One account's Aluo.

    :param limit: calls that any minute may hold; a refused one does not count.
    :param draw: the seconds that an edit takes.
    :param slow_post: the POST holds until the edit is done.
    """

    def __init__(self, limit: int, draw: Draw, dice: random.Random, *, slow_post: bool = False) -> None:
        self._limit, self._draw, self.slow_post = limit, draw, slow_post
        self.dice = dice
        self._window: deque[float] = deque()
        #: When each edit is done, by its number.
        self._done_at: list[float] = []
        self._posts = 0
        #: When each call was accepted, and when one was refused.
        self.accepted: list[float] = []
        self.refused: list[float] = []
        #: Looks that found an edit running.
        self.early = 0
        #: Seconds from each edit's end until its client knew.
        self.lags: list[float] = []
        #: The most POSTs that were under way at once.
        self.most_posts = 0
        #: When the last edit was submitted, and when the last end was known.
        self.last_submit = self.last_end = 0.0

    async def generate(self) -> int:
        """Accept an edit; its number.

        :raises Refused: too many calls.
        """
        self._posts += 1
        self.most_posts = max(self.most_posts, self._posts)
        try:
            await self._travel()
            self._admit()
            seconds = self._draw(self.dice, len(self._done_at))
            self._done_at.append(time.monotonic() + seconds)
            number, self.last_submit = len(self._done_at) - 1, time.monotonic()
            if self.slow_post:
                await asyncio.sleep(seconds)
            await self._travel()
        finally:
            self._posts -= 1
        return number

    async def status(self, number: int) -> bool:
        """Whether an edit is done.

        :raises Refused: too many calls.
        """
        await self._travel()
        self._admit()
        done = time.monotonic() >= self._done_at[number]
        await self._travel()
        if done:
            self.last_end = time.monotonic()
            self.lags.append(self.last_end - self._done_at[number])
        else:
            self.early += 1
        return done

    @property
    def edits(self) -> int:
        """How many were accepted."""
        return len(self._done_at)

    @property
    def refused_part(self) -> float:
        """The part of all calls that was refused."""
        return len(self.refused) / max(len(self.accepted) + len(self.refused), 1)

    @property
    def calls_an_edit(self) -> float:
        """Accepted calls for each edit."""
        return len(self.accepted) / max(self.edits, 1)

    @property
    def lag(self) -> float:
        """Mean seconds from an edit's end until its client knew."""
        return fmean(self.lags)

    async def _travel(self) -> None:
        await asyncio.sleep(self.dice.uniform(*WAY))

    def _admit(self) -> None:
        now = time.monotonic()
        while self._window and self._window[0] <= now - WINDOW:
            self._window.popleft()
        if len(self._window) >= self._limit:
            self.refused.append(now)
            raise Refused(self._window[0] + WINDOW - now)
        self._window.append(now)
        self.accepted.append(now)
