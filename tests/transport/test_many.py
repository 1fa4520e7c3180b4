"""Many waits over one driver of the triggerer's: they share connections, and take turns without harm."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from airflow_aluo.protocol import calls, flows
from airflow_aluo.protocol.errors import AluoConnectionError
from airflow_aluo.protocol.replies import Phase
from airflow_aluo.transport.with_aiohttp import MAX_CONNECTIONS, AiohttpDriver
from tests.transport.conftest import (
    ACCEPTED,
    SUCCEEDED,
    account,
    answering,
    http,
    looking,
    senses,
    submitting,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_aluo.protocol.account import Account
    from airflow_aluo.protocol.replies import Snapshot
    from tests.transport.conftest import Server


async def look_at_once(of: Account, looks: int) -> list[Phase]:
    """Return what so many looks at a time see."""
    async with AiohttpDriver(of) as driver:
        return [found.phase for found in await asyncio.gather(*(driver.run(looking()) for _ in range(looks)))]


def test_thousands_of_waits_do_not_open_thousands_of_connections(serve: Callable[..., Server]) -> None:
    server = serve(http(200, SUCCEEDED))
    found = asyncio.run(look_at_once(account(server.url), 10 * MAX_CONNECTIONS))
    assert set(found) == {Phase.SUCCEEDED}
    assert server.connections <= MAX_CONNECTIONS
    assert len(server.requests) == 10 * MAX_CONNECTIONS


def test_a_look_does_not_time_out_while_it_waits_for_its_turn(serve: Callable[..., Server]) -> None:
    async def one_more() -> Phase:
        loop, ahead = asyncio.get_running_loop(), [0.0]
        real = loop.time
        loop.time = lambda: real() + ahead[0]  # type: ignore[method-assign]
        async with AiohttpDriver(account(server.url)) as driver:

            def look() -> asyncio.Task[Snapshot]:
                return asyncio.create_task(driver.run(flows.once(calls.status("edit-1"), senses())))

            unanswered = [look() for _ in range(MAX_CONNECTIONS)]
            while server.connections < MAX_CONNECTIONS:  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.01)
            waiting = look()
            await asyncio.sleep(0.05)
            ahead[0] = 60.0  # seconds pass: more than each of them may take
            found = await waiting
            ends = await asyncio.gather(*unanswered, return_exceptions=True)
            assert {type(end) for end in ends} == {AluoConnectionError}
            return found.phase

    silent = [lambda conversation: conversation.until_gone()] * MAX_CONNECTIONS
    server = serve(*silent, answering(http(200, SUCCEEDED)))
    assert asyncio.run(one_more()) is Phase.SUCCEEDED


def test_an_edit_is_submitted_however_many_looks_wait(serve: Callable[..., Server]) -> None:
    async def submit_beside_looks() -> str:
        async with AiohttpDriver(account(server.url)) as driver:
            looks = [asyncio.create_task(driver.run(looking())) for _ in range(MAX_CONNECTIONS + 1)]
            while server.connections < MAX_CONNECTIONS:  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.01)
            accepted = await asyncio.wait_for(driver.run(submitting()), 20)
            for look in looks:
                look.cancel()
            await asyncio.gather(*looks, return_exceptions=True)
            return accepted.aluo_task_id

    silent = [lambda conversation: conversation.until_gone()] * MAX_CONNECTIONS
    server = serve(*silent, answering(http(200, ACCEPTED)))
    assert asyncio.run(submit_beside_looks()) == "edit-1"
