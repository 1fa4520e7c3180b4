"""The slots: so many submits at a time that no turn is left unused, and no more."""

import pytest

from airflow_aluo.pace.slots import HANDFUL, SEEN, Slots


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def answered(slots: Slots, clock: Clock, *seconds: float) -> None:
    for took in seconds:
        slots.begin("one")
        clock.now += took
        slots.end("one")


def test_at_first_there_is_a_handful() -> None:
    assert Slots(None, Clock()).most(1000) == HANDFUL


def test_a_fixed_limit_holds_whatever_submits_take() -> None:
    clock = Clock()
    slots = Slots(7, clock)
    assert slots.most(1000) == 7
    answered(slots, clock, 30.0)
    assert slots.most(1000) == 7


def test_before_any_answer_the_oldest_under_way_tells_how_long_they_take() -> None:
    clock = Clock()
    slots = Slots(None, clock)
    slots.begin("old")
    clock.now += 5
    slots.begin("young")
    clock.now += 5
    assert slots.most(60) == HANDFUL + 7


@pytest.mark.parametrize(("seconds", "most"), [(20.0, 238), (0.1, 6), (0.0, HANDFUL)])
def test_slow_submits_go_side_by_side_and_fast_ones_hardly(seconds: float, most: int) -> None:
    clock = Clock()
    slots = Slots(None, clock)
    answered(slots, clock, seconds, seconds)
    assert slots.most(1000) == most


def test_the_latest_submits_count() -> None:
    clock = Clock()
    slots = Slots(None, clock)
    answered(slots, clock, *[20.0] * SEEN, *[0.0] * SEEN)
    assert slots.most(1000) == HANDFUL


def test_who_is_under_way_is_known_until_it_is_answered() -> None:
    clock = Clock()
    slots = Slots(None, clock)
    slots.begin(1)
    slots.begin(2)
    assert (len(slots), 1 in slots, 3 in slots) == (2, True, False)
    slots.end(1)
    assert (len(slots), 1 in slots) == (1, False)
