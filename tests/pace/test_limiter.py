"""The limiter: as fast as the plan allows, never faster, and fair to other processes on the key."""

import heapq
import random
from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_aluo.pace.limiter import (
    BURST,
    DECREASE,
    LEAST,
    LEAST_LEFT,
    MARGIN,
    SHARE,
    SHORTEST_REST,
    Limiter,
)

#: Seconds: whoever asks again so soon moves the clock of a simulation.
TICK = 1e-6


def patiently(limiter: Limiter, now: float) -> float:
    """Take a turn as soon as there is one; return when that was."""
    while (delay := limiter.delay(now)) > 0:
        now += max(delay, TICK)
    limiter.take(now)
    return now


def taken(limiter: Limiter, count: int, now: float = 0.0) -> list[float]:
    """Return when so many calls are sent by who always wants to."""
    return [now := patiently(limiter, now) for _ in range(count)]


def most_within(moments: list[float], seconds: float) -> int:
    """Return the most calls in any such window."""
    window: deque[float] = deque()
    most = 0
    for moment in moments:
        window.append(moment)
        while window[0] <= moment - seconds:
            window.popleft()
        most = max(most, len(window))
    return most


# --- the plan --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", [10, 100, 1000])
def test_who_always_wants_to_sends_nearly_what_the_plan_allows(plan: int) -> None:
    moments = taken(Limiter(plan, 0.0), 5 * plan)
    assert len(moments) / (moments[-1] / 60) == pytest.approx(plan, rel=0.06)
    assert most_within(moments, 61.0) <= plan


def test_an_edit_alone_on_the_smallest_plan_need_not_wait() -> None:
    limiter = Limiter(10, 0.0)
    assert taken(limiter, 1) == [0.0]
    at = 60.0  # what was not used is kept
    for _ in range(int(BURST)):
        assert limiter.delay(at) == 0
        limiter.take(at)
    assert limiter.delay(at) == pytest.approx(60 / (10 * MARGIN))


def test_what_was_not_used_is_kept_up_to_a_burst() -> None:
    limiter = Limiter(1000, 0.0)
    taken(limiter, 100)
    moments = taken(limiter, 40, now=500.0)
    assert sum(moment == 500.0 for moment in moments) == int(1000 * MARGIN / 50)


def test_another_plan_starts_with_what_was_sent_and_refused_before() -> None:
    limiter = Limiter(100, 0.0)
    sent = taken(limiter, 50)
    limiter.allow(10)
    assert limiter.delay(sent[-1]) > 30, "the smaller plan's minute is full"
    limiter.allow(100)
    assert limiter.rate(sent[-1]) == pytest.approx(100 * MARGIN)
    limiter.refused(sent[-1], 0.0)
    cut = limiter.rate(sent[-1])
    limiter.allow(1000)
    assert limiter.rate(sent[-1]) == pytest.approx(cut), "a refusal is not forgotten"
    limiter.allow(10)
    assert limiter.rate(sent[-1]) == pytest.approx(10 * MARGIN)


@given(
    plan=st.sampled_from([1, 7, 10, 100]),
    demand=st.lists(
        st.tuples(st.floats(0, 100) | st.floats(0, 1), st.integers(1, 30), st.booleans()), max_size=25
    ),
)
def test_no_minute_holds_more_than_the_plans_whatever_is_asked_for(
    plan: int, demand: list[tuple[float, int, bool]]
) -> None:
    limiter, now, moments = Limiter(plan, 0.0), 0.0, []
    for gap, count, refused in demand:
        now += gap
        moments += (sent := taken(limiter, count, now))
        now = sent[-1]
        if refused:
            moments.pop()  # Aluo did not count it
            limiter.refused(now, 1.0)
    assert most_within(moments, 60.0) <= plan


@given(plan=st.floats(1, 1e5), passed=st.floats(0, 1e7), back=st.floats(0, 1e4))
def test_a_clock_that_steps_back_or_stands_for_months_breaks_nothing(
    plan: float, passed: float, back: float
) -> None:
    limiter = Limiter(plan, 1e9)
    for now in (1e9 + passed, 1e9 + passed - back):
        assert 0 <= limiter.delay(now) <= back + 62
        assert 0 < limiter.rate(now) <= plan
        limiter.take(now)


# --- refusals --------------------------------------------------------------------------------------------


def busy(plan: int = 1000, seconds: float = 120.0) -> tuple[Limiter, float]:
    """Return a limiter that has sent all it may for so long, and the time."""
    limiter = Limiter(plan, 0.0)
    moments = taken(limiter, int(plan * seconds / 60))
    return limiter, moments[-1]


@pytest.mark.parametrize("rest", [5.0, 300.0])
def test_the_whole_account_rests_as_long_as_a_refusal_asks(rest: float) -> None:
    limiter, now = busy()
    limiter.refused(now, rest)
    assert limiter.delay(now) == rest
    assert limiter.delay(now + rest - 1) == pytest.approx(1.0)
    assert limiter.delay(now + rest + 0.1) == 0.0


def test_a_rest_is_never_shortened_by_another_refusal() -> None:
    limiter, now = busy()
    limiter.refused(now, 60.0)
    limiter.refused(now + 1, 2.0)
    assert limiter.delay(now + 1) == pytest.approx(59.0)


def test_a_refusal_that_asks_for_nothing_lets_the_account_rest_a_second() -> None:
    limiter, now = busy()
    limiter.refused(now, 0.0)
    assert limiter.delay(now) == SHORTEST_REST


def test_a_process_that_had_the_account_for_itself_slows_down_a_bit() -> None:
    limiter, now = busy()
    limiter.refused(now, 5.0)
    assert limiter.rate(now) == pytest.approx(1000 * MARGIN * DECREASE)


def test_what_got_through_in_the_last_minute_is_a_processes_share() -> None:
    limiter = Limiter(1000, 0.0)
    now = 0.0
    for _ in range(300):
        now += 0.2
        limiter.take(now)
    limiter.refused(now, 5.0)
    assert limiter.rate(now) == pytest.approx(299 * SHARE, rel=0.01)


def test_refusals_of_what_was_under_way_cut_once() -> None:
    limiter, now = busy()
    limiter.refused(now, 5.0)
    rate = limiter.rate(now)
    for number in range(50):
        limiter.refused(now + number / 100, 5.0)
    assert limiter.rate(now + 1) == pytest.approx(rate, rel=1e-3)


def test_a_minute_that_is_still_full_is_no_reason_to_cut_again() -> None:
    limiter, now = busy()
    limiter.refused(now, 1.0)
    rate = limiter.rate(now)
    for second in range(2, 60, 2):
        limiter.take(now + second)
        limiter.refused(now + second, 1.0)
    assert limiter.rate(now + 59) >= rate
    limiter.take(now + 61)
    limiter.refused(now + 61, 1.0)
    assert limiter.rate(now + 61) < rate


def test_a_process_that_gets_nothing_through_still_asks_now_and_then() -> None:
    limiter = Limiter(1000, 0.0)
    limiter.refused(0.0, 1.0)
    assert limiter.rate(0.0) == pytest.approx(1000 * MARGIN * LEAST_LEFT)
    now = 0.0
    for _ in range(40):  # refused again and again
        now += 61.0
        limiter.refused(now, 1.0)
    assert limiter.rate(now) == pytest.approx(1000 * MARGIN * LEAST, rel=0.2)
    assert limiter.delay(now + 10.0) == 0.0


def test_the_rate_comes_back_slowly_at_first_and_then_soon() -> None:
    limiter = Limiter(1000, 0.0)
    limiter.refused(0.0, 1.0)
    rates = [limiter.rate(60.0 * minute) for minute in range(60)]
    gains = [later - earlier for earlier, later in pairwise(rates)]
    assert gains[0] < 0.002 * limiter.full
    assert rates[27] - rates[0] == pytest.approx(limiter.full / 2, rel=0.03)
    assert rates[40] == limiter.full == rates[59]


# --- several processes on one key ------------------------------------------------------------------------


@dataclass
class Shared:
    """An account whose minute slides, several processes that always want more, and the time between."""

    processes: int
    seed: int
    plan: int = 100
    #: What a refusal asks for: the exact time, or the quarter of a minute that stands for nothing.
    exact: bool = True
    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    by_process: dict[int, int] = field(default_factory=dict)

    def run(self, minutes: int) -> None:
        dice = random.Random(self.seed)  # noqa: S311  # no secret
        limiters = [Limiter(self.plan, 0.0) for _ in range(self.processes)]
        window: deque[float] = deque()
        events = [(dice.random() * 5, number, "wants", 0.0) for number in range(self.processes)]
        heapq.heapify(events)
        while events[0][0] < 60.0 * minutes:
            now, number, what, rest = heapq.heappop(events)
            limiter = limiters[number]
            if what == "refused":
                limiter.refused(now, rest)
            elif what == "wants":
                delay = limiter.delay(now)
                heapq.heappush(events, (now + max(delay, TICK), number, "wants", 0.0))
                if delay <= 0:
                    limiter.take(now)
                    heapq.heappush(events, (now + dice.random() * 0.3, number, "arrives", 0.0))
            else:
                while window and window[0] <= now - 60:
                    window.popleft()
                if len(window) < self.plan:
                    window.append(now)
                    self.accepted.append(now)
                    self.by_process[number] = self.by_process.get(number, 0) + 1
                else:
                    self.refused.append(now)
                    rest = window[0] + 60 - now if self.exact else 15.0
                    heapq.heappush(events, (now + dice.random() * 0.3, number, "refused", rest))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("processes", [1, 2, 3, 4])
def test_processes_that_know_nothing_of_each_other_share_an_account_well(
    processes: int, seed: int, *, exact: bool
) -> None:
    shared = Shared(processes, seed, exact=exact)
    shared.run(minutes=21)
    used = sum(moment > 60 for moment in shared.accepted)
    refused = sum(moment > 60 for moment in shared.refused)
    assert used >= (0.9 if exact else 0.87) * 20 * shared.plan
    assert refused <= 0.02 * (used + refused)
    assert min(shared.by_process.values()) >= 0.4 * max(shared.by_process.values())
