"""One account's pace in one process: how fast to ask, and when to look."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Final

from airflow_aluo.pace.durations import STEP
from airflow_aluo.pace.limiter import Limiter
from airflow_aluo.pace.planner import LEAST_PRICE, Planner, price_of_a_look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

#: Seconds: a look that is due so soon is due.
_SOON: Final = 0.1

#: Seconds' worth of submits that go first when they are a batch's last: then looks fill the time that the
#: last edits take, instead of nothing.
LAST_SUBMITS: Final = 20.0

#: From so many edits on, it pays to watch the first of them closely: what it teaches, all others need.
CROWD: Final = 10
#: Seconds between two looks at that one, at least.
SCOUT_SECONDS: Final = 1.0
#: One call in so many may be such a look.
SCOUT_SHARE: Final = 10


class AccountPace:
    """What all conversations of a process with one account share.

    While nothing is known of this account's edits but the vendor's word, and :data:`CROWD` or more are to be
    waited for, the first of them is the *scout*: it is looked at every second, or with every tenth call if
    that is later, and all others go by what it has shown.

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
        #: Edits that are waited for, in the order in which that began.
        self._watched: dict[Watch, None] = {}

    def allow(self, requests_per_minute: float) -> None:
        """Go on with what another plan allows."""
        self._limiter.allow(requests_per_minute)

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

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        """Count one more edit as waited for, for the time of the block; give what plans its looks."""
        watch = Watch(self)
        self._watched[watch] = None
        try:
            yield watch
        finally:
            del self._watched[watch]

    def rest(self, age: float, looked_at: float, watch: Watch | None = None) -> float:
        """Return the seconds to rest before asking again whether to look at an edit; 0: look.

        It is asked again although nothing may have changed, for the price of a look may have fallen.

        :param age: of the edit, in seconds.
        :param looked_at: its age when the last look found it running; 0 for none.
        :param watch: of this edit, if it is waited for together with others.
        """
        price = price_of_a_look(self.waiting + self.unsubmitted, self.seconds_a_call)
        planned = self._planner.next_look(looked_at, price)
        if planned <= age + _SOON:
            return 0.0
        at_least = self._planner.next_look(max(age, looked_at), LEAST_PRICE)
        if self._planner.durations.seen or watch is None:
            return max(min(planned, at_least) - age, _SOON)
        if watch is next(iter(self._watched)) and len(self._watched) + self.unsubmitted >= CROWD:
            pause = max(SCOUT_SECONDS, SCOUT_SHARE * self.seconds_a_call, looked_at * (STEP - 1.0))
            planned = min(planned, looked_at + pause)
            if planned <= age + _SOON:
                return 0.0
        return max(min(planned - age, at_least - age, SCOUT_SECONDS), _SOON)  # the scout may be back

    def learn(self, running_at: float, done_at: float) -> None:
        """Learn from an edit that ended between two ages in seconds."""
        self._planner.durations.learn(running_at, done_at)

    def usual(self, part: float) -> float:
        """Return the age in seconds at which so large a part of all edits is done."""
        return self._planner.durations.quantile(part)


class Watch:
    """Plans the looks at one edit of an account, by what is learned of all."""

    __slots__ = ("_pace",)

    def __init__(self, pace: AccountPace) -> None:
        self._pace = pace

    def rest(self, age: float, looked_at: float) -> float:
        """See :meth:`AccountPace.rest`."""
        return self._pace.rest(age, looked_at, self)

    def learn(self, running_at: float, done_at: float) -> None:
        """See :meth:`AccountPace.learn`."""
        self._pace.learn(running_at, done_at)

    def watching(self) -> AbstractContextManager[Watch]:
        """Return itself: it is the edit's own."""
        return nullcontext(self)
