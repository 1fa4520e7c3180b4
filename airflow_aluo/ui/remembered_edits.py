"""The edits of large runs, kept for a moment: many pages of them are asked for one after the other."""

from __future__ import annotations

import time
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_aluo.ui.edits import Edits

T = TypeVar("T", bound="Edits | None")

#: Seconds for which they are kept.
FRESH: Final = 2.0
#: Task instances and edits from which on they are kept; fewer are read anew in no time.
LARGE: Final = 500
#: Keys that are kept.
_MOST: Final = 4


class Lately:
    """What was read lately, by a key. Whoever asks has been found to have the right to read it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[tuple[str, ...], tuple[float, Edits]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: tuple[str, ...], read: Callable[[], T]) -> T | Edits:
        """Return what has the key, as it was a moment ago, or read anew; ``None`` where there is none."""
        with self._lock:
            since, kept = self._kept.get(key, (0.0, None))
            if kept is not None and self._clock() - since < FRESH:
                return kept
        found = read()
        since = self._clock()  # not before: where reading takes seconds, nothing would ever be remembered
        if found is not None and max(len(found.instances), len(found.edits)) >= LARGE:
            with self._lock:
                self._kept.pop(key, None)
                self._kept[key] = since, found
                while len(self._kept) > _MOST:
                    self._kept.popitem(last=False)
        return found
