"""One account's pace in one process: how fast to ask, and when to look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_aluo.pace.limiter import Limiter
from airflow_aluo.pace.planner import LEAST_PRICE, Planner, price_of_a_look

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds: a look that is due so soon is due.
_SOON: Final = 0.1

#: Seconds' worth of submits that go first when they are a batch's last: then looks fill the time that the
#: last edits take, instead of nothing.
LAST_SUBMITS: Final = 20.0


class AccountPace:
    """What all conversations of a process with one account share.

    :param requests_per_minute: what the account's plan allows.
    :param clock: gives seconds; only their differences matter.
    """

    def __init__(self, requests_per_minute: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._limiter = Limiter(requests_per_minute, clock())
        self._planner = Planner()
        #: Calls that wait for their turn.
        self.waiting = 0
        #: Edits that a batch has not submitted yet.
        self.unsubmitted = 0

    @property
    def requests_per_minute(self) -> float:
        """How many may be sent now, as far as is known."""
        return self._limiter.rate(self._clock())

    @property
    def seconds_a_call(self) -> float:
        """The seconds that one call takes of the account's time."""
        return self._limiter.seconds_a_call(self._clock())

    @property
    def submits_first(self) -> bool:
        """Whether what is left to be submitted goes before looks."""
        return 0 < self.unsubmitted * self.seconds_a_call <= LAST_SUBMITS

    def delay(self) -> float:
        """Return the seconds until a call may be sent."""
        return self._limiter.delay(self._clock())

    def take(self) -> None:
        """Count a call that is sent now."""
        self._limiter.take(self._clock())

    def refused(self, rest: float) -> None:
        """Note that a call was refused (429). ``rest``: seconds that the account was asked to wait."""
        self._limiter.refused(self._clock(), rest)

    def rest(self, age: float, looked_at: float) -> float:
        """Return the seconds to rest before asking again whether to look at an edit; 0: look.

        It is asked again although nothing may have changed, for the price of a look may have fallen.

        :param age: of the edit, in seconds.
        :param looked_at: its age when the last look found it running; 0 for none.
        """
        price = price_of_a_look(self.waiting + self.unsubmitted, self.seconds_a_call)
        planned = self._planner.next_look(looked_at, price)
        if planned <= age + _SOON:
            return 0.0
        at_least = self._planner.next_look(max(age, looked_at), LEAST_PRICE)
        return max(min(planned, at_least) - age, _SOON)

    def learn(self, running_at: float, done_at: float) -> None:
        """Learn from an edit that ended between two ages in seconds."""
        self._planner.durations.learn(running_at, done_at)

    def usual(self, part: float) -> float:
        """Return the age in seconds at which so large a part of all edits is done."""
        return self._planner.durations.quantile(part)
