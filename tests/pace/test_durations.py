"""How long edits take: what the vendor says, then what was seen."""

from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_aluo.pace.durations import DOUBT, GRID, STEP, Durations

AGES = st.floats(0, 1e5)


def taught(*intervals: tuple[float, float]) -> Durations:
    durations = Durations()
    for running_at, done_at in intervals:
        durations.learn(running_at, done_at)
    return durations


def part_within(durations: Durations, low: float, high: float) -> float:
    """Return the part of edits that end between two ages, give or take a step of the grid."""
    shares = zip(GRID, durations.shares(), strict=True)
    return sum(share for age, share in shares if low / STEP < age <= high * STEP)


@pytest.mark.parametrize(("part", "age"), [(0.05, 10.0), (0.5, 17.3), (0.95, 30.0)])
def test_at_first_the_vendors_word_counts(part: float, age: float) -> None:
    assert Durations().quantile(part) == pytest.approx(age, rel=2 * (STEP - 1))


def test_nothing_is_thought_impossible() -> None:
    assert min(taught(*[(10, 11)] * 50).shares()) >= 1 / DOUBT / len(GRID)
    assert taught(*[(10, 11)] * 50).quantile(1.0) == GRID[-1]


def test_what_was_seen_soon_says_more_than_the_vendor() -> None:
    durations = taught(*[(3.0, 4.0)] * 10)
    assert 3.0 <= durations.quantile(0.5) <= 4.0 * STEP
    assert part_within(durations, 3.0, 4.0) > 0.8
    assert durations.seen == 10


def test_looks_that_see_intervals_find_the_duration_within() -> None:
    # Every edit takes 20 seconds; looks come at all kinds of moments around.
    durations = taught(*[(20.0 - one % 7, 20.5 + one % 5) for one in range(60)])
    assert durations.quantile(0.5) == pytest.approx(20.0, rel=0.12)


def test_a_wide_interval_says_little() -> None:
    before, after = Durations(), taught((5.0, 60.0))
    assert after.quantile(0.5) == pytest.approx(before.quantile(0.5), rel=0.15)


def test_one_stray_edit_moves_little() -> None:
    usual = [(14.0, 16.0)] * 30
    assert taught(*usual, (600.0, 700.0)).quantile(0.5) == pytest.approx(
        taught(*usual).quantile(0.5), rel=STEP - 1 + 1e-9
    )


def test_a_vendor_that_becomes_slower_is_noticed_within_twenty_edits() -> None:
    usual = [(14.0, 16.0)] * 200
    assert taught(*usual, *[(55.0, 65.0)] * 20).quantile(0.5) > 50
    assert taught(*usual, *[(2.0, 2.5)] * 20).quantile(0.5) < 3


def test_what_the_first_look_finds_done_may_have_been_done_earlier() -> None:
    durations = Durations()
    seen = []
    for _ in range(30):
        # Edits take two seconds; the first look is at the median, and finds them done.
        seen.append(look := durations.quantile(0.5))
        durations.learn(0.0, look)
    assert median(seen[-5:]) < seen[0] / 2


@given(intervals=st.lists(st.tuples(AGES, AGES), max_size=40))
def test_whatever_is_seen_it_stays_a_distribution(intervals: list[tuple[float, float]]) -> None:
    durations = taught(*intervals)
    shares = durations.shares()
    assert sum(shares) == pytest.approx(1.0)
    assert min(shares) > 0
    quantiles = [durations.quantile(part / 20) for part in range(1, 20)]
    assert quantiles == sorted(quantiles)
