"""What task instances have told of their edits.

People and other tasks may have changed it, so nothing in it is trusted: a value that is not what it should
be is read as if it were not there. Reading never raises.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeAlias

from airflow_aluo.protocol.chained import is_part, is_record

Record: TypeAlias = dict[str, Any]
Part: TypeAlias = dict[str, Any]
#: Reads pieces of results: for each its records, or ``None`` where they cannot be had.
ReadParts: TypeAlias = Callable[[Sequence[Part]], list[list[Record] | None]]

#: Stands in the place of a value that lies elsewhere, and cannot be read or has not come yet.
UNREAD: Final = object()

#: XComs may be JSON in JSON: so many times they are unpacked.
_DEEP: Final = 3


class Instance(NamedTuple):
    """A task instance, and what it has told. Times are aware; XComs are as Airflow's database has them."""

    dag_id: str
    run_id: str
    run_at: datetime | None
    run_state: str | None
    task_id: str
    map_index: int
    label: str | None
    operator: str | None
    state: str | None
    attempt: int
    started_at: datetime | None
    ended_at: datetime | None
    returned: Any = None
    submitted: Any = None
    reviewed: Any = None
    #: Of a review; ``None`` where it is none.
    subject: str | None = None
    options: Any = None
    multiple: bool | None = None
    params: Any = None
    answered_at: datetime | None = None
    answered_by: Any = None
    chosen: Any = None

    @property
    def run(self) -> tuple[str, str]:
        """The run's DAG and id."""
        return self.dag_id, self.run_id


class Told(NamedTuple):
    """The records that a task instance tells of, each with its position."""

    records: list[tuple[int, Record]]
    #: How many more it refers to that cannot be read, or have not been read yet. A value that lies elsewhere
    #: counts as one: how many it holds is not known.
    unreadable: int = 0


def told(instance: Instance, read: ReadParts) -> Told:
    """Return what a task instance tells: what is reviewed, else what it returned, else what it submitted.

    A review returns some of what was reviewed: a position there would be another edit's once it is answered.
    """
    for value in _values(instance):
        found = _records(value, read)
        if found.records or found.unreadable:
            return found
    return Told([])


def named(value: Any) -> list[Record | None]:
    """Return a list of records, ``None`` in the place of what is none. Pieces of results are not read."""
    return [one if _is_record(one) else None for one in _items(value)]


def record_at(instance: Instance, position: int, read: ReadParts) -> Record | None:
    """Return the record at a position of :func:`told`, ``None`` where there is none.

    Of results that lie in pieces only one is read.
    """
    for value in _values(instance):
        items, start = _items(value), 0
        if not any(_is_record(one) or _is_part(one) for one in items):
            continue
        for item in items:
            count = item["edits"] if _is_part(item) else 1
            if start <= position < start + count:
                found = dict(_records([item], read).records)
                return found.get(position - start)
            start += count
        return None
    return None


def text(value: Any) -> str | None:
    """Return a value that is text and not empty."""
    return value if isinstance(value, str) and value.strip() else None


def number(value: Any) -> float | None:
    """Return a value that is a number of something."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return value
    return None


def texts(value: Any) -> list[str]:
    """Return what is text of a list."""
    return [one for one in value if text(one)] if isinstance(value, list) else []


def object_of(record: Record | None, name: str) -> dict[str, Any]:
    """Return a record's part that is an object; an empty one where it is none."""
    found = None if record is None else record.get(name)
    return found if isinstance(found, dict) else {}


def files(record: Record) -> list[dict[str, Any]]:
    """Return the pictures of a record that were landed."""
    found = record.get("files")
    if not isinstance(found, list):
        return []
    return [
        one for one in found if isinstance(one, dict) and text(one.get("path")) and text(one.get("sha256"))
    ]


def moment(value: Any) -> datetime | None:
    """Return a time of a record; what says no zone is UTC."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _values(instance: Instance) -> tuple[Any, Any, Any]:
    return instance.reviewed, instance.returned, instance.submitted


def _records(value: Any, read: ReadParts) -> Told:
    if value is UNREAD:
        return Told([], unreadable=1)
    items = _items(value)
    parts = [one for one in items if _is_part(one)]
    if not parts:
        return Told([(position, one) for position, one in enumerate(items) if _is_record(one)])
    found, position, unreadable = [], 0, 0
    pieces = iter(read(parts))
    for item in items:
        if not _is_part(item):
            found += [(position, item)] if _is_record(item) else []
            position += 1
            continue
        piece = next(pieces)
        if piece is None:
            unreadable += item["edits"]
        else:
            found += [(position + index, one) for index, one in enumerate(piece) if _is_record(one)]
        position += item["edits"]
    return Told(found, unreadable)


def _items(value: Any) -> list[Any]:
    for _ in range(_DEEP):
        if not isinstance(value, str):
            break
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return []
    if isinstance(value, dict):
        return [value]
    return value if isinstance(value, list) else []


def _is_record(value: Any) -> bool:
    return (
        is_record(value)
        and isinstance(value, dict)
        and isinstance(value["result_urls"], list)
        and text(value.get("status")) is not None
    )


def _is_part(value: Any) -> bool:
    if not (is_part(value) and isinstance(value, dict) and text(value.get("results"))):
        return False
    counts = [value.get(name) for name in ("start", "end", "edits")]
    whole = all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in counts)
    return whole and value["edits"] >= 1 and text(value.get("sha256")) is not None
