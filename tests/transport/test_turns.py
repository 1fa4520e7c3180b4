"""Turns: whoever asks one account waits here, at the account's pace, and may leave."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from airflow_aluo.pace.account_pace import AccountPace
from airflow_aluo.pace.line import Kind
from airflow_aluo.transport.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable


class Held:
    """A clock that stands still until it is let go."""

    since: float | None = None

    def __call__(self) -> float:
        return 0.0 if self.since is None else time.monotonic() - self.since

    def go(self) -> None:
        self.since = time.monotonic()


def turns(requests_per_minute: float = 60_000, clock: Callable[[], float] = time.monotonic) -> Turns:
    return Turns(AccountPace(requests_per_minute, clock))


async def used_up(of: Turns) -> None:
    """Take what may be taken at once."""
    while of.pace.delay() <= 0:
        await of.take(Kind.LOOK)


def lined_up(of: Turns, kind: Kind, count: int, taken: list[Any] | None = None) -> list[asyncio.Task[None]]:
    async def one(number: int) -> None:
        await of.take(kind)
        if taken is not None:
            taken.append((kind, number))

    return [asyncio.create_task(one(number)) for number in range(count)]


async def gone(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_turn_that_is_due_is_given_at_once() -> None:
    of = turns(10)
    await asyncio.wait_for(of.take(Kind.LOOK), 0.1)
    assert of.pace.waiting == 0


async def test_turns_are_as_fast_as_the_account_allows_and_no_faster() -> None:
    of = turns(6000)
    started = time.monotonic()  # what is saved after the last look at it would be given at once
    await used_up(of)
    taken: list[Any] = []
    await asyncio.gather(*lined_up(of, Kind.LOOK, 50, taken))
    assert time.monotonic() - started >= 50 * 60 / 6000
    assert [number for _, number in taken] == list(range(50))
    assert of.pace.waiting == 0


async def test_a_submit_is_served_while_hundreds_of_looks_wait() -> None:
    of = turns(6000)
    await used_up(of)
    taken: list[Any] = []
    looks = lined_up(of, Kind.LOOK, 500, taken)
    await asyncio.sleep(0.1)

    async def submit() -> int:
        before = len(looks) - len(of._line)
        await of.take(Kind.SUBMIT)
        taken.append((Kind.SUBMIT, 0))
        return before

    before = await asyncio.wait_for(submit(), 20)
    assert taken.index((Kind.SUBMIT, 0)) - before <= 5
    await gone(looks)


async def test_those_who_wait_are_counted() -> None:
    of = turns(10)
    await used_up(of)
    waiting = lined_up(of, Kind.LOOK, 300) + lined_up(of, Kind.SUBMIT, 5)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert of.pace.waiting == 305
    await gone(waiting[:100])
    assert of.pace.waiting == 205
    await gone(waiting)
    assert of.pace.waiting == 0


async def test_who_leaves_takes_no_turn_and_lets_the_next_one_pass() -> None:
    of = turns(600, clock := Held())
    await used_up(of)
    taken: list[Any] = []
    waiting = lined_up(of, Kind.LOOK, 400, taken)
    await asyncio.sleep(0)
    await gone(waiting[:399])
    clock.go()
    await asyncio.wait_for(waiting[399], 20)
    assert taken == [(Kind.LOOK, 399)]


async def test_who_leaves_at_the_moment_of_a_turn_harms_nobody() -> None:
    of = turns(600, clock := Held())
    await used_up(of)
    taken: list[Any] = []
    waiting = lined_up(of, Kind.LOOK, 3, taken)
    await asyncio.sleep(0)
    line = of._line._queues[Kind.LOOK]
    line[0].cancel()  # its task has not heard of it yet
    clock.go()
    await asyncio.gather(*waiting[1:])
    assert len(taken) == 2
    assert waiting[0].cancelled()


async def test_a_429_lets_all_rest() -> None:
    of = turns()
    waiting = lined_up(of, Kind.LOOK, 2000) + lined_up(of, Kind.SUBMIT, 10)
    given: list[float] = []
    for task in waiting:
        task.add_done_callback(lambda _: given.append(time.monotonic()))
    await asyncio.sleep(0.02)
    refused_at = time.monotonic()
    of.refused(1.2)
    for _ in range(3):  # who was given a turn a moment before takes it
        await asyncio.sleep(0)
    before = len(given)
    while len(given) - before <= 2 and time.monotonic() < refused_at + 20:  # noqa: ASYNC110  # nobody tells
        await asyncio.sleep(0.05)
    assert min(given[before:]) - refused_at >= 1.15
    await gone(waiting)


def test_five_thousand_come_and_go_and_leave_nothing() -> None:
    async def come_and_go() -> tuple[weakref.ref[Any], Turns]:
        of = turns(10)
        await used_up(of)
        for _ in range(5):
            waiting = lined_up(of, Kind.LOOK, 1000)
            await asyncio.sleep(0)
            await gone(waiting)
        assert (len(of._line), of.pace.waiting, of._timer) == (0, 0, None)
        assert len(asyncio.all_tasks()) == 1
        return weakref.ref(asyncio.get_running_loop()), of

    loop, of = asyncio.run(come_and_go())
    gc.collect()
    assert loop() is None, f"{of} keeps its event loop alive"


@pytest.mark.parametrize("unsubmitted", [0, 3])
async def test_a_batchs_last_submits_go_before_all_looks(unsubmitted: int) -> None:
    of = turns(600, clock := Held())
    await used_up(of)
    taken: list[Any] = []
    looks = lined_up(of, Kind.LOOK, 40, taken)
    await asyncio.sleep(0)
    of.pace.unsubmitted = unsubmitted
    submits = lined_up(of, Kind.SUBMIT, 3, taken)
    await asyncio.sleep(0)
    clock.go()
    await asyncio.gather(*submits)
    before = [kind for kind, _ in taken[: taken.index((Kind.SUBMIT, 2))]].count(Kind.LOOK)
    assert before == 0 if unsubmitted else before >= 5
    await gone(looks)


async def test_who_has_a_deadline_waits_no_longer_even_while_the_account_rests() -> None:
    of = turns(600)
    of.refused(300.0)
    patient = lined_up(of, Kind.LOOK, 2)
    await asyncio.sleep(0)
    before = of.pace.delay()
    await asyncio.wait_for(of.take(Kind.LOOK, by=time.time() + 0.05), 5)
    await asyncio.wait_for(of.take(Kind.LOOK, by=time.time() - 1), 5)
    assert of.pace.waiting == 2, "the others go on waiting"
    assert before > 290
    assert of.pace.delay() > 290
    await gone(patient)
