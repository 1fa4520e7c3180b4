"""Six processes on one key in virtual time, each with a pace of its own: they know nothing of each other."""

import asyncio
import random
import time
from typing import Any

from batches import batch
from edit_durations import seeded, uniform
from pretend_aluo import PretendAluo
from pretend_driver import CONN_ID, EDIT, PretendDriver, account, new_turns

from airflow_aluo.protocol import flows, record, waiting
from airflow_aluo.protocol.flows import Senses
from airflow_aluo.protocol.record import EditRecord
from airflow_aluo.protocol.schedule import DEFAULT_TIMEOUT, RetryRule
from airflow_aluo.transport.turns import Turns

#: Edits that two workers have to make, each: more than they can.
ENDLESS = 100_000
#: Edits that one worker has submitted and its triggerer waits for, at most.
OPEN = 40


async def six(aluo: PretendAluo, limit: int, seconds: float) -> None:
    """Let two workers work off batches, two submit, and two triggerers wait for what these submit."""
    going: list[Any] = [batch(aluo, new_turns(limit), limit, ENDLESS) for _ in range(2)]
    for _ in range(2):
        queue: asyncio.Queue[EditRecord] = asyncio.Queue()
        room = asyncio.Semaphore(OPEN)
        going += [feed(aluo, limit, queue, room), trigger(aluo, limit, queue, room)]
    tasks = []
    for one in going:
        tasks.append(asyncio.ensure_future(one))
        await asyncio.sleep(aluo.dice.uniform(0.2, 2.0))
    await asyncio.sleep(seconds - time.monotonic())
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def feed(
    aluo: PretendAluo, limit: int, queue: asyncio.Queue[EditRecord], room: asyncio.Semaphore
) -> None:
    """Submit as fast as the account allows, but no more than the triggerer waits for."""
    turns = new_turns(limit)
    driver, senses = PretendDriver(account(limit), turns, aluo), senses_of(turns)
    while True:
        await room.acquire()
        rule = RetryRule(budget=600.0)
        order = flows.order(EDIT, (), aluo_conn_id=CONN_ID, estimated_credits=35, rule=rule, senses=senses)
        queue.put_nowait(await driver.run(order))


async def trigger(
    aluo: PretendAluo, limit: int, queue: asyncio.Queue[EditRecord], room: asyncio.Semaphore
) -> None:
    """Wait for all that is submitted."""
    turns = new_turns(limit)
    driver, senses = PretendDriver(account(limit), turns, aluo), senses_of(turns)

    async def one(pending: EditRecord) -> None:
        now = time.time()
        rule = record.wait_rule(pending, deadline=now + DEFAULT_TIMEOUT, poll_interval=None, started_at=now)
        await driver.run(waiting.wait(record.task_id(pending), rule, senses, lambda *_: None))
        room.release()

    async with asyncio.TaskGroup() as group:
        while True:
            group.create_task(one(await queue.get()))


def senses_of(turns: Turns) -> Senses:
    return Senses(now=time.time, dice=random.random, lookout=turns.pace)


def pretend(limit: int, seed: int) -> PretendAluo:
    return PretendAluo(limit, uniform, seeded(seed))
