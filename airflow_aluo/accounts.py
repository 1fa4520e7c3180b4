"""From an Airflow connection to the account that it names."""

from __future__ import annotations

import asyncio
import functools
import json
import time
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from airflow_aluo.protocol import account
from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from airflow.sdk import Connection

    from airflow_aluo.protocol.account import Account

#: Seconds for which a connection that was read is read: thousands of triggers start together.
FRESH: Final = 30.0

#: What was read by connection, in each event loop, and when that began; while it is read, a future, which
#: must not stay, for it would keep the event loop from being forgotten.
_READ: WeakKeyDictionary[
    asyncio.AbstractEventLoop, dict[str, tuple[float, Account | asyncio.Future[Account]]]
] = WeakKeyDictionary()


def read(aluo_conn_id: str, connection: Connection, log: Any) -> Account:
    """Return the account that a connection names.

    :raises AluoRequestInvalid: the connection cannot be used; says all that is wrong with it.
    """
    found = account.read(
        aluo_conn_id,
        host=connection.host,
        port=connection.port,
        password=connection.password,
        extra=_extra(aluo_conn_id, connection.extra),
    )
    for warning in found.warnings:
        log.warning(warning)
    return found


async def recently_read(aluo_conn_id: str, ask: Callable[[], Awaitable[Account]]) -> Account:
    """Return the account that a connection names, asking once for all who want it at about the same time.

    :param ask: asks Airflow, and raises where it cannot; whoever comes next asks anew then.
    """
    here = _READ.setdefault(asyncio.get_running_loop(), {})
    since, found = here.get(aluo_conn_id, (0.0, None))
    if found is None or time.monotonic() - since > FRESH:
        since, found = time.monotonic(), asyncio.ensure_future(ask())
        found.add_done_callback(functools.partial(_keep, here, aluo_conn_id, since))
        here[aluo_conn_id] = since, found
    if isinstance(found, asyncio.Future):
        return await asyncio.shield(found)  # who is cancelled must not take it from the others
    return found


def forget(aluo_conn_id: str) -> None:
    """Read the connection anew next time: Aluo refuses its key, and it may be mended by then."""
    _READ.get(asyncio.get_running_loop(), {}).pop(aluo_conn_id, None)


def _keep(
    here: dict[str, tuple[float, Account | asyncio.Future[Account]]],
    aluo_conn_id: str,
    since: float,
    reading: asyncio.Future[Account],
) -> None:
    """Put what was read in the place of its reading; what could not be read is not kept."""
    if here.get(aluo_conn_id, (0.0, None))[1] is not reading:
        return  # a newer one has begun
    if reading.cancelled() or reading.exception() is not None:
        del here[aluo_conn_id]
    else:
        here[aluo_conn_id] = since, reading.result()


def _extra(aluo_conn_id: str, text: str | None) -> dict[str, Any]:
    """Return a connection's extra. Read here because Airflow turns broken JSON into an empty one."""
    try:
        extra = json.loads(text or "{}")
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        problem = Problem("extra", "no JSON object", 'an object such as {"plan": "pro"}')
        raise AluoRequestInvalid(f"connection {aluo_conn_id!r}", [problem])
    return extra
