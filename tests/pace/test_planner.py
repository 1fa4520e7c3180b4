"""The planner: the looks that cost least on average, for a price."""

import itertools
import math
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_aluo.pace import planner
from airflow_aluo.pace.durations import GRID, STEP, Durations
from airflow_aluo.pace.planner import (
    HIGHEST_PRICE,
    LEAST_PRICE,
    REPLAN,
    Planner,
    best_looks,
    price_of_a_look,
)


def looks(one: Planner, price: float, count: int) -> list[float]:
    """Return the ages of the first looks at an edit that stays running."""
    ages: list[float] = []
    for _ in range(count):
        ages.append(one.next_look(ages[-1] if ages else 0.0, price))
    return ages


def cost(shares: list[float], price: float, ends: list[int]) -> float:
    """Return what looks at the ends of these steps cost on average: their price and the lag."""
    total = 0.0
    for step, share in enumerate(shares):
        middle = GRID[step] / math.sqrt(STEP)
        seen = next(number for number, end in enumerate(ends) if end >= step)
        total += share * (price * (seen + 1) + GRID[ends[seen]] - middle)
    return total


def planned(plan: list[int], steps: int) -> list[int]:
    """Return the steps at whose ends a plan looks."""
    ends: list[int] = []
    while not ends or ends[-1] < steps - 1:
        ends.append(plan[ends[-1] + 1 if ends else 0])
    return ends


@settings(max_examples=60)
@given(
    weights=st.lists(st.integers(0, 20), min_size=9, max_size=9).filter(any),
    price=st.sampled_from([0.001, 0.01, 0.03, 0.1, 0.5]),
)
def test_no_other_choice_of_looks_costs_less(weights: list[int], price: float) -> None:
    shares = [weight / sum(weights) for weight in weights]
    last = len(shares) - 1
    found = cost(shares, price, planned(best_looks(shares, price), len(shares)))
    others = (
        cost(shares, price, [*ends, last])
        for count in range(last + 1)
        for ends in itertools.combinations(range(last), count)
    )
    assert found == pytest.approx(min(others))


def test_at_first_the_first_look_comes_when_the_vendors_word_makes_it_likely_to_pay() -> None:
    (first,) = looks(Planner(), LEAST_PRICE, 1)
    assert 12 < first < 18


def test_where_looks_cost_little_there_are_more_and_earlier_ones() -> None:
    one = Planner()
    cheap, dear = looks(one, LEAST_PRICE, 3), looks(one, HIGHEST_PRICE, 3)
    assert cheap[0] < dear[0]
    assert cheap[2] - cheap[0] < dear[1] - dear[0]


def test_where_looks_are_dear_a_single_late_one_finds_nearly_every_edit_done() -> None:
    one = Planner()
    (first,) = looks(one, HIGHEST_PRICE, 1)
    durations = one.durations
    assert durations.quantile(0.85) <= first <= durations.quantile(0.99)


def test_looks_beyond_what_was_ever_seen_go_on_in_steps() -> None:
    ages = looks(Planner(), LEAST_PRICE, 300)
    assert ages[-1] > GRID[-1]
    assert all(later >= earlier * STEP * (1 - 1e-9) for earlier, later in itertools.pairwise(ages))


@given(age=st.floats(0, 1e6), price=st.floats(0.001, 1000))
def test_the_next_look_is_always_later_than_the_last(age: float, price: float) -> None:
    assert Planner().next_look(age, price) > age


def test_a_plan_follows_what_was_learned() -> None:
    one = Planner()
    for _ in range(100):
        one.durations.learn(50.0, 55.0)
    assert 50 < looks(one, LEAST_PRICE, 1)[0] < 60


def test_looks_teach_where_edits_end_and_then_find_them_soon() -> None:
    dice, one, lags = random.Random(7), Planner(), []  # noqa: S311  # no secret
    for _ in range(200):
        ends, looked_at = dice.gauss(6.0, 0.5), 0.0
        while (look := one.next_look(looked_at, LEAST_PRICE)) < ends:
            looked_at = look
        one.durations.learn(looked_at, look)
        lags.append(look - ends)
    assert sum(lags[100:]) / 100 < 1.2


def test_a_plan_is_worked_out_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    worked_out: list[float] = []

    def counted(shares: list[float], price: float) -> list[int]:
        worked_out.append(price)
        return best_looks(shares, price)

    monkeypatch.setattr(planner, "best_looks", counted)
    one = Planner()
    for _ in range(1000):
        one.next_look(0.0, LEAST_PRICE)
    assert len(worked_out) == 1
    one.durations.learn(10.0, 12.0)
    one.next_look(0.0, LEAST_PRICE)
    assert len(worked_out) == 2
    for _ in range(80 * REPLAN):
        one.durations.learn(10.0, 12.0)
        one.next_look(0.0, LEAST_PRICE)
    assert len(worked_out) < 2 + 80 + 3 * REPLAN


def test_a_plan_is_worked_out_fast() -> None:
    shares = Durations().shares()
    started = time.thread_time()
    for _ in range(5):
        best_looks(shares, LEAST_PRICE)
    assert time.thread_time() - started < 1.0


@pytest.mark.parametrize(
    ("waiting", "seconds_a_call", "price"),
    [(0, 0.06, LEAST_PRICE), (49, 0.06, 3.0), (0, 6.0, 6.0), (4, 6.0, 30.0), (5000, 6.0, HIGHEST_PRICE)],
)
def test_a_look_costs_what_it_delays_the_others(waiting: int, seconds_a_call: float, price: float) -> None:
    assert price_of_a_look(waiting, seconds_a_call) == pytest.approx(price)
