"""This package's batch in virtual time: the real engine, with a memory that stores at once."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from pretend_aluo import PretendAluo
from pretend_driver import CONN_ID, EDIT, PretendDriver, account, new_turns

from airflow_aluo.batch.conversing import Conversing
from airflow_aluo.batch.run import Batch
from airflow_aluo.batch.work import How, Work
from airflow_aluo.durable import Attempt
from airflow_aluo.metrics import StatsTally
from airflow_aluo.protocol.schedule import DEFAULT_TIMEOUT, DEFAULT_TOLERATED_FAILURES
from airflow_aluo.transport.turns import Turns

#: What the operator makes of its defaults.
ATTEMPT = Attempt(max_tries=0, fingerprint={}, timeout=DEFAULT_TIMEOUT)

_LOG = logging.getLogger("nobody listens")
_LOG.propagate = False
_LOG.addHandler(logging.NullHandler())


class AtOnce:
    """A :class:`~airflow_aluo.batch.memory.BatchMemory` that has stored everything already."""

    returned = False

    def __init__(self) -> None:
        self.entries: dict[int, dict[str, Any]] = {}

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        yield

    async def keep(self, place: int, entry: Mapping[str, Any] | None) -> None:
        self.later(place, entry)

    save = keep

    def later(self, place: int, entry: Mapping[str, Any] | None) -> None:
        if entry is None:
            self.entries.pop(place, None)
        else:
            self.entries[place] = dict(entry)

    async def settle(self) -> bool:
        return True


async def work_off(aluo: PretendAluo, limit: int, edits: int) -> None:
    """Work off so many edits, alone on the account."""
    await batch(aluo, new_turns(limit), limit, edits)


async def batch(
    aluo: PretendAluo, turns: Turns, limit: int, edits: int, remembers: AtOnce | None = None
) -> None:
    """Work off so many edits, at the pace of a process."""
    memory: Any = remembers or AtOnce()
    how = How(
        poll_interval=None,
        tolerated_failures=DEFAULT_TOLERATED_FAILURES,
        max_in_flight=None,
        land=None,
        leave=False,
    )
    work = Work(
        edits=[EDIT] * edits, prints=[{}] * edits, attempt=ATTEMPT, how=how, here=frozenset(), resumed=False
    )
    talk = Conversing(
        account(limit),
        PretendDriver(account(limit), turns, aluo),
        turns,
        aluo_conn_id=CONN_ID,
        memory=memory,
        tally=StatsTally({}),
        log=_LOG,
        max_in_flight=None,
    )
    running = Batch(work, talk, memory)
    await running.run()
    failed = [one.error for one in running.outcomes if one.error is not None]
    if failed:
        print(f"{len(failed)} of {edits} edits failed, the first: {failed[0]}")
