import asyncio

import pytest

from airflow_aluo.sandbox.gate import Closed, Gate


async def test_a_pause_ends_by_itself() -> None:
    gate = Gate()
    await gate.pause(0)
    await gate.pause(-1)
    await gate.pause(0.001)


async def test_who_is_held_waits_until_somebody_lets_him_go() -> None:
    gate = Gate()
    held = [asyncio.create_task(gate.hold()) for _ in range(2)]
    await asyncio.sleep(0)
    assert gate.held == 2
    assert not any(one.done() for one in held)
    assert gate.release() == 2
    await asyncio.gather(*held)
    assert gate.release() == 0


async def test_nobody_waits_past_the_end() -> None:
    gate = Gate()
    waiting = [asyncio.create_task(gate.hold()), asyncio.create_task(gate.pause(1000))]
    await asyncio.sleep(0)
    gate.close()
    for one in waiting:
        with pytest.raises(Closed):
            await one
    with pytest.raises(Closed):
        await gate.pause(0)
