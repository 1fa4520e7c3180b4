"""Pictures fetched from their addresses, as landing does it: guarded, without the key, and only so large."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import TYPE_CHECKING, Any, Final

from airflow_aluo import accounts
from airflow_aluo.intake import Intake
from airflow_aluo.pictures import MOST_BYTES
from airflow_aluo.protocol import calls, flows
from airflow_aluo.protocol.account import ANONYMOUS
from airflow_aluo.protocol.errors import AluoError
from airflow_aluo.protocol.schedule import RetryRule
from airflow_aluo.transport.sharing import shared

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from airflow_aluo.protocol.account import Account

log = logging.getLogger(__name__)

#: Somebody looks at the page: there is no time for more tries.
_ONE_TRY: Final = RetryRule(budget=0.0)

#: Seconds that a picture may take.
_PATIENCE: Final = 60.0

#: The connection type whose host may serve pictures wherever it is. An XCom could name any other connection,
#: and its host, a database's perhaps, would be trusted.
_CONN_TYPE: Final = "aluo"


def account_of(aluo_conn_id: str | None) -> Account:
    """Return the account that a record's connection names; nobody's where there is none that can be used."""
    if not aluo_conn_id:
        return ANONYMOUS
    from airflow.models.connection import Connection

    try:
        connection: Any = Connection.get_connection_from_secrets(aluo_conn_id)
        if connection.conn_type != _CONN_TYPE:
            return ANONYMOUS
        return accounts.read(aluo_conn_id, connection, log)
    except Exception as error:  # noqa: BLE001  # each secrets backend has errors of its own
        log.info("connection %r cannot be used: %s", aluo_conn_id, type(error).__name__)
        return ANONYMOUS


async def fetch(url: str, aluo_conn_id: str | None, scratch: Path) -> BinaryIO:
    """Return a picture, to be read.

    :param aluo_conn_id: of its record: says from which private hosts pictures may come, and by which proxy.
    :param scratch: where a file may be written.
    :raises AluoError: there is none, it is too large, or it lies where this connection may not ask.
    """
    account = await asyncio.to_thread(account_of, aluo_conn_id)
    intake = Intake(scratch, url, MOST_BYTES)
    senses = flows.Senses(now=time.time, dice=random.random)
    try:
        async with asyncio.timeout(_PATIENCE), shared().driver(account) as driver:
            await driver.run(flows.send(calls.picture(url, intake.start), _ONE_TRY, senses))
    except TimeoutError as error:
        raise AluoError(f"picture {intake.address} took more than {_PATIENCE:.0f} s") from error
    return await asyncio.to_thread(intake.complete)
