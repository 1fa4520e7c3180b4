"""How long edits take: what the vendor says, then what was seen.

The model: a histogram over ages on a logarithmic grid (each step 6 %, from 0.25 seconds to two hours).

- It begins as a log-normal whose 5th and 95th percentiles are the vendor's "usually 10-30 seconds", and
  counts as :data:`PRIOR_WEIGHT` edits.
- An edit that a look found running at age *a* and the next look found done at age *b* adds one edit's weight
  to the steps between *a* and *b*: looks see an interval, never the moment. :data:`EVEN` of it is spread
  evenly, the rest in proportion to what the histogram says already. Where the very first look found it done,
  *a* is *b* / :data:`EARLIER` and only :data:`EVEN_AT_FIRST` is spread evenly: it may have been done long
  before, so the next ones are looked at a bit earlier.
- The newest edit weighs 1 / (number seen + prior), but at least 1 / :data:`MEMORY`, so the last twenty or so
  count: a vendor that becomes slower is noticed, and one stray edit moves little.
- One part in :data:`DOUBT` is always spread evenly over the grid: what was never seen stays possible.

Reason: quantiles of intervals need no fit, no shape and no care for outliers. Evenly alone would never become
sharp, in proportion alone would only ever confirm the ages at which it looks. Source of the prior:
https://aluo.ai/docs/api/photo-editor (read 2026-11-22).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import accumulate
from statistics import NormalDist
from typing import Final

from airflow_aluo.protocol.vocabulary import USUAL_SECONDS

#: One step of the grid, as a factor.
STEP: Final = 1.06
#: Upper ends of the histogram's steps, in seconds.
GRID: Final[tuple[float, ...]] = tuple(0.25 * STEP**number for number in range(177))
#: Edits that the vendor's word counts for.
PRIOR_WEIGHT: Final = 2
#: Edits that are remembered, about.
MEMORY: Final = 20
#: One part in so many is left to what was never seen.
DOUBT: Final = 100
#: What the first look finds done may have been done at this part of its age.
EARLIER: Final = 12.0
#: Part of an edit's weight that is spread evenly over the interval in which it ended.
EVEN: Final = 0.3
#: The same where only the first look's age is known: that interval is long, and says little.
EVEN_AT_FIRST: Final = 0.1


class Durations:
    """The distribution of the durations of one account's edits, in seconds."""

    def __init__(self) -> None:
        self._share = _usual()
        #: Edits that were learned from.
        self.seen = 0

    def learn(self, running_at: float, done_at: float) -> None:
        """Learn from an edit that ended between two ages.

        :param running_at: seconds at which a look still found it running; 0 if none did.
        :param done_at: seconds at which a look found it done.
        """
        first = _step(max(running_at, done_at / EARLIER))
        last = max(_step(done_at), first)
        share = self.shares()
        between = [share[step] for step in range(first, last + 1)]
        total, count = sum(between), len(between)
        weight = max(1.0 / (self.seen + 1 + PRIOR_WEIGHT), 1.0 / MEMORY)
        even = EVEN if running_at > 0 else EVEN_AT_FIRST
        self._share = [(1.0 - weight) * old for old in self._share]
        for step, one in zip(range(first, last + 1), between, strict=True):
            self._share[step] += weight * ((1.0 - even) * one / total + even / count)
        self.seen += 1

    def shares(self) -> list[float]:
        """Return how likely an edit ends within each step of :data:`GRID`."""
        doubt = 1.0 / DOUBT
        even = doubt / len(GRID)
        return [(1.0 - doubt) * one + even for one in self._share]

    def quantile(self, part: float) -> float:
        """Return the age at which so large a part of all edits is done, in seconds."""
        reached = list(accumulate(self.shares()))
        return GRID[min(bisect_left(reached, part), len(GRID) - 1)]


def _step(age: float) -> int:
    return min(bisect_left(GRID, age), len(GRID) - 1)


def _usual() -> list[float]:
    """Return the vendor's word as shares of the grid's steps."""
    low, high = (math.log(seconds) for seconds in USUAL_SECONDS)
    spread = (high - low) / (2 * NormalDist().inv_cdf(0.95))
    usual = NormalDist((low + high) / 2, spread)
    below = [usual.cdf(math.log(age)) for age in GRID]
    return [after - before for before, after in zip([0.0, *below], below, strict=False)]
