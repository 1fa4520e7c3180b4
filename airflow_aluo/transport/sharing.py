"""What all waits of one account share while they live in one event loop.

Nothing here outlives its event loop, and nothing is seen from another one.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from airflow_aluo.pace.account_pace import AccountPace
from airflow_aluo.transport.turns import Turns
from airflow_aluo.transport.with_aiohttp import AiohttpDriver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_aluo.protocol.account import Account


class Shared:
    """What is shared in one event loop."""

    def __init__(self) -> None:
        #: By host and digest of the key: what was learned of an account outlives the waits.
        self._turns: dict[tuple[str, str], Turns] = {}
        #: What each was last told of its plan.
        self._allowed: dict[tuple[str, str], float] = {}
        #: By everything that decides how an account is reached; how many use each.
        self._drivers: dict[Account, AiohttpDriver] = {}
        self._users: dict[Account, int] = {}

    def turns(self, account: Account) -> Turns:
        """Return the turns of an account, at the rate that its connection names by now."""
        name = (account.base_url, hashlib.sha256(account.api_key.encode()).hexdigest()[:16])
        allowed = account.requests_per_minute
        if name not in self._turns:
            self._turns[name] = Turns(AccountPace(allowed, time.monotonic))
        elif allowed != self._allowed[name]:
            self._turns[name].pace.allow(allowed)
        self._allowed[name] = allowed
        return self._turns[name]

    @asynccontextmanager
    async def driver(self, account: Account) -> AsyncIterator[AiohttpDriver]:
        """Give the account's driver: one session, however many wait. Who leaves last closes it."""
        driver = self._drivers.get(account)
        if driver is None:
            driver = self._drivers[account] = AiohttpDriver(account, self.turns(account))
        self._users[account] = self._users.get(account, 0) + 1
        try:
            yield driver
        finally:
            self._users[account] -= 1
            if not self._users[account]:
                del self._users[account], self._drivers[account]
                await driver.close()


_BY_LOOP: WeakKeyDictionary[asyncio.AbstractEventLoop, Shared] = WeakKeyDictionary()


def shared() -> Shared:
    """Return what is shared in the running event loop."""
    return _BY_LOOP.setdefault(asyncio.get_running_loop(), Shared())
