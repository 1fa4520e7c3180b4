"""Results of a batch that lie in a file, read piece by piece; what was read lately stays in memory.

A piece is known by its SHA-256, so it never changes. Its records are not held against their schema, which
would take three seconds for ten thousand: whoever shows them trusts nothing in them.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.protocol.rendered import without_query
from airflow_aluo.ui.sources import opened

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow_aluo.ui.told import Part, ReadParts, Record

log = logging.getLogger(__name__)

#: Most records that stay: each takes some 5 KB.
MOST_KEPT: Final = 12_000
#: Most records, and most bytes of results, that are read for one answer.
MOST_READ: Final = 50_000
MOST_BYTES_READ: Final = 128 << 20
#: Most bytes that are read at a time: pieces that follow each other are one request to an object store.
AT_A_TIME: Final = 32 << 20

_Key = tuple[str, int, int, str]


@dataclass(slots=True)
class _Left:
    """What may still be read for an answer: whoever writes XComs chooses how much they ask for."""

    records: int
    #: Of files; what is in memory costs none.
    size: int


class Pieces:
    """Reads pieces of results, for any number of threads."""

    def __init__(self, most_kept: int = MOST_KEPT, most_bytes_read: int = MOST_BYTES_READ) -> None:
        self._most_kept, self._most_bytes_read = most_kept, most_bytes_read
        self._kept: OrderedDict[_Key, list[Record]] = OrderedDict()
        self._count = 0
        self._lock = Lock()

    def reader(self) -> ReadParts:
        """Return what reads pieces for one answer, and no more than an answer may take."""
        return partial(self._read, _Left(MOST_READ, self._most_bytes_read))

    def _read(self, left: _Left, parts: Sequence[Part]) -> list[list[Record] | None]:
        """Return the records of each piece; ``None`` where it cannot be read, or is not what was written."""
        found: dict[_Key, list[Record] | None] = {}
        missing = []
        for part in parts:
            if (key := _key(part)) in found or part["edits"] > left.records:
                continue
            left.records -= part["edits"]
            found[key] = self._recall(key)
            if found[key] is None:
                missing.append(part)
        for key, piece in _read(missing, left):
            found[key] = piece
            self._keep(key, piece)
        return [
            None if (records := found.get(_key(part))) is None else records[: part["edits"]] for part in parts
        ]

    def _recall(self, key: _Key) -> list[Record] | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: _Key, records: list[Record]) -> None:
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = records
            self._count += len(records)
            while self._count > self._most_kept:
                _, dropped = self._kept.popitem(last=False)
                self._count -= len(dropped)


def _key(part: Part) -> _Key:
    return part["results"], part["start"], part["end"], part["sha256"]


def _read(parts: Iterable[Part], left: _Left) -> Iterator[tuple[_Key, list[Record]]]:
    """Give what can be read of these pieces, each file opened once."""
    by_file: defaultdict[str, list[Part]] = defaultdict(list)
    for part in parts:
        by_file[part["results"]].append(part)
    for address, wanted in by_file.items():
        if not (readable := _readable(wanted, left)):
            continue
        try:
            with opened(address) as file:
                for run in _runs(readable):
                    first = run[0]["start"]
                    file.seek(first)
                    content = file.read(run[-1]["end"] - first)
                    for part in run:
                        piece = content[part["start"] - first : part["end"] - first]
                        if (records := _records(piece, part)) is not None:
                            yield _key(part), records
        except Exception as error:  # noqa: BLE001  # each store has errors of its own, and the page goes on
            log.warning("results in %s cannot be read: %s", without_query(address), type(error).__name__)


def _readable(parts: Iterable[Part], left: _Left) -> list[Part]:
    """Return those pieces of a file that may be, in their order: none overlap, and there are not too many."""
    found: list[Part] = []
    for part in sorted(parts, key=lambda part: (part["start"], part["end"])):
        size = part["end"] - part["start"]
        if not 0 < size <= min(AT_A_TIME, left.size) or (found and part["start"] < found[-1]["end"]):
            continue
        left.size -= size
        found.append(part)
    return found


def _runs(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Give pieces that can be read together."""
    run: list[Part] = []
    for part in parts:
        if run and (part["start"] > run[-1]["end"] or part["end"] - run[0]["start"] > AT_A_TIME):
            yield run
            run = []
        run.append(part)
    if run:
        yield run


def _records(content: bytes, part: Part) -> list[Record] | None:
    if hashlib.sha256(content).hexdigest() != part["sha256"]:
        return None
    try:
        lines: list[Any] = [json.loads(line) for line in content.splitlines()]
    except (ValueError, RecursionError):
        return None
    return lines if all(isinstance(line, dict) for line in lines) else None
