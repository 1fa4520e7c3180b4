"""From an Airflow connection to the account that it names."""

from __future__ import annotations

import asyncio
import functools
import json
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakKeyDictionary

from airflow_aluo.protocol import account
from airflow_aluo.protocol.errors import AluoError, AluoRequestInvalid, AluoUnauthorized, Problem
from airflow_aluo.protocol.waiting import missing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from airflow.sdk import Connection

    from airflow_aluo.protocol.account import Account

T = TypeVar("T")

#: Seconds for which a connection that was read is read: thousands of triggers start together.
FRESH: Final = 30.0

#: Seconds for which even a connection whose key is refused is not read again.
JUST_NOW: Final = 1.0

#: Is told with the connection's id.
ANOTHER_KEY: Final = (
    "Aluo refused the key, or knew no such edit by it; connection %r has another one by now: going on with it"
)

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


def forget(aluo_conn_id: str, refused: Account) -> None:
    """Read the connection anew next time: its key is the wrong one, and it may be mended by then.

    What names another key, was read just now or is being read is kept: thousands of triggers are refused
    together.
    """
    here = _READ.get(asyncio.get_running_loop(), {})
    since, known = here.get(aluo_conn_id, (0.0, None))
    if not isinstance(known, account.Account) or time.monotonic() - since < JUST_NOW:
        return
    if known.api_key == refused.api_key:
        del here[aluo_conn_id]


def while_keys_change(
    ask: Callable[[], T],
    named: Callable[[], Account],
    anew: Callable[[], object],
    tell: Callable[[], object],
) -> T:
    """Ask; and again where the key is the wrong one, and the connection names another by then.

    So a wait outlives a key that is rotated: its edit is the account's, not the key's.

    :param named: the account that is asked.
    :param anew: lets ``named`` read the connection anew.
    :param tell: is called for each other key, before it is asked with.
    """
    while True:
        before = named()
        try:
            return ask()
        except AluoError as error:
            if not tells_of_the_key(error):
                raise
            anew()
            if not _has_another_key(before, named()):
                raise
            tell()


async def awhile_keys_change(
    ask: Callable[[], Awaitable[T]],
    named: Callable[[], Awaitable[Account]],
    anew: Callable[[], object],
    tell: Callable[[], object],
) -> T:
    """Ask like :func:`while_keys_change`, in an event loop."""
    while True:
        before = await named()
        try:
            return await ask()
        except AluoError as error:
            if not tells_of_the_key(error):
                raise
            anew()
            if not _has_another_key(before, await named()):
                raise
            tell()


def tells_of_the_key(error: AluoError) -> bool:
    """Tell whether all may be well with another key: this one is refused, or another account's."""
    return isinstance(error, AluoUnauthorized) or missing(error)


def _has_another_key(before: Account, now: Account) -> bool:
    """Tell whether an account has another key at the same place: elsewhere nobody knows its edits."""
    return now.base_url == before.base_url and now.api_key != before.api_key


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
