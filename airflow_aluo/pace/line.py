"""Who waits for a turn, and whose it is: submits and looks take turns, so neither starves the other."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from enum import StrEnum
from typing import Final, Generic, TypeVar

T = TypeVar("T")


class Kind(StrEnum):
    """What a call is for."""

    SUBMIT = "submit"
    LOOK = "look"


#: How many turns of each kind make a round where both wait. Looks come first, because an edit that is done is
#: waited for; a submit in five keeps the next ones coming.
SHARES: Final = {Kind.SUBMIT: 1, Kind.LOOK: 4}


class Line(Generic[T]):
    """Two queues, each first come, first served."""

    def __init__(self) -> None:
        self._queues: dict[Kind, deque[T]] = {kind: deque() for kind in Kind}
        #: Turns taken in fairness while the other kind waited, too, in rounds.
        self._rounds = dict.fromkeys(Kind, 0.0)

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def join(self, kind: Kind, who: T) -> None:
        """Wait for a turn."""
        self._queues[kind].append(who)

    def next(self, *, submits_first: bool = False) -> T:
        """Return whose turn it is; who that is waits no more.

        :param submits_first: while any wait; looks need not be made up for it later.
        :raises IndexError: nobody waits.
        """
        waiting = [kind for kind in Kind if self._queues[kind]]
        if len(waiting) == 1:
            return self._queues[waiting[0]].popleft()
        if submits_first:
            return self._queues[Kind.SUBMIT].popleft()
        kind = min(Kind, key=self._rounds.__getitem__)
        self._rounds[kind] += 1.0 / SHARES[kind]
        return self._queues[kind].popleft()

    def leave(self, kind: Kind, who: T) -> None:
        """Wait no more. Who has had the turn already has left."""
        with suppress(ValueError):
            self._queues[kind].remove(who)
