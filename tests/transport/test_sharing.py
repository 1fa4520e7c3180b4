"""What all waits of one account share while they live in one event loop: real sockets on the loopback."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_aluo.pace.line import Kind
from airflow_aluo.protocol import calls, flows, waiting
from airflow_aluo.protocol.flows import Senses
from airflow_aluo.protocol.replies import Phase
from airflow_aluo.protocol.schedule import WaitRule
from airflow_aluo.transport import sharing
from airflow_aluo.transport.sharing import shared
from airflow_aluo.transport.with_aiohttp import MAX_CONNECTIONS
from tests.transport.conftest import (
    ACCEPTED,
    SUCCEEDED,
    account,
    http,
    looking,
    submitting,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_aluo.protocol.account import Account
    from tests.transport.conftest import Conversation, Server

RUNNING = b'{"code": 0, "success": true, "data": {"status": "WORKING"}}'
LIMITED = b'{"code": 429, "success": false, "message": "Too many requests"}'


def fast(url: str, requests_per_minute: float = 60_000) -> Account:
    return replace(account(url), requests_per_minute=requests_per_minute)


async def waits(of: Account, conversation: Callable[[], Any] = looking) -> Any:
    """Do as a wait does: enter, converse, leave."""
    async with shared().driver(of) as driver:
        return await driver.run(conversation())


async def together(of: Account, count: int) -> list[Any]:
    return await asyncio.gather(*(waits(of) for _ in range(count)))


def nothing_is_left() -> bool:
    here = shared()
    return not here._drivers and not here._users


# --- one session -----------------------------------------------------------------------------------------


def test_many_waits_share_one_session(serve: Callable[..., Server]) -> None:
    server = serve(http(200, SUCCEEDED))

    async def many() -> None:
        of = fast(server.url)
        async with shared().driver(of) as driver:
            await driver.run(looking())
            sessions = {id(driver._session)}
            for _ in range(50):  # one after the other, each enters and leaves
                await waits(of)
                sessions.add(id(driver._session))
            found = await together(of, 500)
            sessions.add(id(driver._session))
        assert {one.phase for one in found} == {Phase.SUCCEEDED}
        assert len(sessions) == 1
        assert nothing_is_left()

    asyncio.run(many())
    assert len(server.requests) == 551
    assert server.connections <= MAX_CONNECTIONS


def test_waits_one_after_the_other_use_one_connection(serve: Callable[..., Server]) -> None:
    server = serve(http(200, SUCCEEDED))

    async def one_after_the_other() -> None:
        of = fast(server.url)
        async with shared().driver(of):
            for _ in range(20):
                await waits(of)

    asyncio.run(one_after_the_other())
    assert (server.connections, len(server.requests)) == (1, 20)


def test_the_session_closes_when_the_last_wait_leaves_even_cancelled(serve: Callable[..., Server]) -> None:
    server = serve(lambda conversation: conversation.until_gone())

    async def cancelled() -> None:
        of = fast(server.url)
        asking = [asyncio.create_task(waits(of)) for _ in range(20)]
        while server.connections < 20:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.01)
        session = shared()._drivers[of]._session
        assert session is not None
        for one in asking[:19]:
            one.cancel()
        await asyncio.gather(*asking[:19], return_exceptions=True)
        assert not session.closed
        asking[19].cancel()
        await asyncio.gather(asking[19], return_exceptions=True)
        assert session.closed
        assert nothing_is_left()

    asyncio.run(cancelled())


def test_five_thousand_come_and_go_and_nothing_grows(serve: Callable[..., Server]) -> None:
    server = serve(lambda conversation: conversation.until_gone())

    async def come_and_go() -> None:
        of = fast(server.url, 0.1)
        turns = shared().turns(of)
        while turns.pace.delay() <= 0:
            await turns.take(Kind.LOOK)
        for _ in range(5):
            coming = [asyncio.create_task(waits(of)) for _ in range(1000)]
            await asyncio.sleep(0.01)
            assert turns.pace.waiting == 1000
            for one in coming:
                one.cancel()
            await asyncio.gather(*coming, return_exceptions=True)
        assert nothing_is_left()
        assert list(shared()._turns.values()) == [turns]
        assert (len(turns._line), turns.pace.waiting) == (0, 0)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(come_and_go())
    assert server.connections == 0


# --- one account -----------------------------------------------------------------------------------------


async def test_an_account_is_host_and_key_whatever_else_differs() -> None:
    one = account("https://aluo.example")
    turns = shared().turns(one)
    assert shared().turns(replace(one, read_timeout=1.0)) is turns
    assert shared().turns(replace(one, api_key="sk-other")) is not turns
    assert shared().turns(replace(one, base_url="https://elsewhere.example")) is not turns
    assert one.api_key not in str(list(shared()._turns))


async def test_a_plan_that_changes_in_the_connection_holds_from_the_next_wait_on() -> None:
    of = account("http://127.0.0.1:9/api")
    turns = shared().turns(replace(of, requests_per_minute=1000))
    assert shared().turns(replace(of, requests_per_minute=10)) is turns
    assert turns.pace.requests_per_minute < 10
    shared().turns(replace(of, requests_per_minute=100))
    assert 90 < turns.pace.requests_per_minute < 100


def test_a_429_for_one_rests_all_who_share_the_account(serve: Callable[..., Server]) -> None:
    asked: list[float] = []
    limited = http(429, LIMITED, retry_after="2")

    def behave(conversation: Conversation) -> None:
        while conversation.request() is not None:
            asked.append(time.monotonic())
            conversation.send(limited if len(asked) == 1 else http(200, SUCCEEDED))

    server = serve(behave)

    async def one_is_refused() -> None:
        of = fast(server.url)
        first = asyncio.create_task(waits(of))
        while shared().turns(of).pace.requests_per_minute > 50_000:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.005)
        await together(of, 20)
        await first

    asyncio.run(one_is_refused())
    assert len(asked) == 22
    assert min(asked[1:]) - asked[0] >= 1.9


def test_a_429_that_ends_a_conversation_rests_the_account_too(serve: Callable[..., Server]) -> None:
    server = serve(http(429, LIMITED, retry_after="300"))

    async def gives_up() -> float:
        of = fast(server.url)
        await asyncio.gather(waits(of), return_exceptions=True)
        return shared().turns(of).pace.delay()

    assert asyncio.run(gives_up()) > 290


def test_a_submit_is_served_while_hundreds_of_looks_wait(serve: Callable[..., Server]) -> None:
    def behave(conversation: Conversation) -> None:
        while (request := conversation.request()) is not None:
            conversation.send(http(200, ACCEPTED if request.method == "POST" else RUNNING))

    server = serve(behave)

    async def submit_beside_looks() -> None:
        of = fast(server.url, 600)
        turns = shared().turns(of)
        while turns.pace.delay() <= 0:
            await turns.take(Kind.LOOK)
        looks = [asyncio.create_task(waits(of)) for _ in range(500)]
        await asyncio.sleep(0.05)
        accepted = await asyncio.wait_for(waits(of, submitting), 20)
        assert accepted.aluo_task_id == "edit-1"
        assert turns.pace.waiting > 300
        for look in looks:
            look.cancel()
        await asyncio.gather(*looks, return_exceptions=True)

    asyncio.run(submit_beside_looks())


def test_what_one_wait_learns_the_next_one_knows(serve: Callable[..., Server]) -> None:
    server = serve(http(200, SUCCEEDED))

    async def learns() -> None:
        of = fast(server.url)
        pace = shared().turns(of).pace
        now = time.time()
        rule = WaitRule(deadline=now + 60, born_at=now - 14, fresh=True)
        senses = Senses(now=time.time, dice=lambda: 0.0, lookout=pace)
        before = pace.usual(0.5)
        await waits(of, lambda: waiting.wait("edit-1", rule, senses, lambda *_: None))
        assert shared().turns(of).pace.usual(0.5) < before  # the first look found it done

    asyncio.run(learns())


# --- event loops -----------------------------------------------------------------------------------------


def test_two_event_loops_share_nothing(serve: Callable[..., Server]) -> None:
    server = serve(http(200, SUCCEEDED))
    together_now, seen = threading.Barrier(2, timeout=20), []

    async def lives() -> None:
        of = fast(server.url)
        async with shared().driver(of) as driver:
            await driver.run(looking())
            await asyncio.to_thread(together_now.wait)
            seen.append((shared(), shared().turns(of), driver, driver._session))
            await asyncio.to_thread(together_now.wait)

    threads = [threading.Thread(target=asyncio.run, args=(lives(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    one, other = seen
    assert all(mine is not yours for mine, yours in zip(one, other, strict=True))


def test_nothing_outlives_its_event_loop(serve: Callable[..., Server]) -> None:
    server = serve(http(200, SUCCEEDED))
    gc.collect()
    before = len(sharing._BY_LOOP)
    for _ in range(5):
        asyncio.run(waits(fast(server.url)))
    gc.collect()
    assert len(sharing._BY_LOOP) <= before


def test_a_call_without_the_key_waits_for_no_turn(serve: Callable[..., Server]) -> None:
    server = serve(http(200, b"a picture"))

    async def fetches() -> bytes:
        of, got = fast(server.url, 1), bytearray()
        turns = shared().turns(of)
        while turns.pace.delay() <= 0:
            await turns.take(Kind.LOOK)
        call = calls.picture(f"{server.url}/1.png", lambda _: got.extend)
        senses = Senses(now=time.time, dice=lambda: 0.0)
        async with shared().driver(of) as driver:
            await asyncio.wait_for(driver.run(flows.once(call, senses)), 20)
        return bytes(got)

    assert asyncio.run(fetches()) == b"a picture"
