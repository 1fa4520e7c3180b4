"""How many requests an account may send: the plan's rate, or what other processes leave of it.

The model, in requests a minute:

- *full* = 0.98 · the plan's rate: below it, because a minute here is never quite a minute at Aluo's.
- One call is due every 60 / *rate* seconds. What was not used is kept, up to *full* / 50 calls, or
  :data:`BURST` if that is more: an edit alone on the smallest plan need not wait six seconds for its look.
  At the beginning there is one: of a batch's first calls in a burst, the looks, too, would come in a burst.
- No 61 seconds, wherever they are laid, hold more calls than the plan's minute.
- A refusal (429) means: the account's minute is full, so what this process got into it is its share.
  *rate* becomes the smaller of 0.85 · *rate* and 0.97 · (calls accepted here in the last minute), but at
  least a quarter of *rate*: who had little to ask has not shown what its share is. The whole
  account rests as long as the refusal asks; what was under way then and is refused, too, counts no more, nor
  does any refusal within a minute of the last cut: what was sent before it still fills the account's minute.
  After the rest nothing is kept: all processes come back from it at the same moment.
- Since the last refusal *t* minutes ago, *rate* has grown by 0.0007 · *full* · *t*²: slowly where the limit
  was just met, so that several processes on one key are refused seldom, and soon where others have gone
  (half of *full* in 27 minutes).

Reason: additive increase and multiplicative decrease make processes that know nothing of each other share
fairly; the share of the last minute brings them there in one step instead of many.
Source of the plans' rates: https://aluo.ai/docs/api/overview (read 2026-11-22).
"""

from __future__ import annotations

from collections import deque
from typing import Final

#: Seconds over which Aluo counts requests.
WINDOW: Final = 60.0
#: Share of the plan's rate that is used.
MARGIN: Final = 0.98
#: Seconds by which calls may bunch together on their way to Aluo.
JITTER: Final = 1.0
#: Calls that may always be sent at once, if the minute has room for them.
BURST: Final = 4.0
#: What a refusal leaves of the rate.
DECREASE: Final = 0.85
#: What it leaves of what was got into the last minute.
SHARE: Final = 0.97
#: What it leaves of the rate at least.
LEAST_LEFT: Final = 0.25
#: Share of the full rate that has come back a minute after a refusal; four times that after two.
INCREASE: Final = 0.0007
#: Least share of the full rate.
LEAST: Final = 0.01
#: Shortest rest after a refusal, in seconds: what was under way then comes back within.
SHORTEST_REST: Final = 1.0


class Limiter:
    """Says when the next call may be sent. Times in epoch seconds, or of any clock that never stands still.

    :param requests_per_minute: what the account's plan allows.
    :param now: the present.
    """

    def __init__(self, requests_per_minute: float, now: float) -> None:
        self._allowed(requests_per_minute)
        self._saved, self._saved_at = 1.0, now
        self._cut_to, self._cut_at = self.full, now - WINDOW
        self._rests_until = now
        #: When each call of the last minute was sent. Bounded: nobody sends a thousand a second.
        self._sent: deque[float] = deque(maxlen=60_000)

    def _allowed(self, requests_per_minute: float) -> None:
        #: Requests a minute, with nobody else on the account.
        self.full = requests_per_minute * MARGIN
        self._most = max(int(requests_per_minute), 1)
        self._burst = max(self.full / 50, BURST)

    def allow(self, requests_per_minute: float) -> None:
        """Go on with what another plan allows; what was sent and refused before still counts."""
        never_cut = self._cut_to == self.full
        self._allowed(requests_per_minute)
        self._cut_to = self.full if never_cut else min(self._cut_to, self.full)

    def rate(self, now: float) -> float:
        """Return the requests a minute that may be sent."""
        minutes = (now - self._cut_at) / WINDOW
        return min(self.full, self._cut_to + self.full * INCREASE * minutes * minutes)

    def seconds_a_call(self, now: float) -> float:
        """Return the seconds that one call takes of the account's time."""
        return WINDOW / self.rate(now)

    def delay(self, now: float) -> float:
        """Return the seconds until a call may be sent; 0 for now."""
        self._save(now)
        wait = max(1.0 - self._saved, 0.0) * self.seconds_a_call(now)
        if self._in_the_last_minute(now) >= self._most:
            wait = max(wait, self._sent[-self._most] + WINDOW + JITTER - now)
        return max(self._rests_until - now, wait)

    def take(self, now: float) -> None:
        """Count a call that is sent now."""
        self._save(now)
        self._saved -= 1.0
        self._sent.append(now)

    def refused(self, now: float, rest: float) -> None:
        """Note that a call was refused (429). ``rest``: seconds that the account was asked to wait."""
        if self._sent:
            self._sent.pop()  # its time, or that of one that was sent while the refusal was on its way
        if now >= max(self._rests_until, self._cut_at + WINDOW):
            rate = self.rate(now)
            mine = self._in_the_last_minute(now)
            share = max(min(rate * DECREASE, mine * SHARE), rate * LEAST_LEFT)
            self._cut_to = max(share, self.full * LEAST)
            self._cut_at = now
        self._rests_until = max(self._rests_until, now + max(rest, SHORTEST_REST))
        self._saved, self._saved_at = 0.0, self._rests_until

    def _in_the_last_minute(self, now: float) -> int:
        while self._sent and self._sent[0] <= now - WINDOW - JITTER:
            self._sent.popleft()
        return len(self._sent)

    def _save(self, now: float) -> None:
        passed = max(now - self._saved_at, 0.0)
        self._saved = min(self._saved + passed / self.seconds_a_call(now), self._burst)
        self._saved_at = max(self._saved_at, now)
