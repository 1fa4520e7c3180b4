"""XComs that Airflow's database only refers to, because a backend of the installation keeps them elsewhere.

Airflow's own API answers with the reference, too, so the backend is asked, as a task would ask it: that the
API server may read its store is up to who runs it. Backends decide which references they follow; Airflow's
object storage only those below its own path.
"""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.ui.told import UNREAD, Instance

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)

#: Most values that are fetched for one answer, and most that stay in memory: each takes some 5 KB.
MOST_FETCHED: Final = 2_000
MOST_KEPT: Final = 12_000
#: Values that are fetched at the same time.
AT_ONCE: Final = 16

#: What an instance tells, by the name of its field.
_FIELDS: Final = ("reviewed", "returned", "submitted")

_Key = tuple[str, int, Any]


class References:
    """Reads what references lead to, for any number of threads.

    :param fetch: returns the value that a reference leads to, and may raise anything; ``None`` where all
        values lie in the database.
    """

    def __init__(self, fetch: Callable[[str], Any] | None) -> None:
        self._fetch = fetch
        self._kept: OrderedDict[_Key, Any] = OrderedDict()
        self._lock = Lock()

    def resolved(self, instances: Sequence[Instance]) -> list[Instance]:
        """Return the instances with values in the place of references; where that fails, ``UNREAD``."""
        if self._fetch is None:
            return list(instances)
        referred = [_references(one) for one in instances]
        wanted = list(dict.fromkeys(key for one in referred for key in one.values()))
        values = self._values(wanted, self._fetch)
        return [
            one._replace(**{name: values.get(key, UNREAD) for name, key in keys.items()}) if keys else one
            for one, keys in zip(instances, referred, strict=True)
        ]

    def _values(self, keys: Sequence[_Key], fetch: Callable[[str], Any]) -> dict[_Key, Any]:
        with self._lock:
            found = {key: self._kept[key] for key in keys if key in self._kept}
        missing = [key for key in keys if key not in found][:MOST_FETCHED]
        if not missing:
            return found
        with ThreadPoolExecutor(min(AT_ONCE, len(missing)), "aluo-xcom") as pool:
            values = pool.map(lambda key: _followed(key[0], fetch), missing)
            fetched = dict(zip(missing, values, strict=True))
        failed = [key for key, value in fetched.items() if value is UNREAD]
        if failed:
            log.warning(
                "%d XComs cannot be read from their backend, %s among them", len(failed), failed[0][0]
            )
        with self._lock:
            self._kept.update((key, value) for key, value in fetched.items() if value is not UNREAD)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return found | fetched


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
    except Exception:  # noqa: BLE001  # each store has errors of its own, and the page goes on
        return UNREAD
    # A backend gives back what it cannot follow; a short text may have been a value of its own.
    return UNREAD if value == reference and "://" in reference else value


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
