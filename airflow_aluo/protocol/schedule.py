"""When to try again, and until when: arithmetic over seconds, with clock and dice passed in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Longest pause that a reply can ask for, in seconds: a ``Retry-After`` of a day is not obeyed.
MAX_RETRY_AFTER: Final = 300.0

#: A 429 that names no time: the vendor counts requests a minute, so a quarter of one. In seconds.
DEFAULT_RETRY_AFTER: Final = 15.0


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that a reply asks to wait, at most :data:`MAX_RETRY_AFTER`; ``None`` if none.

    The header may hold seconds or an HTTP date (RFC 9110, section 10.2.3).

    :param headers: with lower-case names.
    :param now: epoch seconds.
    """
    text = headers.get("retry-after", "").strip()
    try:
        seconds = float(text) if text[:1].isdigit() else _epoch(text) - now
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER) if math.isfinite(seconds) else MAX_RETRY_AFTER


def _epoch(date: str) -> float:
    """Return an HTTP date as epoch seconds; without a zone it is UTC (RFC 9110, section 5.6.7), not local."""
    moment = parsedate_to_datetime(date)
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


#: Seconds between two looks at an edit where nothing is known of it: six a minute leave the smallest plan
#: (ten a minute) some room.
DEFAULT_POLL_INTERVAL: Final = 10.0

#: Seconds after the deadline at which Airflow's own deferral timeout falls: the trigger reports first.
BACKSTOP: Final = 600.0

#: Shortest pause between two looks, in seconds, whatever the interval says: nobody is hammered.
MIN_PAUSE: Final = 0.1

#: Shortest time, in seconds, for which a task leaves its worker, to be rescheduled or by a deferral. Airflow
#: 3.3.2 may queue a task anew before it has processed its last end, take it for lost, and fail it (seen with
#: up to 3 s).
SHORTEST_ABSENCE: Final = 5.0

#: Seconds for which an edit is waited for: twenty times what the vendor calls usual.
DEFAULT_TIMEOUT: Final = 600.0

#: Failed looks in a row that a wait survives (and at least two minutes of them).
DEFAULT_TOLERATED_FAILURES: Final = 5

#: Seconds after an edit's acceptance for which a look may be answered 404. How long Aluo takes to show a
#: fresh edit everywhere is not documented; a minute is what such a store may lag behind.
MISSING_GRACE: Final = 60.0


@dataclass(frozen=True, slots=True)
class RetryRule:
    """How often and how long one call is tried again.

    The pause before try *n* + 1 is ``random · min(cap, base · 2ⁿ⁻¹)``: full jitter, so that many
    tasks that failed together do not come back together. A pause that the reply asked for is kept whole.
    """

    #: Seconds from the first try after which no further try starts.
    budget: float = 60.0
    #: Ceiling of the first pause, in seconds.
    base: float = 1.0
    #: Ceiling of every pause, in seconds.
    cap: float = 15.0

    def pause(self, tries: int, dice: float, asked: float | None = None) -> float:
        """Return the seconds to pause. ``tries``: done so far; ``dice``: in [0, 1)."""
        if asked is not None:
            return asked + dice * self.base
        return dice * min(self.cap, self.base * 2.0 ** min(tries - 1, 30))


@dataclass(frozen=True, slots=True)
class WaitRule:
    """How an edit is waited for."""

    #: Epoch seconds at which the last look is taken. Wall clock: it must survive restarts.
    deadline: float
    #: Epoch seconds before which no look is taken: right after a submit it would find nothing.
    first_look_at: float = 0.0
    #: Seconds between two looks; with ``exponential_backoff`` the first such pause. ``None``: looks are taken
    #: when they are likely to pay, which a :class:`~airflow_aluo.protocol.flows.Lookout` knows.
    poll_interval: float | None = None
    #: Each pause is twice the one before it.
    exponential_backoff: bool = False
    #: Ceiling of a pause in seconds, ``None`` for none.
    max_wait: float | None = None
    #: Failed looks in a row that a wait survives, however long they take …
    tolerated_failures: int = DEFAULT_TOLERATED_FAILURES
    #: … and seconds for which it survives failed looks, however many they are.
    tolerated_seconds: float = 120.0
    #: Survive any number of failed looks until the deadline.
    silent_fail: bool = False
    #: Epoch seconds until which "no such edit" (404) means that Aluo does not show a fresh edit yet.
    missing_until: float = 0.0
    #: Epoch seconds at which the wait began, so that doubling pauses survive a restart; 0 for now.
    started_at: float = 0.0
    #: Epoch seconds from which the edit's age is counted; 0 where nobody knows.
    born_at: float = 0.0
    #: It is known that the edit was not done when it was born: the first look waits for it to be likely.
    fresh: bool = False
    #: Epoch seconds at which a look found the edit running, before this wait; 0 for none.
    looked_at: float = 0.0

    def first_pause(self, now: float) -> float:
        """Return the seconds until the first look, at the deadline at the latest. ``now``: epoch seconds."""
        return max(min(self.first_look_at, self.deadline) - now, 0.0)

    def looks_after(self, seconds: float) -> int:
        """Return about how many looks fall into so many seconds of waiting.

        For who cannot count them: doubling pauses *p*, 2*p*, 4*p*, … reach *p* (2ⁿ - 1) seconds with *n*.
        """
        return 1 + int(math.log2(max(seconds, 0.0) / max(self._interval, MIN_PAUSE) + 1))

    def looks_by(self, now: float) -> int:
        """Return about how many looks were taken before, by whoever waited until ``now`` (epoch seconds)."""
        return self.looks_after(now - self.started_at) - 1 if self.started_at else 0

    def next_pause(self, looks: int, now: float, asked: float | None = None) -> float | None:
        """Return the seconds until the next look, or ``None`` once the deadline has passed.

        The last pause is cut so that one look falls on the deadline.

        :param looks: taken so far.
        :param now: epoch seconds.
        :param asked: seconds that a reply asked to wait.
        """
        left = self.deadline - now
        if left <= 0:
            return None
        pause = self._interval
        if self.exponential_backoff:
            pause *= 2.0 ** min(max(looks - 1, 0), 30)
        if self.max_wait is not None:
            pause = min(pause, self.max_wait)
        return min(max(pause, asked or 0.0, MIN_PAUSE), left)

    @property
    def _interval(self) -> float:
        return DEFAULT_POLL_INTERVAL if self.poll_interval is None else self.poll_interval

    def gives_up(self, failures: int, first_failure_at: float, now: float) -> bool:
        """Return whether too many looks in a row have failed, for too long. Times in epoch seconds."""
        if self.silent_fail:
            return False
        return failures > self.tolerated_failures and now - first_failure_at >= self.tolerated_seconds
