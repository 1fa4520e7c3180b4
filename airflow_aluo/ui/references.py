"""XComs that Airflow's database only refers to, because a backend of the installation keeps them elsewhere.

Airflow's own API answers with the reference, too, so the backend is asked, as a task would ask it: that the
API server may read its store is up to who runs it. Backends decide which references they follow; Airflow's
object storage only those below its own path.

A store may be slow, or not answer at all. An answer waits for it for some seconds, and tells of what has not
come as unread; what comes later is there for the next answer. Nothing is asked for twice meanwhile, and a
page that asks again and again does not wait again and again.
"""

from __future__ import annotations

import json
import logging
import time
from collections import OrderedDict, deque
from concurrent.futures import Future, wait
from threading import Lock, Thread
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.ui.told import UNREAD, Instance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

log = logging.getLogger(__name__)

#: Most values that are fetched for one answer.
MOST_FETCHED: Final = 2_000
#: Values that are fetched at the same time, for all answers together.
AT_ONCE: Final = 16
#: Seconds for which one answer waits.
PATIENCE: Final = 10.0
#: Seconds until a value is asked for again that could not be read.
PAUSE: Final = 30.0

#: What an instance tells, by the name of its field.
_FIELDS: Final = ("reviewed", "returned", "submitted")

_Key = tuple[str, int, Any]


class References:
    """Reads what references lead to, for any number of threads.

    :param fetch: returns the value that a reference leads to, and may raise anything; ``None`` where all
        values lie in the database.
    :param most_kept: values that stay in memory, as JSON: one of an edit takes 1 or 2 KB. Fewer than one
        answer needs would be fetched for ever.
    :param patience: seconds for which one answer waits.
    :param clock: tells seconds that only grow.
    """

    def __init__(
        self,
        fetch: Callable[[str], Any] | None,
        most_kept: int,
        *,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch, self._most_kept, self._patience, self._clock = fetch, most_kept, patience, clock
        self._lock = Lock()
        self._kept: OrderedDict[_Key, Any] = OrderedDict()
        #: What could not be read, and until when it is left alone.
        self._failed: dict[_Key, float] = {}
        #: What is on its way, and what of it an answer has waited for in vain.
        self._coming: dict[_Key, Future[Any]] = {}
        self._late: set[_Key] = set()
        self._queue: deque[_Key] = deque()
        self._threads = 0

    def resolved(self, instances: Sequence[Instance]) -> list[Instance]:
        """Return the instances with values in the place of references.

        ``UNREAD`` stands where a value cannot be read, or has not come yet.
        """
        if self._fetch is None:
            return list(instances)
        referred = [_references(one) for one in instances]
        wanted = list(dict.fromkeys(key for one in referred for key in one.values()))
        values = self._values(wanted, self._fetch) if wanted else {}
        return [
            one._replace(**{name: values.get(key, UNREAD) for name, key in keys.items()}) if keys else one
            for one, keys in zip(instances, referred, strict=True)
        ]

    def _values(self, keys: Sequence[_Key], fetch: Callable[[str], Any]) -> dict[_Key, Any]:
        with self._lock:
            found = {key: self._kept[key] for key in keys if key in self._kept}
            for key in found:
                self._kept.move_to_end(key)
            awaited = self._ordered([key for key in keys if key not in found], fetch)
        wait(awaited.values(), timeout=self._patience)
        with self._lock:
            came = {key: future.result() for key, future in awaited.items() if future.done()}
            late = awaited.keys() - came.keys()
            self._late |= late
        _tell("cannot be read from their backend", [key for key, value in came.items() if value is UNREAD])
        _tell(f"have not come from their backend within {self._patience:g} s", late)
        return found | came

    def _ordered(self, keys: Sequence[_Key], fetch: Callable[[str], Any]) -> dict[_Key, Future[Any]]:
        """Return what is to be waited for, and have fetched what is not on its way yet."""
        now = self._clock()
        self._failed = {key: until for key, until in self._failed.items() if until > now}
        # All threads may be held up: whatever is asked for now would have to wait behind what is late.
        busy = len(self._late) >= AT_ONCE
        awaited: dict[_Key, Future[Any]] = {}
        for key in keys:
            if key in self._failed or key in self._late or (busy and key not in self._coming):
                continue
            if len(awaited) == MOST_FETCHED:
                break
            if key not in self._coming:
                self._order(key, fetch)
            awaited[key] = self._coming[key]
        return awaited

    def _order(self, key: _Key, fetch: Callable[[str], Any]) -> None:
        # No executor: a process that ends waits for its threads, and these may wait for a store for ever.
        if self._threads < AT_ONCE:
            Thread(target=self._work, args=[fetch], name="aluo-xcom", daemon=True).start()
            self._threads += 1
        self._coming[key] = Future()
        self._queue.append(key)

    def _work(self, fetch: Callable[[str], Any]) -> None:
        """Fetch until nothing is left to be."""
        while True:
            with self._lock:
                if not self._queue:
                    self._threads -= 1
                    return
                key = self._queue.popleft()
            value = _followed(key[0], fetch)
            with self._lock:
                self._late.discard(key)
                if value is UNREAD:
                    self._failed[key] = self._clock() + PAUSE
                else:
                    self._kept[key] = value
                    while len(self._kept) > self._most_kept:
                        self._kept.popitem(last=False)
                self._coming.pop(key).set_result(value)


def backend() -> Callable[[str], Any] | None:
    """Return what asks the XCom backend that Airflow is told to use; ``None`` if that is the database."""
    from airflow.sdk.bases.xcom import BaseXCom
    from airflow.sdk.execution_time.xcom import XCom

    if XCom is BaseXCom:
        return None
    return lambda reference: XCom.deserialize_value(SimpleNamespace(value=reference))


def _followed(reference: str, fetch: Callable[[str], Any]) -> Any:
    # Airflow's backend compares beginnings only: whoever writes XComs could climb out of its path.
    if ".." in reference.split("/"):
        return UNREAD
    try:
        value = fetch(reference)
        # A backend gives back what it cannot follow; a short text may have been a value of its own.
        if value == reference and "://" in reference:
            return UNREAD
        # As the database has values: as objects they would take five times the memory.
        return value if isinstance(value, str) else json.dumps(value, default=str, skipkeys=True)
    except BaseException:  # noqa: BLE001  # each store has errors of its own, and the thread goes on
        return UNREAD


def _tell(what: str, keys: Iterable[_Key]) -> None:
    if references := sorted(key[0] for key in keys):
        log.warning("%d XComs %s, %s among them", len(references), what, references[0])


def _references(instance: Instance) -> dict[str, _Key]:
    """Return the instance's fields that hold a reference; what it leads to may be another after each try."""
    found = {}
    for name in _FIELDS:
        if (reference := _reference(getattr(instance, name))) is not None:
            found[name] = (reference, instance.attempt, instance.ended_at)
    return found


def _reference(value: Any) -> str | None:
    """Return what is text and no JSON, which no value of ours is."""
    while isinstance(value, str):
        try:
            unpacked = json.loads(value)
        except (ValueError, RecursionError):
            return value or None
        if not isinstance(unpacked, str):
            return None
        value = unpacked
    return None
