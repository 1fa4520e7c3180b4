"""The pace: when to look at an edit, given what else the account has to do."""

from contextlib import ExitStack

import pytest

from airflow_aluo.pace.account_pace import CROWD, AccountPace, Watch


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> AccountPace:
    return AccountPace(1000, clock)


def first_look(pace: AccountPace) -> float:
    """Return the age of the first look that the pace takes while nothing changes."""
    age, asked = 0.0, 0
    while (rest := pace.rest(age, 0.0)) > 0:
        age += rest
        asked += 1
        assert asked < 100
    return age


def test_a_look_that_is_due_is_taken(pace: AccountPace) -> None:
    assert pace.rest(60.0, 0.0) == 0.0


def test_a_rest_ends_when_the_look_is_due(pace: AccountPace) -> None:
    assert 10 < first_look(pace) < 20
    assert pace.rest(0.0, 0.0) == pytest.approx(first_look(pace))


def test_after_a_look_that_found_it_running_there_is_a_rest(pace: AccountPace) -> None:
    assert pace.rest(20.0, 20.0) > 1.0


def test_a_rest_is_never_so_short_that_it_hammers(pace: AccountPace) -> None:
    for age in range(200):
        rest = pace.rest(age / 4, 0.0)
        assert rest == 0.0 or rest >= 0.1


def test_calls_that_wait_raise_the_price_of_a_look(pace: AccountPace) -> None:
    idle = first_look(pace)
    pace.waiting = 400
    assert first_look(pace) > idle + 5


def test_edits_that_are_yet_to_be_submitted_raise_the_price_of_a_look(pace: AccountPace) -> None:
    idle = first_look(pace)
    pace.unsubmitted = 400
    assert first_look(pace) > idle + 5


def test_who_rests_is_asked_again_before_the_look_for_the_price_may_have_fallen(pace: AccountPace) -> None:
    idle = first_look(pace)
    pace.waiting = 400
    assert pace.rest(0.0, 0.0) == pytest.approx(idle)
    assert 0 < pace.rest(idle, 0.0) < 10
    pace.waiting = 0
    assert pace.rest(idle, 0.0) == 0.0


def test_an_edit_that_runs_for_hours_is_still_looked_at(pace: AccountPace) -> None:
    assert 0 < pace.rest(20_000.0, 20_000.0) < 3600


def test_what_was_learned_moves_the_first_look(pace: AccountPace) -> None:
    for _ in range(20):
        pace.learn(3.0, 3.5)
    assert first_look(pace) < 5
    assert pace.usual(0.5) == pytest.approx(3.3, rel=0.1)


def test_calls_are_as_fast_as_the_plan_and_rest_when_one_is_refused(pace: AccountPace, clock: Clock) -> None:
    assert pace.requests_per_minute == pytest.approx(980)
    assert pace.seconds_a_call == pytest.approx(60 / 980)
    while pace.delay() <= 0:
        pace.take()
    clock.now += 1
    assert pace.delay() == 0
    pace.take()
    pace.refused(30.0)
    assert pace.delay() == 30.0
    assert pace.requests_per_minute < 970
    clock.now += 31
    assert pace.delay() == 0


@pytest.mark.parametrize(("unsubmitted", "first"), [(0, False), (1, True), (320, True), (330, False)])
def test_a_batchs_last_submits_go_first(pace: AccountPace, unsubmitted: int, *, first: bool) -> None:
    pace.unsubmitted = unsubmitted
    assert pace.submits_first is first


# --- the scout -------------------------------------------------------------------------------------------


def watches(pace: AccountPace, stack: ExitStack, count: int) -> list[Watch]:
    return [stack.enter_context(pace.watching()) for _ in range(count)]


def looks(watch: Watch, end: float) -> list[float]:
    """Return the ages at which a running edit is looked at until it has such an age."""
    age, looked_at, found = 0.0, 0.0, []
    while age < end:
        if rest := watch.rest(age, looked_at):
            age += rest
        else:
            looked_at = age
            found.append(age)
    return found


def test_of_a_crowd_of_which_nothing_is_known_the_first_is_watched_closely(pace: AccountPace) -> None:
    with ExitStack() as stack:
        first, *others = watches(pace, stack, CROWD)
        assert looks(first, 8.0) == pytest.approx([1, 2, 3, 4, 5, 6, 7], abs=0.2)
        assert all(looks(one, 8.0) == [] for one in others)
        pace.learn(2.9, 3.1)
        assert looks(others[0], 4.0) == pytest.approx([3.5], abs=0.5)
        assert looks(first, 2.0) == []  # it is one of many now


def test_a_scout_that_runs_long_is_looked_at_ever_more_seldom(pace: AccountPace) -> None:
    with ExitStack() as stack:
        found = looks(watches(pace, stack, CROWD)[0], 600.0)
    assert len(found) < 90
    assert 30 < found[-1] - found[-2] < 60


def test_who_waits_for_the_scout_soon_hears_of_it(pace: AccountPace) -> None:
    with ExitStack() as stack:
        *_, last = watches(pace, stack, CROWD)
        assert last.rest(0.0, 0.0) == pytest.approx(1.0)
        assert last.watching().__enter__() is last


def test_a_few_edits_need_no_scout_but_those_to_come_count(pace: AccountPace) -> None:
    with ExitStack() as stack:
        (alone,) = watches(pace, stack, 1)
        assert looks(alone, 8.0) == []
        pace.unsubmitted = CROWD - 1
        assert looks(alone, 2.5) == pytest.approx([1, 2], abs=0.2)
    with ExitStack() as stack:
        (next_one,) = watches(pace, stack, 1)
        assert looks(next_one, 2.5) == pytest.approx([1, 2], abs=0.2)


def test_a_scout_takes_no_more_than_a_tenth_of_the_calls(clock: Clock) -> None:
    pace = AccountPace(100, clock)
    with ExitStack() as stack:
        assert looks(watches(pace, stack, CROWD)[0], 8.0) == pytest.approx([6.1], abs=0.2)


def test_another_plan_holds_at_once(pace: AccountPace) -> None:
    pace.allow(10)
    assert pace.requests_per_minute == pytest.approx(9.8)
    pace.allow(100)
    assert pace.requests_per_minute == pytest.approx(98)
