"""One key in virtual time: an Aluo that counts, triggerers that wait, and workers that submit.

The pace, the conversations and the batch are this package's own. What is Airflow's is a delay: how long a
task takes to start, to be deferred and to be resumed (seen on an Airflow at rest, see docs/scale.md), and how
long it takes until others notice that a triggerer has died.
"""

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import virtual_time
from batches import AtOnce, batch
from edit_durations import log_normal, seeded
from pretend_aluo import PretendAluo
from pretend_driver import CONN_ID, EDIT, PretendDriver, account, new_turns

from airflow_aluo.batch.memory import LONGEST_REST, REST
from airflow_aluo.hooks.aluo import SUBMIT_RULE
from airflow_aluo.protocol import flows, record, waiting
from airflow_aluo.protocol.errors import AluoEditTimedOut, AluoRateLimited
from airflow_aluo.protocol.flows import Senses
from airflow_aluo.protocol.record import EditRecord
from airflow_aluo.protocol.schedule import DEFAULT_TIMEOUT, WaitRule

#: Least and greatest seconds from a task's turn in the scheduler to its `execute`, from a deferral to the
#: running trigger, and from a trigger's event to the task's end.
TASK_START, TRIGGER_START, RESUME = (0.5, 1.4), (0.9, 1.9), (0.8, 1.8)
#: Until another triggerer takes over from a dead one: `[triggerer] triggerer_health_check_threshold` is 30.
TAKEN_OVER = (20.0, 32.0)
#: Seconds until Airflow tries a task again that was refused for two minutes.
RETRY_DELAY = 60.0
#: Seconds that one round of writing a batch's memory takes, and from one round to the next.
WRITE = 0.1
ROUND = WRITE + min(REST * WRITE, LONGEST_REST)


class CountedAluo(PretendAluo):
    """A pretend Aluo that knows which edits' ends were seen, and when."""

    def __init__(self, limit: int, dice: random.Random, *, slow_post: bool = False) -> None:
        super().__init__(limit, log_normal, dice, slow_post=slow_post)
        #: How often each edit's end was seen, by its number.
        self.seen: Counter[int] = Counter()
        #: When each of ``lags`` was.
        self.seen_at: list[float] = []
        #: Seconds that all POSTs took together.
        self.post_seconds = 0.0

    async def generate(self) -> int:
        began = time.monotonic()
        try:
            return await super().generate()
        finally:
            self.post_seconds += time.monotonic() - began

    async def status(self, number: int) -> bool:
        done = await super().status(number)
        if done:
            self.seen[number] += 1
            self.seen_at.append(time.monotonic())
        return done


class InRounds(AtOnce):
    """Stores as the batch's memory does: who asks while a round is written comes along with the next."""

    def __init__(self) -> None:
        super().__init__()
        #: What the next try would find if the worker died now.
        self.stored: dict[int, str] = {}

    async def keep(self, place: int, entry: Mapping[str, Any] | None) -> None:
        self.later(place, entry)
        now = time.monotonic()
        await asyncio.sleep(math.ceil(now / ROUND) * ROUND - now + WRITE)
        self.stored[place] = entry["stage"] if entry else "forgotten"

    save = keep

    @property
    def unknown(self) -> int:
        """Edits of which nobody would know whether they are paid."""
        return sum(stage == "intent" for stage in self.stored.values())


class Triggerer:
    """A triggerer: all its waits for the key share one pace, which knows of no other process."""

    def __init__(self, told: float, aluo: CountedAluo) -> None:
        turns = new_turns(int(told))
        self._driver = PretendDriver(account(int(told)), turns, aluo)
        self._senses = senses_of(turns.pace)
        self._waits: set[asyncio.Future[Any]] = set()
        self._dead = False

    async def wait(self, aluo_task_id: str, rule: WaitRule) -> bool:
        """Wait for an edit; false if the triggerer died meanwhile."""
        flow = waiting.wait(aluo_task_id, rule, self._senses, lambda *_: None)
        one = asyncio.ensure_future(self._driver.run(flow))
        self._waits.add(one)
        try:
            await one
        except asyncio.CancelledError:
            if not self._dead:
                raise
        finally:
            self._waits.discard(one)
        return not self._dead

    def die(self) -> None:
        self._dead = True
        for one in self._waits:
            one.cancel()


@dataclass
class Setting:
    """How a key is used.

    :param told: ``requests_per_minute`` of the connection, which each process believes at first.
    """

    limit: int = 1000
    triggerers: int = 12
    told: float = 1000
    slow_post: bool = False


class Key:
    """One key, and what the processes that use it do."""

    def __init__(self, setting: Setting, seed: int) -> None:
        self.setting = setting
        self.aluo = CountedAluo(setting.limit, seeded(seed), slow_post=setting.slow_post)
        self._dice = seeded(seed + 1_000_000)
        self._triggerers = [Triggerer(setting.told, self.aluo) for _ in range(setting.triggerers)]
        #: When each edit was wanted.
        self.wanted_at: list[float] = []
        #: Tries of tasks that failed: they were refused for two minutes, or their time was over.
        self.tries_failed = 0
        #: Edits left unknown if a batch's worker died, once a second of its work.
        self.unknown: list[int] = []

    @property
    def wanted(self) -> int:
        """Edits that were wanted."""
        return len(self.wanted_at)

    @property
    def conserved(self) -> bool:
        """Whether each wanted edit was submitted once, and its end seen."""
        return self.wanted == self.aluo.edits == len(self.aluo.seen)

    async def single(self) -> None:
        """Do what ``PhotoEditOperator(deferrable=True)`` does: a process submits, a triggerer waits."""
        self.wanted_at.append(time.monotonic())
        await self._for(TASK_START)
        while True:
            turns = new_turns(int(self.setting.told))  # a process of its own, which knows nothing
            driver = PretendDriver(account(int(self.setting.told)), turns, self.aluo)
            order = flows.order(
                EDIT,
                (),
                aluo_conn_id=CONN_ID,
                estimated_credits=35,
                rule=SUBMIT_RULE,
                senses=senses_of(turns.pace),
            )
            try:
                pending = await driver.run(order)
                break
            except AluoRateLimited:
                self.tries_failed += 1
                await asyncio.sleep(RETRY_DELAY)
        await self._waited(pending)
        await self._for(RESUME)

    async def _waited(self, pending: EditRecord) -> None:
        rule = rule_of(pending)
        while True:
            await self._for(TRIGGER_START)
            # Whoever asks Airflow first gets the trigger: nobody asks whose key it is.
            try:
                if await self._dice.choice(self._triggerers).wait(record.task_id(pending), rule):
                    return
            except AluoEditTimedOut:  # the task fails; a person clears it, and it goes on with the edit
                self.tries_failed += 1
                rule = rule_of(pending)
            else:
                await self._for(TAKEN_OVER)

    async def batches(self, count: int, size: int, at_once: int = 1) -> None:
        """Work off batches, so many processes at a time."""
        room = asyncio.Semaphore(at_once)
        self.wanted_at += [time.monotonic()] * (count * size)

        async def one() -> None:
            async with room:
                await self._for(TASK_START)
                memory = InRounds()
                watch = asyncio.ensure_future(self._watch(memory))
                await batch(self.aluo, new_turns(int(self.setting.told)), self.setting.limit, size, memory)
                watch.cancel()

        await asyncio.gather(*(one() for _ in range(count)))

    async def _watch(self, memory: InRounds) -> None:
        while True:
            await asyncio.sleep(1.0)
            self.unknown.append(memory.unknown)

    async def arrivals(self, rate: Callable[[float], float], most: float, seconds: float) -> None:
        """Start single edits at random moments, and wait until all have ended.

        :param rate: edits a second, by the seconds since the beginning; never above ``most``.
        """
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(self._dice.expovariate(most))
                passed = time.monotonic() - began
                if passed >= seconds:
                    return
                if self._dice.random() * most < rate(passed):
                    group.create_task(self.single())

    async def pooled(self, slots: int, seconds: float) -> None:
        """Keep so many single edits under way: a pool with `include_deferred`, and more tasks than that."""
        end = time.monotonic() + seconds

        async def slot() -> None:
            while time.monotonic() < end:
                await self.single()

        await asyncio.gather(*(slot() for _ in range(slots)))

    async def lose_a_triggerer(self, after: float, back_after: float) -> None:
        """Let a triggerer die, and a new one come up."""
        await asyncio.sleep(after)
        self._triggerers.pop().die()
        await asyncio.sleep(back_after)
        self._triggerers.append(Triggerer(self.setting.told, self.aluo))

    async def _for(self, between: tuple[float, float]) -> None:
        await asyncio.sleep(self._dice.uniform(*between))


def rule_of(pending: EditRecord) -> WaitRule:
    """Return how a task that is deferred now waits for its edit."""
    now = time.time()
    return record.wait_rule(pending, deadline=now + DEFAULT_TIMEOUT, poll_interval=None, started_at=now)


def senses_of(pace: Any) -> Senses:
    return Senses(now=time.time, dice=random.random, lookout=pace)


def run(work: Callable[[Key], Awaitable[Any]], setting: Setting, seed: int) -> Key:
    """Let a key be used in virtual time; return it, with all that was counted."""
    random.seed(seed)

    async def main() -> Key:
        key = Key(setting, seed)
        await work(key)
        return key

    return virtual_time.run(main)
