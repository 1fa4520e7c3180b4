"""When to look at an edit that is waited for.

The model: a look costs *C* seconds of waiting, and it is taken where that pays. Of all ages at which one
could look, those are chosen that make *C* · (looks) + (seconds from the edit's end to the look that sees it)
least on average. With *p(k)* the part of edits that end in step *k* of the grid (``durations.py``), *S(i)*
the part that is still running at age *t(i)*, and *W(i)* the least cost from there on::

    W(i) = min over j > i of   C · S(i)  +  sum of p(k) · (t(j) - t(k)) for i < k <= j  +  W(j)

worked out from the last step to the first; the best *j* is when to look next after a look at *t(i)* found the
edit running. One price decides all: with a low one there are looks around the likely ends, with a high one
a single look when the edit is almost surely done.

The price is what a look takes from the others: the seconds by which it delays every call that waits for the
account, ``C = (1 + waiting calls) · (seconds a call)``, between :data:`LEAST_PRICE` and
:data:`HIGHEST_PRICE`. So budget to spare is spent on shorter lag, and a scarce one is not.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import accumulate
from typing import Final

from airflow_aluo.pace.durations import GRID, STEP, Durations

#: Seconds: below it, more looks shorten the lag by less than anybody notices.
LEAST_PRICE: Final = 1.0
#: Seconds: at it, a look is taken when about 19 of 20 edits are done, and waiting longer helps nobody.
HIGHEST_PRICE: Final = 30.0
#: A plan holds for so many more edits; fewer at the beginning.
REPLAN: Final = 8
#: Prices are rounded to powers of this, so that a plan is worked out seldom.
_PRICE_STEP: Final = 1.5


class Planner:
    """Plans the looks at the edits of one account. Ages in seconds since the edit's acceptance."""

    def __init__(self) -> None:
        self.durations = Durations()
        self._plans: dict[float, list[int]] = {}
        #: Edits that had been learned from when the plans were made.
        self._planned_with = 0

    def next_look(self, looked_at: float, price: float) -> float:
        """Return the age at which to look.

        :param looked_at: age at which the last look found the edit running; 0 for none.
        :param price: seconds of waiting that a look is worth, see :func:`price_of_a_look`.
        """
        step = self._plan(price)[bisect_right(GRID, looked_at)]
        return max(GRID[step], looked_at * STEP)  # beyond the grid, too, it goes on in steps

    def _plan(self, price: float) -> list[int]:
        """Return, by the number of grid steps that have passed, the step at whose end to look next."""
        new = self.durations.seen - self._planned_with
        if new and new >= min(REPLAN, self._planned_with / 4):
            self._plans.clear()
            self._planned_with = self.durations.seen
        power = round(math.log(price / LEAST_PRICE, _PRICE_STEP))
        rounded = LEAST_PRICE * _PRICE_STEP**power
        if rounded not in self._plans:
            self._plans[rounded] = best_looks(self.durations.shares(), rounded)
        return self._plans[rounded]


def price_of_a_look(waiting: int, seconds_a_call: float) -> float:
    """Return the seconds of waiting that a look is worth."""
    return min(max((1 + waiting) * seconds_a_call, LEAST_PRICE), HIGHEST_PRICE)


def best_looks(shares: list[float], price: float) -> list[int]:
    """Return, by the number of steps passed, the step at whose end to look next.

    :param shares: how likely an edit ends within each step of the grid.
    :param price: of a look, in seconds.
    """
    steps = len(shares)
    done = [0.0, *accumulate(shares)]
    moment = [0.0, *accumulate(one * _middle(step) for step, one in enumerate(shares))]
    cost, plan = [0.0] * (steps + 1), [steps - 1] * (steps + 1)
    for passed in range(steps - 1, -1, -1):
        best = float("inf")
        for step in range(passed, steps):
            ended = done[step + 1] - done[passed]
            lag = GRID[step] * ended - (moment[step + 1] - moment[passed])
            total = lag + cost[step + 1]
            if total < best:
                best, plan[passed] = total, step
            elif lag > best:
                break  # later looks only lag more
        cost[passed] = price * (1.0 - done[passed]) + best
    return plan


def _middle(step: int) -> float:
    """Return the age in the middle of a step."""
    return GRID[step] / math.sqrt(STEP)
