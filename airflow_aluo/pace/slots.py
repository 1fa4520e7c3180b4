"""How many submits may be under way at once.

The model: so many that the account's turns are not left unused while answers are waited for, and no more,
because a crash leaves the outcome of every one of them unknown::

    most = HANDFUL + SHARE · (requests a minute) / 60 · (seconds a submit takes)

An edit needs two calls, so half of the turns are submits; :data:`SHARE` is a bit more than a half, because
the last answers of a batch come when there is nothing left to submit. The seconds are the mean of the latest
:data:`SEEN` submits; before any has answered, the age of the oldest under way. With the vendor's slow submit
of 10-30 seconds and 1,000 requests a minute that is about 240; with a fast one, a handful.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

HANDFUL: Final = 4
SHARE: Final = 0.7
SEEN: Final = 50


class Slots:
    """Counts the submits under way.

    :param most: a fixed limit, ``None`` for the model's.
    :param clock: gives seconds; only their differences matter.
    """

    def __init__(self, most: int | None, clock: Callable[[], float]) -> None:
        self._fixed, self._clock = most, clock
        #: When each submit under way began, in the order of their beginning.
        self._under_way: dict[object, float] = {}
        self._seconds: deque[float] = deque(maxlen=SEEN)

    def __len__(self) -> int:
        return len(self._under_way)

    def __contains__(self, who: object) -> bool:
        return who in self._under_way

    def most(self, requests_per_minute: float) -> int:
        """Return how many may be under way."""
        if self._fixed is not None:
            return self._fixed
        return HANDFUL + math.ceil(SHARE * requests_per_minute / 60.0 * self._seconds_a_submit())

    def begin(self, who: object) -> None:
        """Note that a submit begins."""
        self._under_way[who] = self._clock()

    def end(self, who: object) -> None:
        """Note that a submit has been answered, and the answer remembered."""
        self._seconds.append(self._clock() - self._under_way.pop(who))

    def _seconds_a_submit(self) -> float:
        if self._seconds:
            return sum(self._seconds) / len(self._seconds)
        oldest = next(iter(self._under_way.values()), None)
        return 0.0 if oldest is None else self._clock() - oldest
